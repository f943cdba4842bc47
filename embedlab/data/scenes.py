"""Captioned scenes, composed from any labelled image set.

A scene shows one object, two with a relation between them, or several of a kind; its caption says
so. Objects have any place and size where they fit. The scenes of a split are made from the scans
of that split, so nobody's handwriting is in two of them.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from embedlab.data import captions
from embedlab.data.captions import RELATIONS, TEMPLATES, are_digits
from embedlab.data.images import SIDE, Images, Split, as_tensor

Combinations = tuple[tuple[int, int], ...]  # pairs of classes, or (count, class)
COUNTS = (2, 3, 4)
MOST = 6  # of a kind: more do not fit
_TURN = np.radians(10)  # largest rotation and shear of an object, either way


@dataclass(frozen=True)
class Kind:
    """What scenes of one kind show, and what is said of them."""

    draws: str  # "class", "pair", "count" of a class, or a class and one that is "absent"
    low: float  # sides of an object as shares of the scene's
    high: float
    say: Callable[[str, str, str, int], str]  # of first and second noun, relation and count


# Objects of a kind are small however many they are: else their size would tell their number.
TABLE = {
    "one": Kind("class", 0.4, 1.0, lambda a, b, r, n: captions.one(a)),
    "two": Kind("pair", 0.32, 0.46, lambda a, b, r, n: captions.two(a, r, b)),
    "several": Kind("count", 0.25, 0.31, lambda a, b, r, n: captions.several(n, a)),
    "sum": Kind("pair", 0.32, 0.46, lambda a, b, r, n: captions.total(a, b)),
    "without": Kind("absent", 0.4, 1.0, lambda a, b, r, n: captions.without(a, b)),
}
KINDS = tuple(TABLE)  # the last two only where they are asked for


@dataclass(frozen=True)
class Scenes:
    """Pictures with captions, and what is in them."""

    x: np.ndarray  # float32 in [0, 1], (N, C, 32, 32)
    captions: np.ndarray  # str, (N,)
    kind: np.ndarray  # str, (N,): one of KINDS
    objects: np.ndarray  # int64, (N, 6): classes, the one named first first; -1 for none
    relation: np.ndarray  # int64, (N,): index into RELATIONS of where the first lies; -1 for none

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index) -> "Scenes":
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
    """Scenes of an image set: train, val and test each from the scans of that split."""

    name: str
    nouns: tuple[str, ...]  # the word for each class
    held_out: Combinations  # pairs of classes that are only in `unseen`
    held_out_counts: Combinations  # (count, class) that are only there
    train: Scenes
    val: Scenes
    test: Scenes
    unseen: Scenes  # from the scans of test: what is held out, and nothing else

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{k} {len(getattr(self, k)):,}" for k in ("train", "val", "test", "unseen")
        )
        shape = "x".join(map(str, self.train.x.shape[1:]))
        return f"CaptionedImages({self.name!r}: {len(self.nouns)} nouns, {shape}, {sizes})"


def default_held_out(n_classes: int) -> tuple[Combinations, Combinations]:
    """A pair for each class with the one three on, and a (count, class) for each class.

    With fewer than five classes, where every pair is needed, none.
    """
    if n_classes < 5:
        return (), ()
    step = 3 if n_classes != 6 else 2  # of six classes each would be named twice
    pairs = tuple((i, (i + step) % n_classes) for i in range(n_classes))
    return pairs, tuple((COUNTS[i % len(COUNTS)], i) for i in range(n_classes))


def load_scenes(
    images: Images,
    n: tuple[int, int, int, int] = (20_000, 1_000, 2_000, 1_000),
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
        Its ``train``, ``val`` and ``test`` are made from the scans of that split; ``unseen``, from
        those of test, shows only the pairs and counts that are held out of the others. Of each,
        ``x`` is float32 in [0, 1], (N, C, 32, 32), and ``captions`` str, (N,).

    Raises
    ------
    ValueError
        For a parameter out of its range; the message names what would work.
    """
    nouns = captions.nouns(images.class_names)
    if not isinstance(n, tuple | list) or len(n) != 4:
        raise ValueError(f"n={n!r} must be four numbers: (train, val, test, unseen).")
    parts = {key: _shown(images, key, without) for key in ("train", "val", "test")}
    pairs, counted = default_held_out(len(nouns))
    taught = [(c, k) for c in COUNTS for k in range(len(nouns)) if (c, k) not in counted]
    splits = {
        key: compose(
            parts[key],
            nouns,
            amount,
            kinds=kinds,
            counts=taught,
            avoid=pairs,
            templates=templates if key == "train" else TEMPLATES[:1],
            seed=[seed if key == "train" else 0, i],
        )
        for i, (key, amount) in enumerate(zip(parts, n[:3], strict=True))
    }
    # Pairs and counts in equal parts; nothing where nothing is held out.
    told = {"two": {"pairs": pairs}, "several": {"counts": counted}}
    told = {kind: only for kind, only in told.items() if kind in kinds and pairs}
    unseen = [
        compose(images.test, nouns, (n[3] + i) // len(told), kinds=(kind,), seed=[0, 3], **only)
        for i, (kind, only) in enumerate(told.items())
    ] or [compose(images.test, nouns, 0)]
    return CaptionedImages(
        images.name, nouns, pairs, counted, **splits, unseen=concatenate(*unseen)
    )


def _shown(images: Images, key: str, without: Sequence[str]) -> Split:
    """A split without the classes that are not to be shown; each of the others must be in it."""
    if isinstance(without, str):
        raise ValueError(f"without={without!r} must be a list of class names.")
    unknown = sorted(set(without) - set(images.class_names))
    if unknown:
        raise ValueError(
            f"without={unknown[0]!r} is no class: use {', '.join(images.class_names)}."
        )
    split = getattr(images, key)
    shown = [i for i, name in enumerate(images.class_names) if name not in without]
    absent = np.setdiff1d(shown, split.y)
    if len(absent):
        named = ", ".join(images.class_names[i] for i in absent)
        raise ValueError(f"images: {key} of {images.name!r} holds no {named}.")
    return split[np.isin(split.y, shown)] if without else split


def concatenate(*parts: Scenes) -> Scenes:
    """Scenes one after another."""
    return Scenes(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in Scenes.__dataclass_fields__)
    )


def compose(
    split: Split,
    nouns: Sequence[str],
    n: int,
    *,
    kinds: Sequence[str] = KINDS[:3],
    counts: Sequence[int | tuple[int, int]] = COUNTS,
    pairs: Sequence[tuple[int, int]] | None = None,
    avoid: Sequence[tuple[int, int]] = (),
    templates: Sequence[str] = TEMPLATES[:1],
    seed: int | Sequence[int] = 0,
) -> Scenes:
    """Compose scenes from the images of a split.

    Parameters
    ----------
    split : Split
        Images of 32x32 pixels, black where there is nothing; all its classes are shown.
    nouns : sequence of str
        The word for each class.
    n : int
    kinds : sequence of str
        See :func:`load_scenes`.
    counts : sequence of int or of (int, int)
        How many of a kind, from 1 to 6: of every class, or each with its class.
    pairs, avoid : sequence of (int, int)
        Only these pairs of classes, by default all; none of those. Whichever comes first.
    templates : sequence of str
        Each with one ``{}``, drawn equally often.
    seed : int or sequence of int

    Returns
    -------
    Scenes
        With ``x``, float32 in [0, 1], (n, C, 32, 32), and ``captions``, str, (n,); ``kind``,
        ``objects`` and ``relation`` say what is in them.

    Raises
    ------
    ValueError
        For a parameter out of its range.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(split.y)
    _check(split, nouns, n, kinds, counts, classes, templates)
    kind = np.asarray(kinds)[rng.integers(len(kinds), size=n)]
    named, relation, count = _contents(kind, kinds, classes, pairs, avoid, counts, rng)
    objects = np.where(np.arange(MOST) < count[:, None], named[:, :1], -1)
    paired = relation >= 0
    objects[paired, 1] = named[paired, 1]
    x = _paste(split, objects, _boxes(kind, objects, relation, rng) * SIDE, rng)
    phrases = [
        # What is not there, at index -1, is not said either.
        TABLE[k].say(nouns[a], nouns[b], RELATIONS[r], c)
        for k, (a, b), r, c in zip(kind, named, relation, count, strict=True)
    ]
    put = np.asarray(templates, object)[rng.integers(len(templates), size=n)]
    said = [template.replace("{}", s) for template, s in zip(put, phrases, strict=True)]
    return Scenes(x, np.array(said, object).astype(str), kind, objects, relation)


def _check(split, nouns, n, kinds, counts, classes, templates) -> None:
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 0:
        raise ValueError(f"n={n!r} must be a whole number of at least 0.")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not len(kinds):
        raise ValueError(f"kinds={tuple(kinds)!r} must be some of {', '.join(KINDS)}.")
    numbers = [c[0] if np.iterable(c) else c for c in counts] if np.iterable(counts) else []
    if not numbers or any(c not in range(1, MOST + 1) for c in numbers):
        raise ValueError(f"counts={counts!r} must be whole numbers from 1 to {MOST}.")
    if split.x.shape[2:] != (SIDE, SIDE):
        raise ValueError(f"split must hold {SIDE}x{SIDE} images, got {split.x.shape[2:]}.")
    if not len(classes):
        raise ValueError("split holds no images.")
    if len(nouns) <= classes.max():
        raise ValueError(f"nouns has {len(nouns)} words, split has the class {classes.max()}.")
    if "sum" in kinds and not are_digits(nouns):
        raise ValueError("kinds: a 'sum' needs classes that are digits.")
    if len(classes) < 2 and set(kinds) & {"two", "sum", "without"}:
        raise ValueError("kinds: 'two', 'sum' and 'without' need two classes or more.")
    if not len(templates) or any(t.count("{}") != 1 for t in templates):
        raise ValueError(f"templates={tuple(templates)!r} must each hold one '{{}}'.")


# --- what is shown ------------------------------------------------------------------------------


def _contents(kind, kinds, classes, pairs, avoid, counts, rng):
    """Classes named (n, 2), relation (n,) and number of objects (n,) of each scene; -1 for none."""
    n = len(kind)
    named, relation, count = np.full((n, 2), -1), np.full(n, -1), np.ones(n, int)
    draws = np.array([TABLE[k].draws for k in kind], str)
    lone = np.isin(draws, ("class", "absent"))
    named[lone, 0] = rng.choice(classes, lone.sum())
    if "without" in kinds:
        allowed = _pairs_of(classes, avoid, pairs)
        picked = allowed[rng.integers(len(allowed), size=n)]
        named[draws == "absent"] = picked[draws == "absent"]
    paired, many = draws == "pair", draws == "count"
    if paired.any():
        allowed = _pairs_of(classes, avoid, pairs)
        named[paired] = allowed[rng.integers(len(allowed), size=paired.sum())]
        relation[paired] = rng.integers(len(RELATIONS), size=paired.sum())
        count[paired] = 2
    if many.any():
        allowed = _counts_of(classes, counts)
        count[many], named[many, 0] = allowed[rng.integers(len(allowed), size=many.sum())].T
    return named, relation, count


def _pairs_of(classes, avoid, only) -> np.ndarray:
    """Ordered pairs of different classes that may be together, (n_pairs, 2)."""
    pairs = {(a, b) for a in classes for b in classes if a != b}
    if only is not None:
        pairs &= {p for a, b in only for p in ((a, b), (b, a))}
    pairs -= {p for a, b in avoid for p in ((a, b), (b, a))}
    if not pairs:
        raise ValueError("pairs: no pair of classes is left to compose scenes of.")
    return np.array(sorted(pairs))


def _counts_of(classes, counts) -> np.ndarray:
    """(count, class) that may be shown, (n, 2)."""
    asked = [[c] if np.iterable(c) else [(c, k) for k in classes] for c in counts]
    found = {(c, k) for c, k in itertools.chain(*asked) if k in classes}
    if not found:
        raise ValueError("counts: no count of any class is left to compose scenes of.")
    return np.array(sorted(found))


# --- where things are ---------------------------------------------------------------------------


def _boxes(kind, objects, relation, rng) -> np.ndarray:
    """Left, top and side of each object's square, (N, 6, 3), as shares of the scene's side."""
    low, high = np.array([(TABLE[k].low, TABLE[k].high) for k in kind]).reshape(-1, 2).T
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


def _paste(split, objects, boxes, rng) -> np.ndarray:
    """Scenes (N, C, 32, 32): an image of each object's class, turned a little, in its box."""
    order = np.argsort(split.y, kind="stable")
    start = np.searchsorted(split.y[order], np.arange(split.y.max() + 2))
    images = as_tensor(split.x)
    # Each image also at half its size: small objects are sampled from those, without aliasing.
    levels = (images, F.avg_pool2d(images, 2))
    canvas = torch.zeros(len(objects), SIDE * SIDE, split.x.shape[1])
    for k in range(MOST):
        scenes = np.flatnonzero(objects[:, k] >= 0)
        low, high = start[objects[scenes, k]], start[objects[scenes, k] + 1]
        chosen = order[low + (rng.uniform(size=len(scenes)) * (high - low)).astype(int)]
        turned = rng.uniform(-_TURN, _TURN, (2, len(scenes)))
        box = boxes[scenes, k]
        # An object is drawn into a window of the scene that holds it however it is turned.
        window = np.minimum(np.ceil(1.4 * box[:, 2] / 8) * 8, SIDE).astype(int)
        level = (box[:, 2] <= SIDE // 2).astype(int)
        for w, source in sorted({*zip(window.tolist(), level.tolist(), strict=True)}):
            rows = np.flatnonzero((window == w) & (level == source))
            for i in range(0, len(rows), 2_000):  # as many as the cache can hold
                part = rows[i : i + 2_000]
                corner = (box[part, :2] + box[part, 2:] / 2 - w / 2).round().clip(0, SIDE - w)
                grid = _places(box[part], turned[:, part], corner, w)
                drawn = F.grid_sample(
                    levels[source][chosen[part]], torch.from_numpy(grid), align_corners=False
                )
                left, top = corner.T.astype(int)
                pixels = (np.arange(w)[:, None] * SIDE + np.arange(w)).ravel()
                pixels = torch.from_numpy((top * SIDE + left)[:, None] + pixels)  # (N, w * w)
                scene = torch.from_numpy(scenes[part])[:, None]
                brighter = torch.maximum(canvas[scene, pixels], drawn.flatten(2).transpose(1, 2))
                canvas[scene, pixels] = brighter
    canvas = canvas.clamp_(0, 1).transpose(1, 2).reshape(len(objects), split.x.shape[1], SIDE, SIDE)
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
