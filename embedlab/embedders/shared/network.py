"""What every embedder that trains a network shares: how long, how fast, from which seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import nn

from embedlab.data.checks import check_positive
from embedlab.embedders.base import Embedder
from embedlab.training.augment import Affine, Compose, View
from embedlab.training.device import pick_budget, pick_device
from embedlab.training.loop import train


def as_views(views: View | Sequence[View], name: str) -> tuple[View, ...]:
    """One view or several, as a tuple.

    Parameters
    ----------
    views : view or sequence of views
    name : str
        Of the argument, for the message.

    Returns
    -------
    tuple of views

    Raises
    ------
    ValueError
        For something that is no view.
    """
    found = tuple(views) if isinstance(views, Sequence) else (views,)
    if any(isinstance(view, type) or not callable(view) for view in found):
        raise ValueError(
            f"{name}={views!r} must hold views, such as embedlab.training.augment.Affine()."
        )
    return found


class NetworkEmbedder(Embedder):
    """An embedder whose ``_fit`` trains a network.

    A subclass has the parameters `epochs`, `batch_size`, `lr`, `weight_decay` and `seed`.

    Attributes
    ----------
    network_ : torch.nn.Module
        On the CPU.
    loss_curve_ : list of float
        Mean loss of each epoch.
    """

    def _check_training(self) -> None:
        if self.epochs is not None:
            check_positive(self.epochs, "epochs")
        check_positive(self.batch_size, "batch_size")

    def _view(self) -> View:
        """What `augment` stands for: a mild affine view, or the views given, or none."""
        if self.augment is None or isinstance(self.augment, bool | np.bool_):
            return Affine() if self.augment else Compose(())
        return Compose(as_views(self.augment, "augment"))

    def _epochs(self, n: int, most: int, images: int) -> int:
        """`epochs`, or what :meth:`Budget.epochs_for` gives for `n` images."""
        return self.epochs or pick_budget(pick_device()).epochs_for(n, most=most, images=images)

    def _train(self, network: nn.Module, loss: Callable, n: int, epochs: int) -> None:
        """Train with :func:`train` on `n` images and keep what comes of it."""
        self.loss_curve_ = train(
            network,
            loss,
            n,
            epochs=epochs,
            batch_size=min(self.batch_size, n),
            lr=self.lr,
            weight_decay=self.weight_decay,
            seed=self.seed,
            device=pick_device(),
            label=f"{type(self).__name__} seed {self.seed}",
        )
        self.network_ = network
