"""Your own images: ``folder:PATH``, one sub-folder a class."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from embedlab.data.images import SIDE, Images, Split, hold_out
from embedlab.data.pictures import UnreadablePicture, open_picture

_SPLITS = ("train", "val", "test")
# Two of these side by side are splits, not classes, and must not be learnt as classes.
_SPLIT_WORDS = {*_SPLITS, "valid", "validation"}


def read_image(path: Path) -> np.ndarray:
    """One image file, upright, its centre square scaled: ndarray of uint8, (3, 32, 32), RGB.

    Errors as of :func:`embedlab.data.pictures.open_picture`.
    """
    # Of a JPEG a reduced size is decoded, not every pixel.
    image = ImageOps.fit(open_picture(path, draft=4 * SIDE), (SIDE, SIDE), Image.LANCZOS)
    return np.asarray(image).transpose(2, 0, 1)


def _try_read(path: Path) -> np.ndarray | None:
    try:
        return read_image(path)
    except (UnreadablePicture, OSError):
        return None


def _read_classes(root: Path, names: list[str]) -> tuple[Split, list[Path]]:
    """Every readable image below ``root/<name>/``, labelled by name, and those not readable."""
    found = [
        (path, label)
        for label, name in enumerate(names)
        for path in sorted((root / name).rglob("*"))
        if path.is_file() and not _hidden(path.relative_to(root / name))
    ]
    files = [path for path, _ in found]
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        # Past Pillow's bound of 89 megapixels a file is listed as unreadable, not decoded.
        # Pillow's own remarks on damaged metadata name no file, and would drown our one warning.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        bar = tqdm(pool.map(_try_read, files), total=len(files), desc="reading", delay=1)
        pixels = list(bar)
    good = [i for i, p in enumerate(pixels) if p is not None]
    y = np.array([found[i][1] for i in good], np.int64)
    for label, name in enumerate(names):
        if not (y == label).any():
            raise ValueError(
                f"The class folder {root / name} holds no readable image: "
                "add images to it or remove the folder."
            )
    x = np.stack([pixels[i] for i in good]).astype(np.float32) / 255
    return Split(x, y), [files[i] for i, p in enumerate(pixels) if p is None]


def load_folder(name: str) -> Images:
    """Load ``folder:PATH``: splits by a fixed shuffle, or those made by hand.

    PATH holds one sub-folder a class, and each class is split 60 / 20 / 20; or it holds the
    folders ``train`` and ``test`` (and perhaps ``val``, otherwise a fifth of train), each with a
    sub-folder a class. Split by hand where one person, place or film appears in several images: a
    shuffle puts near-copies on both sides.

    The set is grey, (N, 1, 32, 32), if in every picture red, green and blue are equal everywhere,
    however its file stores them: then two of the channels say nothing. Else it is (N, 3, 32, 32).
    """
    root = Path(name.removeprefix("folder:")).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"name={name!r}: there is no folder {root.resolve()}.")
    class_names, parts = _class_folders(name, root)
    read = {key: _read_classes(part, class_names) for key, part in parts.items()}
    _warn_unreadable([path for _, bad in read.values() for path in bad])
    splits = _grey_if_all_are({key: split for key, (split, _) in read.items()})
    share = 0.2
    if "all" in splits:
        _at_least(3, splits["all"], root, class_names, "train, val and test")
        splits["train"], splits["test"] = hold_out(splits["all"], share)
        share = 0.25  # of what is left: 20% of all
    if "val" not in splits:
        _at_least(2, splits["train"], parts.get("train", root), class_names, "train and val")
        splits["train"], splits["val"] = hold_out(splits["train"], share)
    return Images(name, tuple(class_names), *(splits[key] for key in _SPLITS))


def _class_folders(name: str, root: Path) -> tuple[list[str], dict[str, Path]]:
    """Names of the classes, and where their folders lie: of each split, or of ``"all"``."""
    subfolders = _subfolders(root)
    if len(_SPLIT_WORDS.intersection(subfolders)) > 1:
        if not {"train", "test"} <= set(subfolders) <= set(_SPLITS):
            raise ValueError(
                f"name={name!r}: {root} holds {subfolders}: a folder of splits holds 'train' and "
                "'test', perhaps 'val', and no other."
            )
        class_names = _subfolders(root / "train")
        parts = {key: root / key for key in subfolders}
        for part in parts.values():
            if _subfolders(part) != class_names:
                raise ValueError(f"{part} and {root / 'train'} must hold the same class folders.")
    else:
        class_names, parts = subfolders, {"all": root}
    if len(class_names) < 2:
        raise ValueError(
            f"name={name!r}: {root} must hold at least two class folders, found {class_names}."
        )
    return class_names, parts


def _grey_if_all_are(splits: dict[str, Split]) -> dict[str, Split]:
    """Splits of (N, 3, 32, 32) as (N, 1, 32, 32), unless some picture has a colour in it."""
    if any((split.x != split.x[:, :1]).any() for split in splits.values()):
        return splits
    return {key: Split(split.x[:, :1].copy(), split.y) for key, split in splits.items()}


def _at_least(n: int, split: Split, root: Path, names: list[str], purpose: str) -> None:
    count = np.bincount(split.y)
    if count.min() < n:
        raise ValueError(
            f"The class folder {root / names[count.argmin()]} holds too few readable images "
            f"({count.min()}): at least {n} are needed, for {purpose}."
        )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _subfolders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _warn_unreadable(bad: list[Path]) -> None:
    if bad:
        names = ", ".join(str(path) for path in bad)
        warnings.warn(
            f"Left out, as they cannot be read as images ({len(bad)}): {names}.",
            UserWarning,
            stacklevel=4,
        )
