"""The contract of an embedder: scikit-learn's interface, and what is checked on the way in."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from embedlab.data.checks import check_images, check_labels, check_side


def forget(estimator: BaseEstimator) -> None:
    """Remove all that was fitted: interrupted or failed, a refit must not look fitted."""
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)


class Embedder(TransformerMixin, BaseEstimator):
    """A function from images to vectors: ``fit(X, y=None)``, ``transform(X) -> (N, D) float32``.

    A subclass is a dataclass: its fields are its parameters, and `limits` says by name which values
    they may have. It writes ``_fit(X, y)``, which sets what it learned, and ``_transform(X)``.

    Attributes
    ----------
    supervision : str
        What people had to supply for the training images: ``"none"``, ``"captions"``, ``"labels"``.
    pretrained : bool
        Whether others have trained it: ``fit()`` then loads, and learns nothing.
    side : int or None
        Height and width that the images must have, in pixels; None: any.
    fit_seconds_ : float
        Seconds that ``fit`` took.
    image_shape_ : tuple of int
        (C, H, W) of the images it was fitted on.
    """

    supervision = "none"
    pretrained = False
    side = None
    limits: ClassVar[dict[str, Callable]] = {}

    def fit(self, X=None, y=None) -> Self:
        """Learn the embedding.

        Parameters
        ----------
        X : array-like of float, shape (N, C, H, W)
            Images in [0, 1].
        y : array-like, shape (N,), optional
            Class labels; required where ``supervision`` is ``"labels"``. Captions, a str for each
            image, where it is ``"captions"``.

        Returns
        -------
        self
        """
        start = time.perf_counter()
        if not self.pretrained:
            X = self._check_input(X)
            y = self._check_target(y, len(X))
        forget(self)
        self._check(X)
        self._fit(X, y)
        if isinstance(X, np.ndarray):
            self.image_shape_ = X.shape[1:]
        self.fit_seconds_ = time.perf_counter() - start
        return self

    def transform(self, X) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        X : array-like of float, shape (N, C, H, W)
            Images in [0, 1], of the shape seen in ``fit``.

        Returns
        -------
        ndarray of float32, shape (N, D)
        """
        X = self._like_fitted(X)
        self._check_parameters()
        return np.ascontiguousarray(self._transform(X), dtype=np.float32)

    def at(self, **params) -> Self:
        """The same fitted embedder, read in another way: ``at(layer="logits")``.

        Parameters
        ----------
        **params
            What ``transform`` heeds, such as `layer` or `global_pool`.

        Returns
        -------
        embedder
            A copy that shares what was learned.
        """
        check_is_fitted(self, "fit_seconds_")
        other = copy.copy(self).set_params(**params)
        other._check_parameters()
        return other

    def save(self, path: str | Path) -> Path:
        """Write the fitted embedder to a file of safetensors that :func:`embedlab.load` reads.

        The file holds data alone, no code. Of a model that others trained it holds the parameters
        and the hash of its weights.

        Parameters
        ----------
        path : str or path
            Such as ``"lenet.safetensors"``. An embedder saved there before is replaced, and is
            whole until then.

        Returns
        -------
        Path

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        FileExistsError
            Where there is a file that is no saved embedder.
        TypeError
            For a part that is no data, such as a view of your own.
        ValueError
            Where the parameters no longer build the network that was trained.
        """
        from embedlab.embedders.saved import save

        return save(self, path)

    def _check_input(self, X) -> np.ndarray:
        """`X` as what this embeds: images (N, C, H, W)."""
        return check_images(X)

    def _check_target(self, y, n: int):
        """`y` as what this learns from besides `n` images, where it does."""
        return check_labels(y, n, type(self).__name__) if self.supervision == "labels" else y

    def _check(self, X) -> None:
        """Refuse parameters out of their limits, and images (N, C, H, W) of another side."""
        self._check_parameters()
        if self.side is not None:
            check_side(X, self.side)

    def _check_parameters(self) -> None:
        """Refuse a parameter out of its limits; a subclass adds rules for two of them at once."""
        for cls in reversed(type(self).__mro__):
            for name, check in vars(cls).get("limits", {}).items():
                check(getattr(self, name), name)

    def _like_fitted(self, X):
        """`X` as in ``fit``: images of the shape seen there."""
        check_is_fitted(self, "fit_seconds_")
        X = self._check_input(X)
        if hasattr(self, "image_shape_") and X.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {X.shape[1:]}, but {type(self).__name__} was fitted "
                f"with {self.image_shape_}."
            )
        return X

    def _fit(self, X, y) -> None:
        raise NotImplementedError

    def _transform(self, X) -> np.ndarray:
        raise NotImplementedError
