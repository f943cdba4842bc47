"""Captioned scenes, composed from any labelled image set.

A scene shows one object, two with a relation between them, or several of a kind; its caption says
so. Objects have any place and size where they fit. The scenes of a split are made from the scans
of that split, so nobody's handwriting is in two of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from embedlab.data import captions
from embedlab.data.captions import RELATIONS, TEMPLATES, are_digits
from embedlab.data.images import SIDE, Images, Split, as_tensor

# What a caption can be about; the last two only where they are asked for.
KINDS = ("one", "two", "several", "sum", "without")
SIZES = (32, 64)
COUNTS = (2, 3, 4)
MOST = 6  # of a kind: more do not fit
# Sides of an object as shares of the scene's. Those of a kind are small however many they are:
# else their size would tell their number.
SHARES = {
    "one": (0.4, 1.0),
    "two": (0.32, 0.46),
    "several": (0.25, 0.31),
    "sum": (0.32, 0.46),
    "without": (0.4, 1.0),
}
_TURN = np.radians(10)  # largest rotation and shear of an object, either way


@dataclass(frozen=True)
class Scenes:
    """Pictures with captions, and what is in them.

    Attributes
    ----------
    x : ndarray of float32, shape (N, C, size, size)
        Pixels in [0, 1].
    captions : ndarray of str, shape (N,)
    kind : ndarray of str, shape (N,)
        One of ``"one"``, ``"two"``, ``"several"``, ``"sum"``, ``"without"``.
    objects : ndarray of int64, shape (N, 6)
        Class of each object, the one named first first; -1 where there is none.
    relation : ndarray of int64, shape (N,)
        Index into :data:`RELATIONS` of where the first object lies, -1 without.
    """

    x: np.ndarray
    captions: np.ndarray
    kind: np.ndarray
    objects: np.ndarray
    relation: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index) -> Scenes:
        """The scenes at `index` (a slice, a mask or an array of positions)."""
        return Scenes(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    @property
    def count(self) -> np.ndarray:
        """How many objects each scene shows: ndarray of int64, (N,)."""
        return (self.objects >= 0).sum(axis=1)

    @property
    def y(self) -> np.ndarray:
        """Class of the object named first: ndarray of int64, (N,)."""
        return self.objects[:, 0]


@dataclass(frozen=True)
class CaptionedImages:
    """Scenes of an image set with its splits.

    Attributes
    ----------
    name : str
        Of the image set.
    nouns : tuple of str
        The word for each class.
    held_out : tuple of (int, int)
        Pairs of classes that are together in no scene but those of `unseen`.
    held_out_counts : tuple of (int, int)
        (count, class) that are in no scene but those of `unseen`.
    train, val, test : Scenes
        Each from the scans of that split.
    unseen : Scenes
        From the scans of test: only what is held out.
    """

    name: str
    nouns: tuple[str, ...]
    held_out: tuple[tuple[int, int], ...]
    held_out_counts: tuple[tuple[int, int], ...]
    train: Scenes
    val: Scenes
    test: Scenes
    unseen: Scenes

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{k} {len(getattr(self, k)):,}" for k in ("train", "val", "test", "unseen")
        )
        shape = "x".join(map(str, self.train.x.shape[1:]))
        return f"CaptionedImages({self.name!r}: {len(self.nouns)} nouns, {shape}, {sizes})"


def default_held_out(
    n_classes: int, counts: Sequence[int] = COUNTS
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """A pair and a count for each class: classes three apart, and each class with one count.

    Parameters
    ----------
    n_classes : int
    counts : sequence of int

    Returns
    -------
    (pairs, counts)
        Both tuples of (int, int). With fewer than five classes, where every pair is needed, none.
    """
    if n_classes < 5:
        return (), ()
    step = 3 if n_classes != 6 else 2  # of six classes each would be named twice
    pairs = tuple((i, (i + step) % n_classes) for i in range(n_classes))
    return pairs, tuple((counts[i % len(counts)], i) for i in range(n_classes))


def load_scenes(
    images: Images,
    n: tuple[int, int, int, int] = (20_000, 1_000, 2_000, 1_000),
    size: int = 32,
    kinds: Sequence[str] = KINDS[:3],
    without: Sequence[str] = (),
    templates: Sequence[str] = TEMPLATES,
    seed: int = 0,
) -> CaptionedImages:
    """Compose captioned scenes for every split of an image set.

    Parameters
    ----------
    images : Images
    n : (int, int, int, int)
        Scenes of train, val, test and unseen.
    size : int
        Side of the scenes, 32 or 64.
    kinds : sequence of str
        What captions are about, equally often: ``"one"`` object, ``"two"`` with a relation,
        ``"several"`` of a kind, the ``"sum"`` of two digits, one object ``"without"`` another.
    without : sequence of str
        Names of classes that are in no scene but those of `unseen`.
    templates : sequence of str
        Ways to put a caption of train. Those of the other splits are the plain phrase.
    seed : int
        Of the scenes of train; those of the other splits are always the same.

    Returns
    -------
    CaptionedImages

    Raises
    ------
    ValueError
        For a parameter out of its range; the message names what would work.
    """
    nouns = captions.nouns(images.class_names)
    unknown = sorted(set(without) - set(images.class_names))
    if unknown:
        raise ValueError(
            f"without={unknown[0]!r} is no class: use {', '.join(images.class_names)}."
        )
    if not isinstance(n, tuple | list) or len(n) != 4:
        raise ValueError(f"n={n!r} must be four numbers: (train, val, test, unseen).")
    if isinstance(without, str):
        raise ValueError(f"without={without!r} must be a list of class names.")
    shown = [i for i, name in enumerate(images.class_names) if name not in without]
    for key in ("train", "val", "test"):
        absent = np.setdiff1d(shown, getattr(images, key).y)
        if len(absent):
            named = ", ".join(images.class_names[i] for i in absent)
            raise ValueError(f"images: {key} of {images.name!r} holds no {named}.")
    pairs, counted = default_held_out(len(nouns))
    kept = dict(kinds=kinds, size=size, classes=shown, avoid=pairs, avoid_counts=counted)
    splits = {
        key: compose(
            getattr(images, key),
            nouns,
            amount,
            seed=[seed if key == "train" else 0, i],
            templates=templates if key == "train" else TEMPLATES[:1],
            **kept,
        )
        for i, (key, amount) in enumerate(zip(("train", "val", "test"), n[:3], strict=True))
    }
    unseen = _unseen(images.test, nouns, n[3], size, kinds, pairs, counted, [0, 3])
    return CaptionedImages(images.name, nouns, pairs, counted, **splits, unseen=unseen)


def _unseen(split, nouns, n, size, kinds, pairs, counted, seed) -> Scenes:
    """What is held out, pairs and counts in equal parts; nothing where nothing is."""
    told = {"two": {"pairs": pairs}, "several": {"counted": counted}}
    told = {kind: only for kind, only in told.items() if kind in kinds and pairs}
    parts = [
        compose(split, nouns, (n + i) // len(told), size=size, kinds=(kind,), seed=seed, **only)
        for i, (kind, only) in enumerate(told.items())
    ]
    return joined(*parts) if parts else compose(split, nouns, 0, size=size, seed=seed)


def joined(*parts: Scenes) -> Scenes:
    """Scenes one after another.

    Parameters
    ----------
    *parts : Scenes

    Returns
    -------
    Scenes
    """
    return Scenes(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in Scenes.__dataclass_fields__)
    )


def compose(
    split: Split,
    nouns: Sequence[str],
    n: int,
    *,
    size: int = 32,
    kinds: Sequence[str] = KINDS[:3],
    counts: Sequence[int] = COUNTS,
    classes: Sequence[int] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    counted: Sequence[tuple[int, int]] | None = None,
    avoid: Sequence[tuple[int, int]] = (),
    avoid_counts: Sequence[tuple[int, int]] = (),
    templates: Sequence[str] = TEMPLATES[:1],
    seed: int | Sequence[int] = 0,
) -> Scenes:
    """Compose scenes from the images of a split.

    Parameters
    ----------
    split : Split
        Images of 32x32 pixels, black where there is nothing.
    nouns : sequence of str
        The word for each class.
    n : int
    size : int
        32 or 64 pixels a side.
    kinds : sequence of str
        See :func:`load_scenes`.
    counts : sequence of int
        How many of a kind, from 1 to 6.
    classes : sequence of int, optional
        Classes shown. Default: all that the split holds.
    pairs, counted : sequence of (int, int), optional
        Only these pairs of classes, whichever comes first; only these (count, class).
    avoid, avoid_counts : sequence of (int, int)
        None of these.
    templates : sequence of str
        Each with one ``{}``, drawn equally often.
    seed : int or sequence of int

    Returns
    -------
    Scenes

    Raises
    ------
    ValueError
        For a parameter out of its range.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(split.y) if classes is None else np.asarray(classes)
    _check(split, nouns, n, size, kinds, counts, classes, templates)
    kind = np.asarray(kinds)[rng.integers(len(kinds), size=n)]
    objects = np.full((n, MOST), -1)
    relation = np.full(n, -1)
    absent = np.full(n, -1)
    is_pair, is_several = np.isin(kind, ("two", "sum")), kind == "several"

    single = ~is_pair & ~is_several
    objects[single, 0] = rng.choice(classes, single.sum())
    if "without" in kinds:
        named = _pairs_of(classes, avoid, pairs)
        picked = named[rng.integers(len(named), size=n)]
        here = kind == "without"
        objects[here, 0], absent[here] = picked[here].T
    if is_pair.any():
        allowed = _pairs_of(classes, avoid, pairs)
        objects[is_pair, :2] = allowed[rng.integers(len(allowed), size=is_pair.sum())]
        relation[is_pair] = rng.integers(len(RELATIONS), size=is_pair.sum())
    if is_several.any():
        allowed = _counts_of(classes, counts, avoid_counts, counted)
        count, label = allowed[rng.integers(len(allowed), size=is_several.sum())].T
        objects[is_several] = np.where(np.arange(MOST) < count[:, None], label[:, None], -1)

    boxes = _boxes(kind, objects, relation, rng) * size
    x = _paste(split, objects, boxes, size, rng)
    said = _captions(kind, objects, relation, absent, nouns)
    put = np.asarray(templates, object)[rng.integers(len(templates), size=n)]
    said = np.array([t.replace("{}", s) for t, s in zip(put, said, strict=True)], object)
    return Scenes(x, said.astype(str), kind, objects, relation)


def _check(split, nouns, n, size, kinds, counts, classes, templates) -> None:
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 0:
        raise ValueError(f"n={n!r} must be a whole number of at least 0.")
    if size not in SIZES or not isinstance(size, int):
        raise ValueError(f"size={size!r} must be {' or '.join(map(str, SIZES))} pixels.")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not len(kinds):
        raise ValueError(f"kinds={tuple(kinds)!r} must be some of {', '.join(KINDS)}.")
    if (
        not np.iterable(counts)
        or not len(counts)
        or any(c not in range(1, MOST + 1) for c in counts)
    ):
        raise ValueError(f"counts={counts!r} must be whole numbers from 1 to {MOST}.")
    if split.x.shape[2:] != (SIDE, SIDE):
        raise ValueError(f"split must hold {SIDE}x{SIDE} images, got {split.x.shape[2:]}.")
    absent = np.setdiff1d(classes, split.y)
    if len(absent) or len(classes) == 0:
        raise ValueError(
            f"classes={list(classes)}: split has images of {list(np.unique(split.y))}."
        )
    if len(nouns) <= classes.max():
        raise ValueError(f"nouns has {len(nouns)} words, split has the class {classes.max()}.")
    if "sum" in kinds and not are_digits(nouns):
        raise ValueError("kinds: a 'sum' needs classes that are digits.")
    if len(classes) < 2 and set(kinds) & {"two", "sum", "without"}:
        raise ValueError("kinds: 'two', 'sum' and 'without' need two classes or more.")
    if not len(templates) or any(t.count("{}") != 1 for t in templates):
        raise ValueError(f"templates={tuple(templates)!r} must each hold one '{{}}'.")


def _pairs_of(classes, avoid, only) -> np.ndarray:
    """Ordered pairs of different classes that may be together, (n_pairs, 2)."""
    pairs = {(a, b) for a in classes for b in classes if a != b}
    if only is not None:
        pairs &= {p for a, b in only for p in ((a, b), (b, a))}
    pairs -= {p for a, b in avoid for p in ((a, b), (b, a))}
    if not pairs:
        raise ValueError("pairs: no pair of classes is left to compose scenes of.")
    return np.array(sorted(pairs))


def _counts_of(classes, counts, avoid, only) -> np.ndarray:
    """(count, class) that may be shown, (n, 2)."""
    found = {(c, k) for c in (counts if only is None else range(1, MOST + 1)) for k in classes}
    if only is not None:
        found &= set(only)
    found -= set(avoid)
    if not found:
        raise ValueError("counts: no count of any class is left to compose scenes of.")
    return np.array(sorted(found))


def _captions(kind, objects, relation, absent, nouns) -> list[str]:
    count = (objects >= 0).sum(axis=1)

    def say(i):
        first = nouns[objects[i, 0]]
        match kind[i]:
            case "one":
                return captions.one(first)
            case "two":
                return captions.two(first, RELATIONS[relation[i]], nouns[objects[i, 1]])
            case "sum":
                return captions.total(first, nouns[objects[i, 1]])
            case "without":
                return captions.without(first, nouns[absent[i]])
        return captions.several(count[i], first) if count[i] > 1 else captions.one(first)

    return [say(i) for i in range(len(kind))]


# --- where things are ---------------------------------------------------------------------------


def _boxes(kind, objects, relation, rng) -> np.ndarray:
    """Left, top and side of each object's square, (N, 6, 3), as shares of the scene's side."""
    low, high = np.array([SHARES[k] for k in kind]).reshape(-1, 2).T
    side = rng.uniform(low[:, None], high[:, None], (len(kind), MOST))
    place = rng.uniform(size=(len(kind), MOST, 2)) * (1 - side[:, :, None])
    boxes = np.concatenate([place, side[:, :, None]], axis=2)
    paired = np.flatnonzero(relation >= 0)
    boxes[paired, :2, :2] = _beside(side[paired, :2], relation[paired], rng)
    crowded = np.flatnonzero((objects[:, 1] >= 0) & (relation < 0))
    most = int((objects >= 0).sum(axis=1).max(initial=0))
    boxes[crowded] = _apart(boxes[crowded], most, rng)
    return boxes


def _beside(side, relation, rng) -> np.ndarray:
    """Left and top of two squares each, (N, 2, 2), in one of the four relations and no other.

    Along the relation's axis one square lies wholly before the other. Across it, their middles
    are no further apart than half the smaller side: what is left of a thing is not above it too.
    """
    n = len(side)
    swap = (relation % 2 == 1)[:, None]  # right of, below: the first object comes second
    ordered = np.where(swap, side[:, ::-1], side)
    start = rng.uniform(size=n) * (1 - ordered.sum(axis=1))
    after = start + ordered[:, 0]
    along = np.stack([start, after + rng.uniform(size=n) * (1 - ordered[:, 1] - after)], axis=1)
    along = np.where(swap, along[:, ::-1], along)

    middle = side[:, 0] / 2 + rng.uniform(size=n) * (1 - side[:, 0])
    reach = side.min(axis=1) / 2
    other = middle + rng.uniform(-1, 1, n) * reach
    other = other.clip(side[:, 1] / 2, 1 - side[:, 1] / 2)  # nearer to the first, if anything
    across = np.stack([middle, other], axis=1) - side / 2

    upright = (relation >= 2)[:, None]
    return np.stack([np.where(upright, across, along), np.where(upright, along, across)], axis=2)


def _apart(boxes, most, rng, tries: int = 32) -> np.ndarray:
    """Squares (N, 6, 3) moved until no two of the first `most` overlap: each in turn, at random."""
    boxes = boxes.copy()
    todo = np.arange(len(boxes))
    for tried in itertools.count():
        if not len(todo):
            return boxes
        if tried >= 10:  # six of the largest hardly fit
            boxes[todo, :, 2] *= 0.98
        here = boxes[todo]
        stuck = np.zeros(len(todo), bool)
        for k in range(1, most):
            side = here[:, k, 2]
            spots = rng.uniform(size=(len(todo), tries, 2)) * (1 - side[:, None, None])
            before = here[:, None, :k]  # (N, 1, k, 3)
            clear = (spots[:, :, None] + side[:, None, None, None] <= before[..., :2]) | (
                before[..., :2] + before[..., 2:] <= spots[:, :, None]
            )
            free = clear.any(axis=3).all(axis=2)  # (N, tries): free of every one before
            first = free.argmax(axis=1)
            here[:, k, :2] = spots[np.arange(len(todo)), first]
            stuck |= ~free.any(axis=1)
        boxes[todo[~stuck]] = here[~stuck]
        todo = todo[stuck]


# --- drawing ------------------------------------------------------------------------------------


def _paste(split, objects, boxes, size, rng) -> np.ndarray:
    """Scenes (N, C, size, size): an image of each object's class, turned a little, in its box."""
    order = np.argsort(split.y, kind="stable")
    start = np.searchsorted(split.y[order], np.arange(split.y.max() + 2))
    images = as_tensor(split.x)
    # Each image also at half its size: small objects are sampled from those, without aliasing.
    levels = (images, F.avg_pool2d(images, 2))
    canvas = torch.zeros(len(objects), size * size, split.x.shape[1])
    for k in range(MOST):
        scenes = np.flatnonzero(objects[:, k] >= 0)
        low, high = start[objects[scenes, k]], start[objects[scenes, k] + 1]
        chosen = order[low + (rng.uniform(size=len(scenes)) * (high - low)).astype(int)]
        turned = rng.uniform(-_TURN, _TURN, (2, len(scenes)))
        box = boxes[scenes, k]
        # An object is drawn into a window of the scene that holds it however it is turned.
        window = np.minimum(np.ceil(1.4 * box[:, 2] / 8) * 8, size).astype(int)
        level = (box[:, 2] <= SIDE // 2).astype(int)
        for w, source in sorted({*zip(window.tolist(), level.tolist(), strict=True)}):
            rows = np.flatnonzero((window == w) & (level == source))
            for i in range(0, len(rows), 2_000):  # as many as the cache can hold
                part = rows[i : i + 2_000]
                corner = (box[part, :2] + box[part, 2:] / 2 - w / 2).round().clip(0, size - w)
                grid = _places(box[part], turned[:, part], corner, w)
                drawn = F.grid_sample(
                    levels[source][chosen[part]], torch.from_numpy(grid), align_corners=False
                )
                left, top = corner.T.astype(int)
                pixels = (np.arange(w)[:, None] * size + np.arange(w)).ravel()
                pixels = torch.from_numpy((top * size + left)[:, None] + pixels)  # (N, w * w)
                scene = torch.from_numpy(scenes[part])[:, None]
                brighter = torch.maximum(canvas[scene, pixels], drawn.flatten(2).transpose(1, 2))
                canvas[scene, pixels] = brighter
    canvas = canvas.clamp_(0, 1).transpose(1, 2).reshape(len(objects), split.x.shape[1], size, size)
    return canvas.contiguous().numpy()


def _places(box, turned, corner, w) -> np.ndarray:
    """Where in its image each pixel of a window comes from, (N, w, w, 2) for grid_sample."""
    angle, shear = turned
    scale = 2 / box[:, 2]  # the box spans [-1, 1]
    cos, sin, lean = scale * np.cos(angle), scale * np.sin(angle), np.tan(shear)
    middle = box[:, :2] + box[:, 2:] / 2
    x, y = (corner - middle).T[:, :, None] + np.arange(w) + 0.5  # pixels from the box's middle
    across, down = np.stack([cos, sin], axis=1), np.stack([lean * cos - sin, lean * sin + cos], 1)
    grid = x[:, None, :, None] * across[:, None, None] + y[:, :, None, None] * down[:, None, None]
    return grid.astype(np.float32)
