"""What contrastive embedders share: two views of each image, an encoder, a projection head."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.data.checks import check_positive, check_side
from embedlab.data.images import as_tensor
from embedlab.embedders.shared.conv import ConvEncoder
from embedlab.embedders.shared.network import NetworkEmbedder, as_views
from embedlab.training.augment import (
    Affine,
    Blur,
    Brightness,
    Compose,
    Contrast,
    Elastic,
    Flip,
    Greyscale,
    Hue,
    ResizedCrop,
    Saturation,
    View,
)
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches, seeded

LAYERS = ("encoder", "projection")

# What another hand, another pen or another scanner would change, and the class would not.
GREY_VIEWS = (
    Affine(degrees=15, scale=0.2, shear=20, shift=0.08),
    Elastic(strength=0.1, points=5),
    Blur(sigma=3),
    Brightness(0.4),
    Contrast(0.4),
)
# What the SimCLR paper does to photographs: crop, mirror, and change the colours.
COLOUR_VIEWS = (
    ResizedCrop(area=0.3),
    Flip(),
    Brightness(0.4),
    Contrast(0.4),
    Saturation(0.4),
    Hue(0.1),
    Greyscale(0.2),
)


def default_views(channels: int) -> tuple[View, ...]:
    """The views for images of so many channels.

    Parameters
    ----------
    channels : int

    Returns
    -------
    tuple of views
    """
    return GREY_VIEWS if channels == 1 else COLOUR_VIEWS


def alignment(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squared distance between the two views of an image: 0 is best.

    Parameters
    ----------
    a, b : torch.Tensor, shape (N, D)
        Vectors of length one; row i of both belongs to image i.

    Returns
    -------
    torch.Tensor
        A scalar.

    References
    ----------
    Wang and Isola (2020), Understanding contrastive representation learning through alignment and
    uniformity on the hypersphere.
    """
    return (a - b).square().sum(dim=1).mean()


def uniformity(z: torch.Tensor) -> torch.Tensor:
    """How evenly vectors cover the sphere, ``log mean exp(-2 |z_i - z_j|²)``: the lower the better.

    Zero where all are the same.

    Parameters
    ----------
    z : torch.Tensor, shape (N, D)
        Vectors of length one, two or more.

    Returns
    -------
    torch.Tensor
        A scalar.

    References
    ----------
    Wang and Isola (2020), as in :func:`alignment`.
    """
    squared = (2 - 2 * z @ z.T).clamp(min=0)
    pairs = torch.triu_indices(len(z), len(z), offset=1, device=z.device)
    return squared[pairs[0], pairs[1]].mul(-2).exp().mean().log()


class ProjectionHead(nn.Sequential):
    """Two layers between the encoder and the loss.

    Parameters
    ----------
    embed_dim : int
        Length of the encoder's vectors.
    projection_dim : int
        Length of the projected ones.
    """

    def __init__(self, embed_dim: int, projection_dim: int):
        super().__init__(
            nn.Linear(embed_dim, embed_dim),
            nn.BatchNorm1d(embed_dim),
            nn.ReLU(),
            nn.Linear(embed_dim, projection_dim),
        )


class Contrastive(NetworkEmbedder):
    """An encoder trained so that two views of an image come near each other, and others do not.

    A subclass sets the parameters and writes ``_loss(a, b)``, the loss of a batch of projected
    views, both (N, D) and of length one, where row i of both belongs to image i.

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
        The ``encoder`` and the ``head``.
    loss_curve_, alignment_curve_, uniformity_curve_ : list of float
        Means over each epoch, of the projected views.
    """

    def _loss(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _check(self, X: np.ndarray) -> tuple[View, ...]:
        """The views, once every parameter is found to be in order."""
        check_positive(self.embed_dim, "embed_dim")
        if self.projection_dim is not None:
            check_positive(self.projection_dim, "projection_dim")
        self._check_training()
        check_side(X)
        self._check_layer()
        size = min(self.batch_size, len(X))
        if size < 2:
            what = "batch_size=1" if self.batch_size == 1 else "X holds a single image, so a batch"
            raise ValueError(f"{what} has nothing to contrast with: at least 2 are needed.")
        if self.views is None:
            return default_views(X.shape[1])
        views = as_views(self.views, "views")
        if not views:
            raise ValueError(
                f"views={self.views!r} must hold at least one view, such as "
                "Affine(): two views that are the same image teach nothing."
            )
        return views

    def _check_layer(self) -> None:
        if self.layer not in LAYERS:
            raise ValueError(f"layer={self.layer!r} must be one of {', '.join(LAYERS)}.")
        network = getattr(self, "network_", None)
        no_head = isinstance(network["head"], nn.Identity) if network else not self.projection_dim
        if self.layer == "projection" and no_head:
            raise ValueError("layer='projection' needs a projection_dim in fit: there is no head.")

    def _fit(self, X, y):
        view = Compose(self._check(X))
        with seeded(self.seed):
            encoder = ConvEncoder(X.shape[1], self.embed_dim)
            head = (
                ProjectionHead(self.embed_dim, self.projection_dim)
                if self.projection_dim
                else nn.Identity()
            )
        network = nn.ModuleDict({"encoder": encoder, "head": head})
        device = pick_device()
        images = as_tensor(X).to(device)
        watched = []

        def loss(network, index, generator):
            batch = images[index]
            views = view(torch.cat([batch, batch]), generator)  # (2N, C, 32, 32)
            if len(views) != 2 * len(batch):
                raise ValueError(f"views made {len(views)} images of {2 * len(batch)}.")
            z = F.normalize(network["head"](network["encoder"](views)).float(), dim=1)
            a, b = z.chunk(2)
            # In bf16 distances come in steps so large that many are equal.
            with torch.autocast(device.type, enabled=False):
                with torch.no_grad():
                    watched.append(torch.stack([alignment(a, b), uniformity(a)]))
                return self._loss(a, b)

        epochs = self._epochs(len(X), most=50, images=250_000)
        self._train(network, loss, len(X), epochs)
        curves = torch.stack(watched).view(epochs, -1, 2).mean(dim=1).cpu()
        self.alignment_curve_, self.uniformity_curve_ = curves.T.tolist()

    def _transform(self, X):
        self._check_layer()

        def embed(batch):
            vectors = self.network_["encoder"](batch)
            return vectors if self.layer == "encoder" else self.network_["head"](vectors)

        return in_batches(self.network_, embed, X)

    def at(self, layer: str) -> Contrastive:
        """The same trained network, read before its projection head or after it.

        Parameters
        ----------
        layer : str
            ``"encoder"`` or ``"projection"``.

        Returns
        -------
        Contrastive
        """
        check_is_fitted(self, "fit_seconds_")
        other = copy.copy(self)
        other.layer = layer
        other._check_layer()
        return other

    def project(self, X) -> np.ndarray:
        """Embed images by the projection head, whatever `layer` is.

        Parameters
        ----------
        X : array-like of float, shape (N, C, 32, 32)

        Returns
        -------
        ndarray of float32, shape (N, projection_dim)
        """
        return self.at("projection").transform(X)
