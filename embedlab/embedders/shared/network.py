"""What every embedder that trains a network shares: how long, how fast, from which seed."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from embedlab.data.checks import check_positive, optional
from embedlab.embedders.base import Embedder
from embedlab.training.augment import Affine, Compose, View
from embedlab.training.device import pick_budget, pick_device
from embedlab.training.loop import seeded, train


def as_views(views: View | Sequence[View], name: str) -> tuple[View, ...]:
    """One view or several as a tuple; an error that speaks of `name` for what is no view."""
    found = tuple(views) if isinstance(views, Sequence) else (views,)
    if any(isinstance(view, type) or not callable(view) for view in found):
        raise ValueError(f"{name}={views!r} must hold views, such as Affine().")
    return found


@dataclass(eq=False, repr=False)
class NetworkEmbedder(Embedder):
    """An embedder whose ``_fit`` trains a network.

    A subclass writes ``_build(channels, n_out)``, the network with its first weights.

    Parameters
    ----------
    epochs : int, optional
        Default: what the subclass says, and more on a GPU, see :func:`pick_budget`.
    batch_size : int
        Images a step.
    lr, weight_decay : float
        Of AdamW; `lr` is the top of a one-cycle schedule.
    seed : int
        Of the first weights, the order of the images and all that is drawn in training.

    Attributes
    ----------
    network_ : torch.nn.Module
        On the CPU.
    loss_curve_ : list of float
        Mean loss of each epoch.
    """

    _: KW_ONLY
    epochs: int | None = None
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.05
    seed: int = 0

    side = 32
    limits: ClassVar = {"epochs": optional(check_positive), "batch_size": check_positive}
    alone = ""  # what is wrong with a batch of one image, where something is

    def _build(self, channels: int, n_out: int) -> nn.Module:
        raise NotImplementedError

    def _check(self, X: np.ndarray) -> None:
        super()._check(X)
        if self.alone and min(self.batch_size, len(X)) < 2:
            what = "batch_size=1" if self.batch_size == 1 else "X holds a single image, so a batch"
            raise ValueError(f"{what} {self.alone}: at least 2 are needed.")

    def _new_network(self, channels: int, n_out: int = 10) -> nn.Module:
        """The network with the first weights that `seed` gives."""
        with seeded(self.seed):
            network = self._build(channels, n_out)
        network.built_for = channels, n_out  # what `embedlab.load` needs to build it again
        return network

    def _view(self) -> View:
        """What `augment` stands for: a mild affine view, or the views given, or none."""
        if self.augment is None or isinstance(self.augment, bool | np.bool_):
            return Affine() if self.augment else Compose(())
        return Compose(as_views(self.augment, "augment"))

    def _epochs(self, n: int, most: int, images: int) -> int:
        """`epochs`, or what :meth:`Budget.epochs_for` gives for `n` images."""
        return self.epochs or pick_budget(pick_device()).epochs_for(n, most=most, images=images)

    def _train(self, network: nn.Module, loss: Callable, n: int, epochs: int) -> None:
        """Train with :func:`embedlab.training.loop.train` on `n` images, keep what comes of it."""
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


class LabelledNetwork(NetworkEmbedder):
    """One that is taught to name the classes; `classes_` are their labels, by output unit.

    A subclass writes ``_logits(X)``, images (N, C, 32, 32) to (N, classes).
    """

    supervision = "labels"

    def predict(self, X) -> np.ndarray:
        """The class (N,) of each image (N, C, 32, 32), by the network's own output layer."""
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]
