"""Anything as vectors, in one line: pictures from files or memory, texts, with any model."""

import hashlib
import json
import os
import warnings
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from embedlab.data.download import DataUnavailable
from embedlab.data.pictures import as_seen, open_picture
from embedlab.data.things import sort_out
from embedlab.data.weights import torchvision_names
from embedlab.embedders.backbones import LITE0
from embedlab.embedders.base import Embedder
from embedlab.embedders.files import BATCH_SIZE, embed_pictures
from embedlab.embedders.pretrained import Pretrained
from embedlab.embedders.pretrained_clip import PretrainedCLIP
from embedlab.embedders.remote import RemoteText
from embedlab.embedders.saved import is_saved, load
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.embedders.text import EmbedderOfTexts, TextEmbedder
from embedlab.search.shards import Key

MINILM, REMOTE = "minilm", "openai:"
TEXT_MODELS = (MINILM, "bert-base-cased", "bert-base-uncased", "distilbert-base-cased")


def embed(what, model=None) -> np.ndarray:
    """Embed pictures or texts.

    Parameters
    ----------
    what : str, path, PIL image, array or sequence of these
        Pictures: a path, a glob such as ``"photos/*.jpg"``, whose files are taken in the order of
        their names, a list of paths, PIL images, an array of float in [0, 1], (N, C, H, W) or
        (C, H, W), or of uint8, (N, H, W, 3) or (H, W, 3). Or texts: a list of str, or one. A str
        that looks like a path or a glob is never a text.
    model : str, path or embedder, optional
        Of pictures a model of :class:`~embedlab.embedders.pretrained.Pretrained`, default
        ``"efficientnet-lite0"``; of texts one of :class:`~embedlab.embedders.text.TextEmbedder`,
        default ``"minilm"``, or ``"openai:NAME"``, to which the texts are sent. Of either a CLIP, a
        file that ``embedder.save(path)`` wrote, or a fitted embedder.

    Returns
    -------
    ndarray of float32, shape (N, D)
        The row of a picture that cannot be read is NaN, and a warning names it.

    Raises
    ------
    FileNotFoundError
        For a path without a file, before anything is embedded.
    TypeError, ValueError
        For what is neither pictures nor texts, for a model of the other kind, for an unknown one,
        and where no picture at all can be read.
    embedlab.data.download.DataUnavailable
        Where a model's weights are not on this machine; the message says how to get them.

    Examples
    --------
    >>> embed(["football", "soccer", "footwear"]).shape
    (3, 384)
    """
    kind, things = sort_out(what)
    embedder = find_embedder(kind, model)
    if kind == "texts":
        as_text = isinstance(embedder, ImageTextEmbedder)
        return embedder.embed_text(things) if as_text else embedder.transform(things)
    return embedder.transform(things) if kind == "array" else _pictures(things, embedder)


def _pictures(things: list[Path | Image.Image], embedder: Embedder) -> np.ndarray:
    """Vectors (N, D) of files and PIL images; a row of NaN for each that cannot be read."""
    vectors, failed = np.empty((0, 0), np.float32), {}
    with tqdm(total=len(things), desc="embedding", delay=1, leave=False) as bar:
        for done in embed_pictures(things, _read, embedder):
            if done.rows:
                if not len(vectors):
                    vectors = np.full((len(things), done.vectors.shape[1]), np.nan, np.float32)
                vectors[done.rows] = done.vectors
            failed |= done.failed
            bar.update(min(BATCH_SIZE, len(things) - bar.n))
    told = " ".join(f"Row {i}: {why.rstrip('.')}." for i, why in failed.items())
    if len(failed) == len(things):
        raise ValueError(f"No picture could be embedded. {told}")
    if failed:
        warnings.warn(f"Not embedded, their rows are NaN ({len(failed)}). {told}", stacklevel=3)
    return vectors


def _read(thing: Path | Image.Image) -> Image.Image:
    return as_seen(thing) if isinstance(thing, Image.Image) else open_picture(thing)


# --- model ------------------------------------------------------------------------------------


def find_embedder(kind: str, model=None) -> Embedder:
    """The fitted embedder that `model` stands for, able to embed what is of that kind."""
    for_texts = kind == "texts"
    if isinstance(model, Embedder):
        check_is_fitted(model, "fit_seconds_")
        embedder = model
    elif model is not None and not isinstance(model, str | os.PathLike):
        raise TypeError(f"model is {type(model).__name__}, no name, path or fitted embedder.")
    elif model is not None and Path(model).expanduser().is_file() and is_saved(model):
        embedder = load(model)
    else:
        embedder = _named(for_texts, str(model or (MINILM if for_texts else LITE0)))
    if isinstance(embedder, PretrainedCLIP) and not for_texts:
        return Pretrained(embedder.model).fit()  # the same network, with its own preprocessing
    takes_texts = isinstance(embedder, EmbedderOfTexts | ImageTextEmbedder)
    if (for_texts and not takes_texts) or (not for_texts and isinstance(embedder, EmbedderOfTexts)):
        raise _other_kind(for_texts, type(model).__name__ if model is embedder else str(model))
    return embedder


def _named(for_texts: bool, name: str) -> Embedder:
    """The model of a name or a folder, loaded."""
    if name.startswith(REMOTE):
        return RemoteText(name.removeprefix(REMOTE)).fit()
    if not for_texts:
        return TextEmbedder().fit() if name == MINILM else Pretrained(name).fit()
    for_pictures = (LITE0, *torchvision_names())
    if name.startswith("timm/") or name.partition(".")[0] in for_pictures:
        raise _other_kind(for_texts, name)
    try:
        return PretrainedCLIP(name).fit() if _is_clip(name) else TextEmbedder(name).fit()
    except DataUnavailable as error:
        near = get_close_matches(name, TEXT_MODELS)
        if not near or name in near:
            raise
        raise DataUnavailable(f"{error} Or is {' or '.join(near)} meant?") from error


def _is_clip(name: str) -> bool:
    config = Path(name).expanduser() / "config.json"
    if config.is_file():
        return json.loads(config.read_text(encoding="utf-8")).get("model_type") == "clip"
    return "clip" in name.lower()


def _other_kind(for_texts: bool, model: str) -> ValueError:
    this, other, use = ("texts", "pictures", MINILM) if for_texts else ("pictures", "texts", LITE0)
    return ValueError(
        f"model={model!r} embeds {other}, what holds {this}: use one such as {use!r}."
    )


def key_of(embedder: Embedder, model=None) -> Key:
    """Name and weights of what `model` stands for: only vectors of one key can be compared."""
    if model is not None and os.path.exists(Path(model).expanduser()):
        path = Path(model).expanduser().resolve()
        if path.is_file():  # a saved embedder
            return Key(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
        model = path
    return Key(str(model or LITE0), embedder.weights_)
