"""A CLIP, a prior and a painter in one small file."""

import json
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
KINDS = {"clip": CLIP, "prior": Prior, "painter": Painter}


def save_drawing(path: Path, clip: CLIP, prior: Prior, painter: Painter) -> None:
    """Write a fitted CLIP, and a prior and a painter for its vectors, into one file."""
    parts = {"clip": clip, "prior": prior, "painter": painter}
    for part in parts.values():
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
    half = path.with_name(f"{path.name}.part")  # whoever reads finds the old file or the new one
    save_file(weights, half, {"version": VERSION, **about})
    half.replace(path)


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


def load_drawing(path: Path) -> tuple[CLIP, Prior, Painter]:
    """Read what :func:`save_drawing` wrote; DataUnavailable for anything else."""
    if not path.is_file():
        raise DataUnavailable(f"{path} does not exist: embedlab checkpoint makes one.")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:  # of safetensors' own kind, which it does not promise
        raise DataUnavailable(f"{path} cannot be read: embedlab checkpoint makes one.") from error
    if about.get("version") != VERSION:
        raise DataUnavailable(
            f"{path} is of version {about.get('version')}, not {VERSION}: embedlab checkpoint "
            "makes one."
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
        channels, n_words = part.image_shape_[0], len(part.tokenizer_.vocabulary)
        part.network_ = part._new_network(channels, n_words)
    else:
        part.network_ = part._network()
    part.network_.load_state_dict(weights)  # into float32 again
    part.network_.eval()
    return part
