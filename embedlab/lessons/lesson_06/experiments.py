"""Lesson 06: CLIP on captioned scenes; pairs, batches, temperature, words withheld, puzzles."""

from __future__ import annotations

import warnings

import numpy as np

from embedlab.data import captions
from embedlab.data.captions import NUMBERS, TEMPLATES, words
from embedlab.data.images import Images
from embedlab.data.scenes import KINDS, CaptionedImages, load_scenes
from embedlab.embedders import CLIP
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.lessons.experiments import Experiment
from embedlab.lessons.lesson_06.matching import recalls
from embedlab.lessons.lesson_06.puzzles import chosen, named, puzzles
from embedlab.measure.intervals import Measure
from embedlab.measure.scoreboard import Row

SEEN = 200_000  # pairs in a training, with repetitions: the same for all
PAIRS = (500, 2_000, 5_000)
BATCH_SIZES = (32, 512)
TEMPERATURES = (0.01, 0.3, 1.0)

SWEPT = {
    "as it is": {},
    **{f"{n} pairs": {"epochs": SEEN // n} for n in PAIRS},
    **{f"batches of {n}": {"batch_size": n} for n in BATCH_SIZES},
    **{f"temperature {t}": {"temperature": t, "learn_temperature": False} for t in TEMPERATURES},
}
TAUGHT = {
    "words shuffled": {},
    "sums and negation": {},
    "two words withheld": {"vocabulary": tuple(NUMBERS)},
}


def single(nouns) -> list[str]:
    """The caption of one object of each class: "a zero", "a one" …"""
    return [captions.one(noun) for noun in nouns]


def in_templates(nouns) -> list[list[str]]:
    """The captions of one object of each class, in every template."""
    return [[t.replace("{}", said) for t in TEMPLATES] for said in single(nouns)]


def scans_named(clip: ImageTextEmbedder, images: Images, prompts) -> Measure:
    """Accuracy on the test images, each named by the nearest prompt.

    Parameters
    ----------
    clip : fitted ImageTextEmbedder
    images : Images
    prompts : list of str, or of list of str
        One for each class, or several.

    Returns
    -------
    Measure
    """
    guess = clip.zero_shot(images.test.x, prompts).argmax(axis=1)
    return Measure.from_units("accuracy", images.name, image=guess == images.test.y)


def words_shuffled(said: np.ndarray, seed: int) -> np.ndarray:
    """Every caption with its words in another, random order.

    Parameters
    ----------
    said : ndarray of str, shape (N,)
    seed : int

    Returns
    -------
    ndarray of str, shape (N,)
    """
    rng = np.random.default_rng(seed)
    return np.array([" ".join(rng.permutation(words(text))) for text in said])


def withheld(seed: int, images: Images) -> tuple[int, int]:
    """The two classes that a training of this seed never hears of."""
    n = len(images.class_names)
    return 2 * seed % n, (2 * seed + 1) % n


def measured(clip: ImageTextEmbedder, images: Images, scenes: CaptionedImages, name: str) -> Row:
    """Everything that lesson 06 asks of a CLIP.

    Parameters
    ----------
    clip : fitted ImageTextEmbedder
    images : Images
    scenes : CaptionedImages
        Its words, and the pictures of test and unseen.
    name : str
        Of the row.

    Returns
    -------
    Row
    """
    test, nouns, dataset = scenes.test, scenes.nouns, images.name
    out = {
        "scans": scans_named(clip, images, single(nouns)),
        "scans, four prompts": scans_named(clip, images, in_templates(nouns)),
        **recalls(
            clip.embed_images(test.x), clip.embed_text(test.captions), test.captions, dataset
        ),
    }
    for key, some in (("seen", test), ("unseen", scenes.unseen)):
        for what, measure in named(clip, some, nouns, dataset).items():
            out[f"{key} {what}"] = measure
    for puzzle in puzzles(images.test, scenes):
        out[puzzle.about] = chosen(clip, puzzle, dataset)
    return Row(name, dataset, out, clip.embed_dim, "captions", fit_seconds=clip.fit_seconds_)


def withheld_row(clip: ImageTextEmbedder, images: Images, nouns, pair, name: str) -> Row:
    """How the images of two classes are named that no caption spoke of: by two words, or by all."""
    test = images.test[np.isin(images.test.y, pair)]
    by_all = clip.zero_shot(test.x, single(nouns)).argmax(axis=1) == test.y
    two = clip.zero_shot(test.x, single([nouns[c] for c in pair])).argmax(axis=1)
    by_two = np.asarray(pair)[two] == test.y
    # Other images for each seed: so the seeds, each with its pair of words, are the only units.
    found = {"two words": by_two, "all words": by_all}
    out = {k: Measure("accuracy", float(v.mean()), {}, images.name) for k, v in found.items()}
    return Row(name, images.name, out, clip.embed_dim, "captions", fit_seconds=clip.fit_seconds_)


def _clip(condition: str, seed: int, images: Images) -> list[Row]:
    pair = withheld(seed, images)
    scenes = load_scenes(
        images,
        kinds=KINDS if condition == "sums and negation" else KINDS[:3],
        without=[images.class_names[c] for c in pair] if "withheld" in condition else (),
        seed=seed,
    )
    train = scenes.train
    if condition.endswith("pairs"):
        train = train[: int(condition.split()[0])]
    said = train.captions
    if condition == "words shuffled":
        said = words_shuffled(said, seed)
    clip = CLIP(**(SWEPT | TAUGHT)[condition], seed=seed).fit(train.x, said)
    with warnings.catch_warnings():
        # Puzzles ask about words that were never taught, on purpose.
        warnings.filterwarnings("ignore", message=".* not in the vocabulary")
        if "withheld" in condition:
            return [withheld_row(clip, images, scenes.nouns, pair, condition)]
        return [measured(clip, images, scenes, condition)]


clip = Experiment(
    name="clip",
    about="CLIP on captioned scenes, with fewer pairs, other batches and other temperatures.",
    conditions=tuple(SWEPT),
    run=_clip,
)
clip_taught = Experiment(
    name="clip-taught",
    about="CLIP whose captions are shuffled words, hold sums and negation, or never name two "
    "classes.",
    conditions=tuple(TAUGHT),
    run=_clip,
)
