"""What a person hands over to be embedded: files, pictures in memory, an array, or texts."""

import os
import re
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

import numpy as np
from PIL import Image

from embedlab.data.checks import check_texts

# Of Pillow's the usual ones and those that it cannot read: none must be taken for a text.
SUFFIXES = set(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .bmp .webp .tif .tiff .ppm .pgm .pbm .pnm .jp2 .ico "
    ".tga .heic .heif .avif .jxl .svg .psd .dng .cr2 .nef .arw .raw".split()
)
AS_TEXT = "Words that only look like a path are embedded by embedlab.embedders.TextEmbedder."


def sort_out(what) -> tuple[str, object]:
    """``"pictures"`` with files and PIL images, ``"array"`` with one, or ``"texts"`` with those."""
    if getattr(what, "ndim", 0) > 1:
        return _of_array(what)
    if isinstance(what, str | os.PathLike | Image.Image):
        what = [what]
    try:
        things = list(what)
    except TypeError:
        raise TypeError(
            f"what is {type(what).__name__}: pass a path, a glob, PIL images, an array of images, "
            "or a list of these or of texts."
        ) from None
    if not things:
        raise ValueError("what is empty: pass at least one path, picture or text.")
    texts = [isinstance(thing, str) and not looks_like_path(thing) for thing in things]
    if all(texts):
        return "texts", check_texts(things, "what")
    if any(texts):
        text, path = (things[texts.index(is_text)] for is_text in (True, False))
        raise ValueError(
            f"what holds a text, {text!r}, beside a path or picture, {path!r}: embed each kind by "
            f"itself. {AS_TEXT}"
        )
    return "pictures", [found for i, thing in enumerate(things) for found in _found(thing, i)]


def looks_like_path(text: str) -> bool:
    """Whether a str is a path or a glob, whatever is on the disk: it is then never a text."""
    return bool(
        Path(text).suffix.lower() in SUFFIXES
        or re.fullmatch(r"\S*[/\\*]\S*", text)
        # With spaces in it: one from the root, from here or from home; or a glob.
        or re.match(r"(~|\.{1,2}|[A-Za-z]:)?[/\\]\S", text)
        or re.search(r"[/\\]\*|\*[/\\]", text)
    )


def _of_array(array) -> tuple[str, object]:
    """An array of floats as it is; one of bytes, channels last, as pictures."""
    if str(array.dtype).endswith("uint8"):
        several = array.ndim == 4
        return "pictures", [_of_bytes(a, "what") for a in (array if several else [array])]
    return "array", array[None] if array.ndim == 3 else array


def _of_bytes(array, name: str) -> Image.Image:
    array = np.asarray(array)
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or array.shape[2:] not in ((), (3,), (4,))
    ):
        raise ValueError(
            f"{name} has an array of {array.dtype}, {array.shape}: a picture is uint8, (H, W, 3), "
            "or several are float in [0, 1], (N, C, H, W)."
        )
    return Image.fromarray(array)


def _found(thing, i: int) -> Sequence[Path | Image.Image]:
    """The pictures that a member of a list stands for: files, or itself."""
    if isinstance(thing, Image.Image):
        return [thing]
    if hasattr(thing, "ndim"):
        return [_of_bytes(thing, f"what[{i}]")]
    if not isinstance(thing, str | os.PathLike):
        raise TypeError(f"what[{i}] is {type(thing).__name__}, no path, picture or text.")
    return find_files(thing)


def find_files(path: str | os.PathLike) -> list[Path]:
    """The file of a path, or those of a glob, by name; FileNotFoundError where there is none."""
    name = os.path.expanduser(os.fspath(path))
    if os.path.isfile(name):
        return [Path(name)]
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name} is a folder: name its files, such as '{name}/*.jpg'.")
    files = [Path(f) for f in sorted(glob(name, recursive=True)) if os.path.isfile(f)]
    if not files:
        looks = "matches no file" if has_magic(name) else "looks like a path, but there is no file"
        raise FileNotFoundError(f"{name!r} {looks} (the current folder is {Path.cwd()}). {AS_TEXT}")
    return files
