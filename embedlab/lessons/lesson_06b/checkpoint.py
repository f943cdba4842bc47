"""A CLIP, a prior and a painter in one small file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from embedlab.data.download import DataUnavailable
from embedlab.embedders.clip import CLIP
from embedlab.embedders.shared.tokenizer import WordTokenizer
from embedlab.lessons.lesson_06b.drawing import Painter, Prior

VERSION = "1"  # of the file that save_drawing writes
MAX_BYTES = 2_000_000
KINDS = {"clip": CLIP, "prior": Prior, "painter": Painter}


def save_drawing(
    path: str | Path, clip: CLIP, prior: Prior, painter: Painter, command: str = ""
) -> None:
    """Write a CLIP, a prior and a painter into one small file.

    Parameters
    ----------
    path : str or path
    clip : CLIP
    prior : Prior
    painter : Painter
        All fitted, and for each other: vectors of one length.
    command : str
        What makes the file, to be said where it is missing or old; kept in it.

    Raises
    ------
    TypeError
        For another class; a CLIP that others trained does not fit into a small file.
    ValueError
        For vectors of two lengths, or a file of more than 2,000,000 bytes.
    """
    path, parts = Path(path), {"clip": clip, "prior": prior, "painter": painter}
    for name, part in parts.items():
        if not isinstance(part, KINDS[name]):
            raise TypeError(f"{name} must be a {KINDS[name].__name__}, got {type(part).__name__}.")
        check_is_fitted(part, "fit_seconds_")
    if not clip.embed_dim == prior.dim_ == painter.dim_:
        dims = f"{clip.embed_dim}, {prior.dim_} and {painter.dim_}"
        raise ValueError(f"clip, prior and painter have vectors of {dims} numbers: use one CLIP.")
    weights = {
        f"{name}.{key}": _smaller(value)
        for name, part in parts.items()
        for key, value in part.network_.state_dict().items()
    }
    about = {
        name: json.dumps(_about(part), default=np.generic.item) for name, part in parts.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(weights, half, {"version": VERSION, "command": command, **about})
        if half.stat().st_size > MAX_BYTES:
            size = f"{half.stat().st_size:,} bytes, more than {MAX_BYTES:,}"
            raise ValueError(f"{path.name} would have {size}: use a smaller width.")
        half.chmod(0o644)  # others may read it: a class server, say
        half.replace(path)  # whoever reads finds the old file or the new one, never half of one
    finally:
        half.unlink(missing_ok=True)


def _smaller(weight: torch.Tensor) -> torch.Tensor:
    """Matrices in half precision; the short rest, batch statistics among it, as it is."""
    return weight.half().contiguous() if weight.ndim > 1 else weight.contiguous()


def _about(part: BaseEstimator) -> dict:
    """All that rebuilds an estimator but its weights, as JSON can hold it."""
    params = part.get_params(deep=False)
    if "augment" in params:  # views are code; what matters after training is that there were any
        params["augment"] = bool(params["augment"])
    fitted = {k: v for k, v in vars(part).items() if k.endswith("_")}
    fitted.pop("network_")
    if "tokenizer_" in fitted:
        fitted["tokenizer_"] = fitted["tokenizer_"].vocabulary
    return {"params": params, "fitted": fitted}


def load_drawing(path: str | Path) -> tuple[CLIP, Prior, Painter]:
    """Read what :func:`save_drawing` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    (CLIP, Prior, Painter)
        As fitted.

    Raises
    ------
    embedlab.data.download.DataUnavailable
        Where the file is missing, is no such file, or was written by another version.
    """
    path = Path(path)
    if not path.is_file():
        raise DataUnavailable(f"{path} does not exist: write it with save_drawing.")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # of safetensors' own kind, which it does not promise
        raise DataUnavailable(f"{path} cannot be read: write it anew.") from error
    if about.get("version") != VERSION:
        found, again = about.get("version"), about.get("command") or "save_drawing"
        raise DataUnavailable(
            f"{path} is of version {found}, not {VERSION}: write it anew, with {again}."
        )
    return tuple(
        _rebuilt(kind, json.loads(about[name]), _of(weights, name)) for name, kind in KINDS.items()
    )


def _of(weights: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    """The weights of one of the three."""
    mine = f"{name}."
    return {k.removeprefix(mine): w for k, w in weights.items() if k.startswith(mine)}


def _rebuilt(kind: type, about: dict, weights: dict[str, torch.Tensor]) -> BaseEstimator:
    """A fitted estimator from what :func:`_about` kept and its weights."""
    params = {k: tuple(v) if isinstance(v, list) else v for k, v in about["params"].items()}
    part = kind(**params)
    vars(part).update(about["fitted"])
    if kind is not Prior:
        part.image_shape_ = tuple(part.image_shape_)
    if kind is CLIP:
        words = part.tokenizer_[3:]  # the first three are no words, the tokenizer adds them
        part.tokenizer_ = WordTokenizer(words, part.context_length)
        part.network_ = part._towers(part.image_shape_[0], len(part.tokenizer_.vocabulary))
    else:
        part.network_ = part._network()
    part.network_.load_state_dict(weights)  # into float32 again
    part.network_.eval()
    return part
