"""What every embedder shares: scikit-learn's interface and the checks on what goes in."""

from __future__ import annotations

import time

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from embedlab.embedders.tokenizer import check_texts


def check_images(X, name: str = "X") -> np.ndarray:
    """`X` as images: float32, (N, C, H, W), finite, in [0, 1].

    Parameters
    ----------
    X : array-like of float, shape (N, C, H, W)
    name : str
        Of the argument, for the message.

    Returns
    -------
    ndarray of float32

    Raises
    ------
    TypeError
        For integers, text or objects.
    ValueError
        For another shape, no images, NaN, infinity, or pixels outside [0, 1].
    """
    dtype = getattr(X, "dtype", None) or np.asarray(X).dtype
    if not str(dtype).removeprefix("torch.").startswith("float"):
        raise TypeError(
            f"{name} must hold floats in [0, 1], got {dtype}: divide 8-bit pixels by 255."
        )
    X = check_array(X, dtype=np.float32, allow_nd=True, ensure_2d=False, input_name=name)
    if X.ndim != 4 or X.shape[1] not in (1, 3):
        raise ValueError(f"{name} must have shape (N, C, H, W) with C = 1 or 3, got {X.shape}.")
    if X.min() < 0 or X.max() > 1:
        raise ValueError(
            f"{name} must lie in [0, 1], found {X.min():g} to {X.max():g}: divide 8-bit by 255."
        )
    return X


def check_labels(y, n: int, needed_by: str) -> np.ndarray:
    """`y` as class labels of `n` images, at least two classes.

    Parameters
    ----------
    y : array-like, shape (N,)
    n : int
    needed_by : str
        The embedder that asks, for the message.

    Returns
    -------
    ndarray, shape (N,)

    Raises
    ------
    ValueError
        For no labels, another length, continuous values, or a single class.
    """
    if y is None:
        raise ValueError(f"{needed_by} requires y to be passed, but the target y is None.")
    y = column_or_1d(y)
    check_consistent_length(np.empty(n), y)
    check_classification_targets(y)
    if len(np.unique(y)) < 2:
        raise ValueError(f"y has a single class, {y[0]!r}: {needed_by} needs at least two.")
    return y


def check_captions(captions, n: int, needed_by: str) -> list[str]:
    """`captions` as a list of `n` texts.

    Parameters
    ----------
    captions : sequence of str
    n : int
        Number of images.
    needed_by : str
        The embedder that asks, for the message.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError, ValueError
        For no captions, another number than there are images, or what is no text.
    """
    if captions is None:
        raise ValueError(
            f"{needed_by} needs captions, a text for each image: fit(images, captions)."
        )
    captions = check_texts(captions, "captions")
    if len(captions) != n:
        raise ValueError(f"captions has {len(captions)} texts for {n} images.")
    return captions


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


def check_positive(value, name: str) -> None:
    """Raise ValueError unless `value` is a whole number of at least 1.

    Parameters
    ----------
    value : int
    name : str
        Of the argument, for the message.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")


def check_side(X: np.ndarray, side: int = 32) -> None:
    """Raise ValueError unless the images are `side` by `side` pixels, as a network needs them.

    Parameters
    ----------
    X : ndarray, shape (N, C, H, W)
    side : int
    """
    if X.shape[2:] != (side, side):
        raise ValueError(f"X must hold {side}x{side} images, got {X.shape[2]}x{X.shape[3]}.")


def check_range(value, name: str, low: float, high: float = np.inf) -> None:
    """Raise ValueError unless `value` is a finite number above `low` and at most `high`.

    Parameters
    ----------
    value : float
    name : str
        Of the argument, for the message.
    low, high : float
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not low < value <= high or not np.isfinite(value):
        limit = "" if high == np.inf else f" and at most {high:g}"
        raise ValueError(f"{name}={value!r} must be a number above {low:g}{limit}.")
