"""The triplet loss: an image is to be nearer to its other view than to a third image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from embedlab.data.checks import above
from embedlab.embedders.shared.contrastive import Contrastive


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


@dataclass(eq=False, repr=False)
class Triplet(Contrastive):
    """The encoder of :class:`SimCLR`, trained by a triplet loss, by default without a head.

    Parameters
    ----------
    margin : float
        Above 0 and at most 4: by how much the negative is to be farther away, in squared distance
        on the unit sphere.
    projection_dim : int, optional
        Length of a projection head's vectors. Default: no head, the loss sees the embedding.
    views, layer, embed_dim, **kwargs
        As in :class:`SimCLR`.

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

    margin: float = 0.5
    projection_dim: int | None = None

    limits: ClassVar = {"margin": above(0, 4)}

    def _loss(self, a, b):
        return triplet_loss(a, b, self.margin)
