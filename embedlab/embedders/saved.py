"""A fitted embedder in one file, and back: numbers as safetensors, all else as JSON in its header.

Reading a file runs none of it. It holds data and names of classes, and these are looked up in
:func:`_known` and among the classes that the reader passes, never imported by name.
"""

import hashlib
import json
import warnings
from functools import cache
from importlib import metadata
from inspect import isclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save as as_bytes
from sklearn import decomposition, discriminant_analysis, kernel_approximation, pipeline
from sklearn.base import BaseEstimator
from sklearn.feature_extraction import text as counting
from sklearn.preprocessing import KernelCenterer
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.embedders.shared.tokenizer import WordTokenizer
from embedlab.settings import write_whole
from embedlab.training import augment

FORMAT = 1
HEADER = "embedlab"  # the JSON's name in the file
VERSIONED = ("embedlab", "numpy", "scikit-learn", "torch")


@cache
def _known() -> dict[str, type]:
    """By name, the classes of which a file may hold an object."""
    from embedlab import embedders
    from embedlab.embedders import pretrained_clip, remote

    ours = [getattr(embedders, name) for name in embedders.__all__]
    views = [v for v in vars(augment).values() if isclass(v) and v.__module__ == augment.__name__]
    theirs = [
        counting.TfidfTransformer,
        counting.TfidfVectorizer,
        decomposition.KernelPCA,
        decomposition.PCA,
        discriminant_analysis.LinearDiscriminantAnalysis,
        kernel_approximation.Nystroem,
        pipeline.Pipeline,
        KernelCenterer,
    ]
    others = [pretrained_clip.PretrainedCLIP, remote.RemoteText, WordTokenizer]
    classes = [*ours, *others, *views, *theirs]
    return {f"{c.__module__.partition('.')[0]}.{c.__name__}": c for c in classes}


# --- writing ----------------------------------------------------------------------------------


def save(embedder, path: str | Path) -> Path:
    """Write a fitted embedder to the file `path`: see :meth:`Embedder.save`."""
    check_is_fitted(embedder, "fit_seconds_")
    path, arrays = Path(path).expanduser(), {}
    if path.exists() and not is_saved(path):
        raise FileExistsError(f"{path} exists and is no saved embedder: choose another name.")
    about = {
        "format": FORMAT,
        "versions": {package: metadata.version(package) for package in VERSIONED},
        "embedder": _encoded(embedder, type(embedder).__name__, arrays),
    }
    about["sha256"] = _sha256(about, arrays)
    # One entry: safetensors puts several in another order each time.
    return write_whole(path, as_bytes(arrays, {HEADER: json.dumps(about)}))


def _encoded(value, where: str, arrays: dict[str, np.ndarray], owner=None):
    """`value`, the `owner`'s `where`, as JSON can hold it; numbers are put into `arrays`."""
    again = lambda v, more: _encoded(v, where + more, arrays, owner)  # noqa: E731
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufOU":
        return _encoded_array(np.array(value, order="K"), where, arrays)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list):
        return [again(v, f"[{i}]") for i, v in enumerate(value)]
    if isinstance(value, tuple):
        return {"tuple": again(list(value), "")}
    if isinstance(value, dict):
        return {"dict": [[again(k, f"({k!r})"), again(v, f"[{k!r}]")] for k, v in value.items()]}
    if isclass(value) and issubclass(value, np.number):
        return {"number": np.dtype(value).name}
    if hasattr(value, "built_for") and isinstance(value, nn.Module):
        weights = value.state_dict()
        _rebuilt(owner, value.built_for, weights)  # or it could not be loaded
        arrays.update({f"{where}.{name}": tensor.numpy() for name, tensor in weights.items()})
        return {"network": where, "built_for": value.built_for}
    names = {cls: name for name, cls in _known().items()}
    name = names.get(type(value)) or (isinstance(value, BaseEstimator) and type(value).__name__)
    if not name:
        raise TypeError(
            f"{where} is a {type(value).__name__}, which cannot be saved as data. Where transform "
            "does not need it, replace it by set_params and save again."
        )
    state = {k: _encoded(v, f"{where}.{k}", arrays, value) for k, v in _state(value).items()}
    return {"class": name, "state": state}


def _encoded_array(array: np.ndarray, where: str, arrays: dict[str, np.ndarray]) -> dict:
    """An array of numbers put into `arrays`, or one of texts as a list."""
    if array.dtype.kind in "OU":
        return {"texts": _encoded(array.tolist(), where, arrays), "dtype": array.dtype.str}
    # Its order in memory is kept: in another one a matrix product has other last bits.
    transposed = array.ndim > 1 and not array.flags.c_contiguous
    arrays[where] = np.ascontiguousarray(array.T) if transposed else array
    return {"array": where, "transposed": transposed}


def _state(thing) -> dict:
    """What is kept of an object: all it has, or a fitted pretrained one's parameters and hash."""
    if getattr(thing, "pretrained", False) and hasattr(thing, "weights_"):
        return {**thing.get_params(deep=False), "weights_": thing.weights_}
    return vars(thing)


def _sha256(about: dict, arrays: dict[str, np.ndarray]) -> str:
    """Of all that a file holds, in hex."""
    digest = hashlib.sha256(json.dumps(about).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


# --- reading ----------------------------------------------------------------------------------


def is_saved(path: str | Path) -> bool:
    """Whether a file is a saved embedder, by its header."""
    try:
        with safe_open(path, "np") as file:
            return HEADER in (file.metadata() or {})
    except Exception:  # as in _read
        return False


def load(path: str | Path, *own: type):
    """A fitted embedder from the file that its ``save(path)`` wrote; it gives the same vectors.

    Of a model that others trained the file tells the parameters and the hash of the weights, which
    must be on this machine, and the same.

    Parameters
    ----------
    path : str or path
    *own : type
        Your own classes of which the file holds an object: ``load(path, MyEmbedder)``.

    Returns
    -------
    embedlab.embedders.base.Embedder

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a file that is something else, damaged, of another format, of a class that is not known,
        or of a model whose weights are others now.
    embedlab.data.download.DataUnavailable
        Where the weights of a model that others trained are not on this machine.
    """
    path = Path(path).expanduser()
    if not all(isclass(cls) for cls in own):
        raise TypeError(f"load takes a path, then classes, such as MyEmbedder; got {own}.")
    about, arrays = _read(path)
    try:
        if '"class": "sklearn.' in json.dumps(about):
            _warn_of_versions(path, about["versions"]["scikit-learn"])
        classes = _known() | {cls.__name__: cls for cls in own}
        embedder = _decoded(about["embedder"], arrays, classes)
        check_is_fitted(embedder, "fit_seconds_")
        embedder._check_parameters()
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error
    return embedder


def _read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The JSON and the arrays of a file, undamaged and of today's format."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: embedder.save(path) writes such a file.")
    damaged = f"{path} is damaged, or no file that embedder.save(path) wrote."
    try:
        with safe_open(path, "np") as file:
            about = dict(json.loads(file.metadata()[HEADER]))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # of safetensors' own kind, which it does not promise
        raise ValueError(damaged) from error
    found = about.get("format")
    if found != FORMAT:
        raise ValueError(f"{path} has format {found}; this version of embedlab reads {FORMAT}.")
    if about.pop("sha256", None) != _sha256(about, arrays):
        raise ValueError(damaged)
    return about, arrays


def _warn_of_versions(path: Path, then: str) -> None:
    """A warning where scikit-learn's estimators come from another minor version of it."""
    now = metadata.version("scikit-learn")
    if then.split(".")[:2] != now.split(".")[:2]:
        warnings.warn(
            f"{path} was saved with scikit-learn {then}, this is {now}: its vectors may differ. "
            "Fit it again to be sure.",
            stacklevel=3,
        )


def _decoded(node, arrays: dict[str, np.ndarray], classes: dict[str, type], owner=None):
    """What :func:`_encoded` was given, from what it made of it."""
    again = lambda v, owner=owner: _decoded(v, arrays, classes, owner)  # noqa: E731
    match node:
        case list():
            return [again(v) for v in node]
        case {"tuple": values}:
            return tuple(again(values))
        case {"dict": pairs}:
            return {again(k): again(v) for k, v in pairs}
        case {"number": name}:
            return np.dtype(name).type
        case {"texts": texts, "dtype": dtype}:
            return np.array(again(texts), dtype)[()]
        case {"array": name, "transposed": transposed}:
            array = np.array(arrays[name])
            return array.T if transposed else array[()]  # of shape (): a number of NumPy's
        case {"network": name, "built_for": built_for}:
            start = f"{name}."
            weights = {k: torch.tensor(a) for k, a in arrays.items() if k.startswith(start)}
            weights = {k.removeprefix(start): tensor for k, tensor in weights.items()}
            return _rebuilt(owner, built_for, weights)
        case {"class": name, "state": state}:
            if name not in classes:
                raise ValueError(f"{name} is no class of embedlab's: pass it, load(path, {name}).")
            thing = object.__new__(classes[name])
            for key, value in state.items():
                vars(thing)[key] = again(value, thing)
            return _with_weights(thing) if _state(thing) is not vars(thing) else thing
    return node


def _with_weights(embedder):
    """A pretrained embedder, fitted: its weights must have the hash that it was saved with."""
    then = embedder.weights_
    if embedder.fit().weights_ != then:
        raise ValueError(f"the weights of {embedder} here are others than those it was saved with.")
    return embedder


def _rebuilt(owner, built_for, weights: dict[str, torch.Tensor]) -> nn.Module:
    """The network with these weights, built by its owner's parameters."""
    try:
        network = owner._new_network(*built_for)
        network.load_state_dict(weights)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the parameters of {type(owner).__name__} do not build the network that it has: set "
            "them as they were in fit, or fit again."
        ) from error
    return network.eval()
