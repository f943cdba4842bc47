"""What contrastive embedders share: two views of each image, an encoder, a projection head."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from embedlab.data.checks import check_positive, one_of, optional
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
    Grayscale,
    Hue,
    ResizedCrop,
    Saturation,
    View,
)
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches

LAYERS = ("encoder", "projection")

# What another hand, another pen or another scanner would change, and the class would not.
GRAY_VIEWS = (
    Affine(degrees=15, scale=0.2, shear=20, translate=0.08),
    Elastic(strength=0.1, points=5),
    Blur(sigma=3),
    Brightness(0.4),
    Contrast(0.4),
)
# What the SimCLR paper does to photographs: crop, mirror, and change the colours.
COLOR_VIEWS = (
    ResizedCrop(area=0.3),
    Flip(),
    Brightness(0.4),
    Contrast(0.4),
    Saturation(0.4),
    Hue(0.1),
    Grayscale(0.2),
)


def default_views(channels: int) -> tuple[View, ...]:
    """The views for images of so many channels: what changes digits, or photographs."""
    return GRAY_VIEWS if channels == 1 else COLOR_VIEWS


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
    """Two layers between the encoder and the loss: (N, embed_dim) to (N, projection_dim)."""

    def __init__(self, embed_dim: int, projection_dim: int):
        super().__init__(
            nn.Linear(embed_dim, embed_dim),
            nn.BatchNorm1d(embed_dim),
            nn.ReLU(),
            nn.Linear(embed_dim, projection_dim),
        )


@dataclass(eq=False, repr=False)
class Contrastive(NetworkEmbedder):
    """An encoder trained so that two views of an image come near each other, and others do not.

    A subclass writes ``_loss(a, b)``, the loss of a batch of projected views, both (N, D) and of
    length one, where row i of both belongs to image i. The curves are means over each epoch.
    """

    views: tuple[View, ...] | None = None
    layer: str = "encoder"
    embed_dim: int = 128
    projection_dim: int | None = 64
    _: KW_ONLY
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 1e-2

    limits: ClassVar = {
        "layer": one_of(*LAYERS),
        "embed_dim": check_positive,
        "projection_dim": optional(check_positive),
    }
    alone = "has nothing to contrast with"

    def _loss(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _check_parameters(self):
        super()._check_parameters()
        network = getattr(self, "network_", None)
        no_head = isinstance(network["head"], nn.Identity) if network else not self.projection_dim
        if self.layer == "projection" and no_head:
            raise ValueError("layer='projection' needs a projection_dim in fit: there is no head.")

    def _views(self, channels: int) -> tuple[View, ...]:
        """The views given, or the usual ones for so many channels."""
        views = default_views(channels) if self.views is None else as_views(self.views, "views")
        if not views:
            raise ValueError(
                f"views={self.views!r} must hold at least one view, such as Affine(): two views "
                "that are the same image teach nothing."
            )
        return views

    def _build(self, channels, n_out):
        encoder = ConvEncoder(channels, self.embed_dim)
        projected = self.projection_dim
        head = ProjectionHead(self.embed_dim, projected) if projected else nn.Identity()
        return nn.ModuleDict({"encoder": encoder, "head": head})

    def _fit(self, X, y):
        view = Compose(self._views(X.shape[1]))
        network = self._new_network(X.shape[1])
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
        def embed(batch):
            vectors = self.network_["encoder"](batch)
            return vectors if self.layer == "encoder" else self.network_["head"](vectors)

        return in_batches(self.network_, embed, X)
