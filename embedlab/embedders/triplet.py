"""The triplet loss: an image is to be nearer to its other view than to a third image."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from embedlab.data.checks import check_range
from embedlab.embedders.shared.contrastive import Contrastive
from embedlab.training.augment import View


def triplet_loss(a: torch.Tensor, b: torch.Tensor, margin: float) -> torch.Tensor:
    """``max(0, |anchor - positive|² - |anchor - negative|² + margin)``, mean over the anchors.

    The anchor is one view of an image, the positive the other view. The negative is, among the
    second views of the other images, the nearest that is farther away than the positive
    ("semi-hard"), or, where none is, the farthest: the nearest of all would pull every vector to
    one point.

    Parameters
    ----------
    a, b : torch.Tensor, shape (N, D)
        Row i of both belongs to image i; at least two images.
    margin : float

    Returns
    -------
    torch.Tensor
        A scalar.

    References
    ----------
    Schroff, Kalenichenko and Philbin (2015), FaceNet: a unified embedding for face recognition
    and clustering.
    """
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    distance = 2 - 2 * a @ b.T  # (N, N), squared, between anchors and all other views
    positive = distance.diagonal()[:, None]
    itself = torch.eye(len(a), dtype=torch.bool, device=a.device)
    too_near = itself | (distance <= positive)
    semi_hard = distance.masked_fill(too_near, torch.inf).min(dim=1).values
    farthest = distance.masked_fill(itself, -torch.inf).max(dim=1).values
    negative = torch.where(semi_hard.isfinite(), semi_hard, farthest)
    return (positive[:, 0] - negative + margin).relu().mean()


class Triplet(Contrastive):
    """The encoder of :class:`SimCLR`, trained by a triplet loss, by default without a head.

    Parameters
    ----------
    margin : float
        Above 0 and at most 4: by how much the negative is to be farther away, in squared distance
        on the unit sphere.
    views : sequence of views, optional
        As in :class:`SimCLR`.
    layer : str
        ``"encoder"`` or ``"projection"``.
    embed_dim : int
        Length of the encoder's vectors.
    projection_dim : int, optional
        Length of a projection head's vectors. Default: no head, the loss sees the embedding.
    epochs : int, optional
        As in :class:`SimCLR`.
    batch_size : int
    lr, weight_decay : float
    seed : int

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
    loss_curve_, alignment_curve_, uniformity_curve_ : list of float
        Means over each epoch.

    References
    ----------
    Schroff, Kalenichenko and Philbin (2015), FaceNet: a unified embedding for face recognition
    and clustering.
    """

    def __init__(
        self,
        margin: float = 0.5,
        views: tuple[View, ...] | None = None,
        layer: str = "encoder",
        embed_dim: int = 128,
        projection_dim: int | None = None,
        epochs: int | None = None,
        batch_size: int = 128,
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        seed: int = 0,
    ):
        self.margin = margin
        self.views = views
        self.layer = layer
        self.embed_dim = embed_dim
        self.projection_dim = projection_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.seed = seed

    def _check(self, X):
        check_range(self.margin, "margin", 0, 4)
        return super()._check(X)

    def _loss(self, a, b):
        return triplet_loss(a, b, self.margin)
