"""Is it images, labels, texts, a number in its range? Or an error that helps."""

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d


def check_images(X, name: str = "X") -> np.ndarray:
    """`X` as images: ndarray of float32, (N, C, H, W) with C = 1 or 3, in [0, 1]."""
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
    """`y` as class labels, (n,), of at least two classes; `needed_by` names who asks."""
    if y is None:
        raise ValueError(f"{needed_by} requires y to be passed, but the target y is None.")
    y = column_or_1d(y)
    check_consistent_length(np.empty(n), y)
    check_classification_targets(y)
    if len(np.unique(y)) < 2:
        raise ValueError(f"y has a single class, {y[0]!r}: {needed_by} needs at least two.")
    return y


def check_captions(captions, n: int, needed_by: str) -> list[str]:
    """`captions` as a list of `n` texts; `needed_by` names who asks."""
    if captions is None:
        raise ValueError(
            f"{needed_by} needs captions, a text for each image: fit(images, captions)."
        )
    captions = check_texts(captions, "captions")
    if len(captions) != n:
        raise ValueError(f"captions has {len(captions)} texts for {n} images.")
    return captions


def check_positive(value, name: str) -> None:
    """Raise ValueError unless `value` is a whole number of at least 1."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1.")


def check_side(X: np.ndarray, side: int = 32) -> None:
    """Raise ValueError unless the images `X`, (N, C, H, W), are `side` by `side` pixels."""
    if X.shape[2:] != (side, side):
        raise ValueError(f"X must hold {side}x{side} images, got {X.shape[2]}x{X.shape[3]}.")


def check_range(value, name: str, low: float, high: float = np.inf) -> None:
    """Raise ValueError unless `value` is a finite number above `low` and at most `high`."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not low < value <= high or not np.isfinite(value):
        limit = "" if high == np.inf else f" and at most {high:g}"
        raise ValueError(f"{name}={value!r} must be a number above {low:g}{limit}.")


def check_texts(texts, name: str) -> list[str]:
    """`texts` as a list of str, none of them blank: TypeError for a single str."""
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
        if not text.strip():
            raise ValueError(f"{name}[{i}] is {text!r}: there is no word in it.")
    return [str(text) for text in texts]  # NumPy's str is a str, and pickles larger


def check_unit(vectors, name: str, dim: int | None = None) -> np.ndarray:
    """`vectors` as float32 of length one, (N, D); D must be `dim` where that is given."""
    vectors = check_array(vectors, dtype=np.float32, input_name=name)
    if dim is not None and vectors.shape[1] != dim:
        raise ValueError(f"{name} have {vectors.shape[1]} numbers each, {dim} are needed.")
    length = np.linalg.norm(vectors, axis=1)
    if np.abs(length - 1).max() > 1e-2:
        raise ValueError(
            f"{name} must have length one, found {length.min():.3g} to {length.max():.3g}: use "
            "clip.embed_images and clip.embed_text, or embedlab.search.exact.normalize."
        )
    return vectors


# What an embedder's parameters may be: `limits` of a class are functions of (value, name).


def one_of(*options: str):
    """A check that a value is one of `options`."""

    def check(value, name: str) -> None:
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"{name}={value!r} must be one of {', '.join(options)}.")

    return check


def above(low: float, high: float = np.inf):
    """A check that a value is a finite number above `low` and at most `high`."""
    return lambda value, name: check_range(value, name, low, high)


def optional(check):
    """A check that a value is None, or passes `check`."""
    return lambda value, name: None if value is None else check(value, name)


def at_least(low: float):
    """A check that a value is a finite number of at least `low`."""

    def check(value, name: str) -> None:
        if value != low:
            check_range(value, name, low)

    return check
