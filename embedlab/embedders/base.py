"""What every embedder shares: scikit-learn's interface and the checks on what goes in."""

from __future__ import annotations

import time

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import (
    check_is_fitted,
)

from embedlab.data.checks import check_captions, check_images, check_labels


def forget(estimator: BaseEstimator) -> None:
    """Remove all that was fitted: interrupted or failed, a refit must not look fitted.

    Parameters
    ----------
    estimator : estimator
    """
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)


class Embedder(TransformerMixin, BaseEstimator):
    """A function from images to vectors: ``fit(X, y=None)``, ``transform(X) -> (N, D) float32``.

    A subclass writes ``_fit(X, y)``, which sets what it learned, and ``_transform(X)``.

    Attributes
    ----------
    supervision : str
        What people had to supply for the training images: ``"none"``, ``"captions"``, ``"labels"``.
    fit_seconds_ : float
        Seconds that ``fit`` took.
    image_shape_ : tuple of int
        (C, H, W) of the images it was fitted on.
    """

    supervision = "none"

    def fit(self, X, y=None):
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
        X = check_images(X)
        if self.supervision == "labels":
            y = check_labels(y, len(X), type(self).__name__)
        elif self.supervision == "captions":
            y = check_captions(y, len(X), type(self).__name__)
        forget(self)
        self._fit(X, y)
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
        return np.ascontiguousarray(self._transform(self._like_fitted(X)), dtype=np.float32)

    def _like_fitted(self, X) -> np.ndarray:
        """`X` as images of the shape seen in ``fit``."""
        check_is_fitted(self, "fit_seconds_")
        X = check_images(X)
        if X.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {X.shape[1:]}, but {type(self).__name__} was fitted "
                f"with {self.image_shape_}."
            )
        return X

    def _fit(self, X: np.ndarray, y: np.ndarray | None) -> None:
        raise NotImplementedError

    def _transform(self, X: np.ndarray) -> np.ndarray:
        raise NotImplementedError
