"""Is it images, labels, texts, a number in its range? Or an error that helps."""

from __future__ import annotations

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
)

from embedlab.data.captions import words


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


def check_texts(texts, name: str) -> list[str]:
    """`texts` as a list of str, each with a word in it.

    Parameters
    ----------
    texts : sequence of str
    name : str
        Of the argument, for the message.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError
        For a single str, or for what is no text.
    ValueError
        For no texts, or one without a word.
    """
    if isinstance(texts, str):
        raise TypeError(f"{name} must be a list of texts, got the single text {texts!r}.")
    try:
        texts = list(texts)
    except TypeError:
        raise TypeError(f"{name} must be a list of texts, got {type(texts).__name__}.") from None
    if not texts:
        raise ValueError(f"{name} is empty: pass at least one text.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{i}] is {text!r}, not a text.")
        if not words(text):
            raise ValueError(f"{name}[{i}] is {text!r}: there is no word in it.")
    return [str(text) for text in texts]  # NumPy's str is a str, and pickles larger


def check_unit(vectors, name: str, dim: int | None = None) -> np.ndarray:
    """`vectors` as float32 of length one.

    Parameters
    ----------
    vectors : array-like of float, shape (N, D)
    name : str
        Of the argument, for the message.
    dim : int, optional
        The length D that they must have.

    Returns
    -------
    ndarray of float32, shape (N, D)

    Raises
    ------
    ValueError
        For another shape, or vectors of another length than one.
    """
    vectors = check_array(vectors, dtype=np.float32, input_name=name)
    if dim is not None and vectors.shape[1] != dim:
        raise ValueError(f"{name} have {vectors.shape[1]} numbers each, {dim} are needed.")
    length = np.linalg.norm(vectors, axis=1)
    if np.abs(length - 1).max() > 1e-2:
        raise ValueError(
            f"{name} must have length one, found {length.min():.3g} to {length.max():.3g}: use "
            "clip.embed_images and clip.embed_text, or embedlab.search.exact.normalised."
        )
    return vectors
