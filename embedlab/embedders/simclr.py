"""SimCLR: of all the views in a batch, find the other view of the same image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from embedlab.data.checks import above
from embedlab.embedders.shared.contrastive import Contrastive


def nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float) -> torch.Tensor:
    """Normalised temperature-scaled cross-entropy.

    Each of the 2N views asks: which of the other 2N - 1 shows my image? The cosines over the
    temperature are the logits of its answer.

    Parameters
    ----------
    a, b : torch.Tensor, shape (N, D)
        Row i of both belongs to image i.
    temperature : float

    Returns
    -------
    torch.Tensor
        The mean over the 2N views, in nats.

    References
    ----------
    Chen, Kornblith, Norouzi and Hinton (2020), A simple framework for contrastive learning of
    visual representations; Sohn (2016).
    """
    n = len(a)
    z = F.normalize(torch.cat([a, b]), dim=1)  # (2N, D)
    logits = z @ z.T / temperature  # (2N, 2N)
    itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    logits = logits.masked_fill(itself, -torch.inf)  # a view is not its own answer
    partner = torch.arange(2 * n, device=z.device).roll(n)  # i + N for a, i - N for b
    return F.cross_entropy(logits, partner)


@dataclass(eq=False, repr=False)
class SimCLR(Contrastive):
    """A small convolutional encoder trained by NT-Xent on two views of each image.

    Parameters
    ----------
    temperature : float
        Above 0. The lower, the more the nearest wrong views count.
    views : sequence of views, optional
        Applied in turn. Default: affine, elastic, blur, brightness and contrast for grey images;
        crop, flip and colours for colour ones.
    layer : str
        What ``transform`` gives: the ``"encoder"``'s vectors, or those after the head, the
        ``"projection"``. Both are there after one ``fit``, see :meth:`at`.
    embed_dim : int
        Length of the encoder's vectors.
    projection_dim : int, optional
        Length of the vectors that the loss sees. None: no head, the loss sees the encoder's.
    epochs : int, optional
        Default: 50, fewer where there are many images: about 250,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
    loss_curve_, alignment_curve_, uniformity_curve_ : list of float
        Means over each epoch.

    References
    ----------
    Chen, Kornblith, Norouzi and Hinton (2020), A simple framework for contrastive learning of
    visual representations.
    """

    temperature: float = 0.5

    limits: ClassVar = {"temperature": above(0)}

    def _loss(self, a, b):
        return nt_xent(a, b, self.temperature)
