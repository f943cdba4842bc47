"""Questions with several captions of which one is true: what does CLIP see, and what not?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedlab.data import captions
from embedlab.data.captions import RELATIONS, are_digits
from embedlab.data.images import Split
from embedlab.data.scenes import COUNTS, MOST, CaptionedImages, Scenes, compose
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.measure.intervals import Measure


@dataclass(frozen=True)
class Puzzle:
    """Pictures, each with as many captions to choose from; the true one comes first."""

    about: str
    scenes: Scenes
    options: tuple[tuple[str, ...], ...]

    @property
    def chance(self) -> float:
        """Share that guessing gets right."""
        return 1 / len(self.options[0])


def choice_accuracy(clip: ImageTextEmbedder, puzzle: Puzzle, dataset: str = "") -> Measure:
    """How often the true caption is nearest to its picture.

    Where captions have the same vector, each gets its share: no order of words that cannot be seen
    is rewarded.
    """
    said, where = np.unique(puzzle.options, return_inverse=True)
    text = clip.embed_text(said)[where.reshape(len(puzzle.options), -1)]  # (N, options, D)
    cosine = np.einsum("nd,nkd->nk", clip.embed_images(puzzle.scenes.x), text)
    best = cosine >= cosine.max(axis=1, keepdims=True) - 1e-6
    return Measure.from_units("accuracy", dataset, image=best[:, 0] / best.sum(axis=1))


def puzzles(split: Split, scenes: CaptionedImages, n: int = 500, seed: int = 100) -> list[Puzzle]:
    """Every puzzle that the classes allow, `n` pictures each composed from a split, that of test.

    The words are those of `scenes`, and the pairs that it held out are left out but in the last
    ones, which are of these alone. Sums only where the classes are digits.
    """
    nouns, held_out = scenes.nouns, scenes.held_out

    def scene(kind, number, **kwargs):
        kwargs = {"avoid": held_out, **kwargs}
        return compose(split, nouns, n, kinds=(kind,), seed=[seed, number], **kwargs)

    two, counted = scene("two", 0), scene("several", 1)
    beyond = scene("several", 2, counts=range(max(COUNTS) + 1, MOST + 1))
    lone = scene("without", 3)
    found = [
        Puzzle("a wrong object named", two, _another_object(two, nouns)),
        Puzzle("which relation", two, _which_relation(two, nouns)),
        Puzzle("objects swapped", two, _swapped(two, nouns)),
        Puzzle("counts as taught", counted, _which_count(counted, nouns, COUNTS)),
        Puzzle("counts beyond", beyond, _which_count(beyond, nouns, range(2, MOST + 1))),
        Puzzle("negation", lone, _which_is_absent(lone)),
        Puzzle("no ...", lone, _no(lone, nouns)),
    ]
    if are_digits(nouns):
        found.append(Puzzle("sums of pairs seen", *_which_sum(scene("sum", 4), nouns)))
    if held_out:
        parted = scene("two", 5, avoid=(), pairs=held_out)
        found.append(
            Puzzle("a wrong object named, unseen pairs", parted, _another_object(parted, nouns))
        )
        if are_digits(nouns):
            unseen = scene("sum", 6, avoid=(), pairs=held_out)
            found.append(Puzzle("sums of unseen pairs", *_which_sum(unseen, nouns)))
    return found


def _pairs(scenes: Scenes, nouns: Sequence[str]):
    """(first, relation, second) of each picture, in words."""
    for (a, b), relation in zip(scenes.objects[:, :2], scenes.relation, strict=True):
        yield nouns[a], RELATIONS[relation], nouns[b]


def _swapped(scenes, nouns):
    return tuple(
        (captions.two(a, r, b), captions.two(b, r, a)) for a, r, b in _pairs(scenes, nouns)
    )


def _which_relation(scenes, nouns):
    return tuple(
        (captions.two(a, r, b), *(captions.two(a, other, b) for other in RELATIONS if other != r))
        for a, r, b in _pairs(scenes, nouns)
    )


def _another_object(scenes, nouns):
    """The second object is really another: the next class that is not on the picture."""
    out = []
    for a, r, b in _pairs(scenes, nouns):
        i = nouns.index(b)
        other = next(c for c in (*nouns[i + 1 :], *nouns[:i]) if c != a)
        out.append((captions.two(a, r, b), captions.two(a, r, other)))
    return tuple(out)


def _which_count(scenes, nouns, counts):
    return tuple(
        (captions.several(n, noun), *(captions.several(c, noun) for c in counts if c != n))
        for n, noun in zip(scenes.count, (nouns[y] for y in scenes.y), strict=True)
    )


def _which_is_absent(scenes):
    """The same words in another order: "a seven and no three", "a three and no seven"."""
    out = []
    for said in scenes.captions.tolist():
        here, gone = said.split(" and no ")
        noun = here.split(" ", 1)[1]
        out.append((said, captions.without(gone, noun)))
    return tuple(out)


def _no(scenes, nouns):
    """What is not there, with no word of what is: "no three" of a picture of a seven."""
    gone = (said.split(" and no ")[1] for said in scenes.captions.tolist())
    return tuple((f"no {g}", f"no {nouns[y]}") for g, y in zip(gone, scenes.y, strict=True))


def _which_sum(scenes, nouns):
    """Pictures two by two: of each, its own sum or the other's; where both are equal, neither.

    So a caption that CLIP likes whatever it sees is right as often as it is wrong.
    """
    own = np.array([captions.total(a, b) for a, _, b in _pairs(scenes, nouns)])
    half = len(own) // 2
    other = np.concatenate([own[half : 2 * half], own[:half]])
    differ = np.flatnonzero(own[: 2 * half] != other)
    options = tuple(zip(own[differ].tolist(), other[differ].tolist(), strict=True))
    return scenes[differ], options


def zero_shot_accuracy(
    clip: ImageTextEmbedder, scenes: Scenes, nouns: Sequence[str], dataset: str = ""
) -> dict[str, Measure]:
    """Which two objects, or what and how many: zero-shot among all captions of the kind.

    ``"pairs"``, of scenes of ``"two"``, whose order is not judged (chance: one over the number of
    pairs), and ``"counts"``, of ``"several"``; other scenes are left out.
    """
    out = {}
    two, several = scenes[scenes.kind == "two"], scenes[scenes.kind == "several"]
    if len(two):
        out["pairs"] = Measure.from_units("accuracy", dataset, image=_right_pair(clip, two, nouns))
    if len(several):
        right = _right_count(clip, several, nouns)
        out["counts"] = Measure.from_units("accuracy", dataset, image=right)
    return out


def _right_pair(clip, two: Scenes, nouns: Sequence[str]) -> np.ndarray:
    """Of each picture (N,), whether the nearest caption in its relation names its two objects."""
    classes = range(len(nouns))
    ordered = np.array([(a, b) for a in classes for b in classes if a != b])
    right, image = np.empty(len(two)), clip.embed_images(two.x)
    for r, relation in enumerate(RELATIONS):
        mine = two.relation == r
        text = clip.embed_text([captions.two(nouns[a], relation, nouns[b]) for a, b in ordered])
        guess = ordered[(image[mine] @ text.T).argmax(axis=1)]
        right[mine] = (np.sort(guess) == np.sort(two.objects[mine, :2])).all(axis=1)
    return right


def _right_count(clip, several: Scenes, nouns: Sequence[str]) -> np.ndarray:
    """Of each picture (N,), whether the nearest caption says its object and how many."""
    kinds = np.array([(n, c) for n in COUNTS for c in range(len(nouns))])
    text = clip.embed_text([captions.several(n, nouns[c]) for n, c in kinds])
    guess = kinds[(clip.embed_images(several.x) @ text.T).argmax(axis=1)]
    return (guess == np.stack([several.count, several.y], axis=1)).all(axis=1)
