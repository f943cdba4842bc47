"""The control that has learned nothing."""

from dataclasses import dataclass

from sklearn.base import clone
from torch import nn

from embedlab.embedders.base import Embedder
from embedlab.embedders.shared.network import NetworkEmbedder


@dataclass(eq=False, repr=False)
class Untrained(Embedder):
    """A network with its first, random weights: the control that has learned nothing.

    Parameters
    ----------
    embedder : NetworkEmbedder
        Whose network it is: ``Untrained(LeNet5(seed=1))``.

    Attributes
    ----------
    network_ : torch.nn.Module
    embedder_ : NetworkEmbedder
        A copy of `embedder` with this network, that looks fitted.
    """

    embedder: NetworkEmbedder

    def _check(self, X):
        self.embedder._check(X)

    def _fit(self, X, y):
        self.embedder_ = clone(self.embedder)
        self.embedder_.network_ = self.embedder._new_network(X.shape[1]).eval()
        self.embedder_.image_shape_, self.embedder_.fit_seconds_ = X.shape[1:], 0.0

    @property
    def network_(self) -> nn.Module:
        """The network, from ``fit`` on."""
        return self.embedder_.network_

    def _transform(self, X):
        return self.embedder_._transform(X)

    def at(self, **params):
        """The same weights, read in another way: see :meth:`Embedder.at`."""
        other = super().at()
        other.embedder_ = self.embedder_.at(**params)
        return other
