"""Drawing from CLIP's vectors: a painter of images, and a prior that imagines what is painted."""

import math
import time
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.data.checks import check_images, check_positive, check_range, check_side, check_unit
from embedlab.data.images import as_tensor
from embedlab.embedders.base import forget
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.lessons.lesson_06b.flow import flow_loss, sample
from embedlab.search.exact import normalize
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches, seeded

WAVES = 32  # numbers that tell a network the time
PATCH = 4  # side of the squares that the painter sees as one


def time_waves(t: torch.Tensor) -> torch.Tensor:
    """Times (N,) as sines and cosines of many frequencies, (N, WAVES): easier to read than t."""
    frequency = torch.logspace(0, 2, WAVES // 2, device=t.device)
    angle = t[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class FilmBlock(nn.Module):
    """Two convolutions, added to what was there; between them the condition turns the knobs.

    It says how much of each map is wanted, and from which level on: FiLM (Perez et al. 2017).
    """

    def __init__(self, n_in: int, n_out: int, n_condition: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, n_in), nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(8, n_out), nn.Conv2d(n_out, n_out, 3, padding=1)
        self.film = nn.Linear(n_condition, 2 * n_out)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)  # a new block changes nothing: training starts calmly

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Maps (N, n_in, H, W) and conditions (N, n_condition) to maps (N, n_out, H, W)."""
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.norm2(h) * (1 + scale) + shift
        return self.skip(x) + self.conv2(F.silu(h))


class PainterNetwork(nn.Module):
    """A small U-Net from a noisy image, a time and a vector to the velocity of each pixel.

    It works on squares of 4x4 pixels, of which there are 8x8, and in the middle on half as many
    each way.

    Parameters
    ----------
    channels : int
        Of the images, (N, channels, 32, 32).
    dim : int
        Length of the vectors.
    width : int
        Maps of each layer, a multiple of 8.

    References
    ----------
    Ronneberger et al. (2015), U-Net: convolutional networks for biomedical image segmentation.
    """

    def __init__(self, channels: int, dim: int, width: int):
        super().__init__()
        pixels = channels * PATCH**2
        self.told = nn.Sequential(
            nn.Linear(WAVES + dim, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU()
        )
        self.enter = nn.Conv2d(pixels, width, 3, padding=1)
        self.fine = FilmBlock(width, width, 128)
        self.coarse = FilmBlock(width, width, 128)
        self.middle = FilmBlock(width, width, 128)
        self.join = FilmBlock(2 * width, width, 128)
        self.norm = nn.GroupNorm(8, width)
        self.leave = nn.Conv2d(width, pixels, 3, padding=1)
        self.share = nn.Linear(WAVES, pixels)
        for layer in (self.leave, self.share):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Images (N, C, 32, 32), times (N,), vectors (N, dim) to velocities (N, C, 32, 32)."""
        x, waves = F.pixel_unshuffle(x, PATCH), time_waves(t)  # (N, 16 C, 8, 8): a square a place
        told = self.told(torch.cat([waves, condition], dim=1))
        fine = self.fine(self.enter(x), told)  # (N, width, 8, 8)
        h = self.middle(self.coarse(F.avg_pool2d(fine, 2), told), told)  # (N, width, 4, 4)
        h = self.join(torch.cat([F.interpolate(h, scale_factor=2), fine], dim=1), told)
        # Much of the velocity is the noise itself, and how much depends on the time alone: that
        # share of x goes past the norms, which would take its size away.
        past = self.share(waves)[:, :, None, None] * x
        return F.pixel_shuffle(self.leave(F.silu(self.norm(h))) + past, PATCH)


class PriorNetwork(nn.Module):
    """A small MLP from a noisy vector, a time and a text's vector to a velocity."""

    def __init__(self, dim: int, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * dim + WAVES, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, dim),
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Vectors (N, dim), times (N,) and conditions (N, dim) to velocities (N, dim)."""
        return self.layers(torch.cat([x, time_waves(t), condition], dim=1))


@dataclass(eq=False, repr=False)
class _Flow(BaseEstimator):
    """What painter and prior share: flow matching from vectors of length one.

    A subclass sets `dim_` and writes ``_network()``, which builds what the fitted attributes say.
    """

    width: int
    epochs: int
    batch_size: int
    lr: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 0

    _train = NetworkEmbedder._train  # by these fields, which are the same there

    def _check(self) -> None:
        for name in ("width", "epochs", "batch_size"):
            check_positive(getattr(self, name), name)
        check_range(self.lr, "lr", 0)

    def _learn(self, vectors: np.ndarray, made: np.ndarray) -> None:
        """Train a new network to make the row of `made` (N, ...) that belongs to each vector."""
        with seeded(self.seed):
            network = self._network()
        device = pick_device()
        x, condition = as_tensor(made).to(device), as_tensor(_spread(vectors)).to(device)

        def loss(network, index, generator):
            return flow_loss(network, x[index], condition[index], generator)

        self._train(network, loss, len(made), self.epochs)

    def _make(self, vectors, shape, guidance, steps, seed) -> np.ndarray:
        """What flows out of noise for each vector, (N, *shape)."""
        check_positive(steps, "steps")
        if not guidance >= 0:
            raise ValueError(f"guidance={guidance!r} must be a number of at least 0.")
        generator = torch.Generator().manual_seed(int(seed))

        def make(condition):
            return sample(self.network_, condition, shape, steps, guidance, generator)

        return in_batches(self.network_, make, _spread(vectors), batch_size=256)


def _spread(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one, stretched so that their numbers are about as large as the noise."""
    return (vectors * math.sqrt(vectors.shape[1])).astype(np.float32)


@dataclass(eq=False, repr=False)
class Painter(_Flow):
    """Draws images from CLIP's vectors: the decoder of DALL-E 2 (Ramesh et al. 2022), small.

    Flow matching from noise to pixels, with the vector as the condition; `width` maps, a multiple
    of 8.
    """

    width: int = 64
    epochs: int = 10
    batch_size: int = 32

    def _network(self) -> PainterNetwork:
        return PainterNetwork(self.image_shape_[0], self.dim_, self.width)

    def fit(self, vectors, images) -> Self:
        """Learn to draw images (N, C, 32, 32) from their vectors (N, D) of length one."""
        start = time.perf_counter()
        self._check()
        if self.width % 8:
            raise ValueError(f"width={self.width} must be a multiple of 8.")
        vectors, images = check_unit(vectors, "vectors"), check_images(images, "images")
        check_side(images)
        _check_pairs(vectors, images, "images")
        forget(self)
        self.image_shape_, self.dim_ = images.shape[1:], vectors.shape[1]
        self.mean_, self.spread_ = float(images.mean()), float(images.std()) or 1.0
        self._learn(vectors, (images - self.mean_) / self.spread_)
        self.fit_seconds_ = time.perf_counter() - start
        return self

    def draw(self, vectors, guidance: float = 2.0, steps: int = 10, seed: int = 0) -> np.ndarray:
        """An image (N, C, 32, 32) in [0, 1] for each vector (N, D): see :func:`sample`."""
        check_is_fitted(self, "fit_seconds_")
        vectors = check_unit(vectors, "vectors", self.dim_)
        made = self._make(vectors, self.image_shape_, guidance, steps, seed)
        return (made * self.spread_ + self.mean_).clip(0, 1).astype(np.float32)


@dataclass(eq=False, repr=False)
class Prior(_Flow):
    """From a text's vector to a vector that an image of it could have: the prior of DALL-E 2.

    CLIP puts texts near their images, not onto them, and what a text leaves open, where the object
    is and how large, an image's vector holds. The prior makes it up.
    """

    width: int = 256
    epochs: int = 20
    batch_size: int = 128

    def _network(self) -> PriorNetwork:
        return PriorNetwork(self.dim_, self.width)

    def fit(self, text_vectors, image_vectors) -> Self:
        """Learn which vectors (N, D) of length one the images of texts (N, D) have."""
        start = time.perf_counter()
        self._check()
        texts = check_unit(text_vectors, "text_vectors")
        images = check_unit(image_vectors, "image_vectors", texts.shape[1])
        _check_pairs(texts, images, "image_vectors")
        forget(self)
        self.dim_ = texts.shape[1]
        self._learn(texts, _spread(images))
        self.fit_seconds_ = time.perf_counter() - start
        return self

    def imagine(
        self, text_vectors, guidance: float = 2.0, steps: int = 10, seed: int = 0
    ) -> np.ndarray:
        """An image's vector for each text's, (N, D) of length one; the same text twice: two."""
        check_is_fitted(self, "fit_seconds_")
        texts = check_unit(text_vectors, "text_vectors", self.dim_)
        return normalize(self._make(texts, (self.dim_,), guidance, steps, seed))


def _check_pairs(vectors: np.ndarray, others: np.ndarray, name: str) -> None:
    if len(vectors) != len(others):
        raise ValueError(f"{name} are {len(others)}, vectors {len(vectors)}: one for each.")
