"""Lesson 06: CLIP on captioned scenes; pairs, batches, temperature, words withheld, puzzles."""

import warnings
from functools import partial

import numpy as np

from embedlab.data import captions
from embedlab.data.captions import NUMBERS, TEMPLATES, words
from embedlab.data.images import Images
from embedlab.data.scenes import KINDS, CaptionedImages, load_scenes
from embedlab.embedders import CLIP
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.lessons.experiments import Experiment
from embedlab.lessons.lesson_06.matching import recalls
from embedlab.lessons.lesson_06.puzzles import choice_accuracy, puzzles, zero_shot_accuracy
from embedlab.measure.intervals import Measure
from embedlab.measure.scoreboard import Row

SEEN = 200_000  # pairs in a training, with repetitions: the same for all
PAIRS = (500, 2_000, 5_000)
BATCH_SIZES = (32, 512)
TEMPERATURES = (0.01, 0.3, 1.0)


def single(nouns) -> list[str]:
    """The caption of one object of each class: "a zero", "a one" …"""
    return [captions.one(noun) for noun in nouns]


def in_templates(nouns) -> list[list[str]]:
    """The captions of one object of each class, in every template."""
    return [[t.replace("{}", said) for t in TEMPLATES] for said in single(nouns)]


def scans_named(clip: ImageTextEmbedder, images: Images, prompts) -> Measure:
    """Accuracy on the test images, each named by the nearest prompt: one a class, or several."""
    guess = clip.zero_shot(images.test.x, prompts).argmax(axis=1)
    return Measure.from_units("accuracy", images.name, image=guess == images.test.y)


def words_shuffled(said: np.ndarray, seed: int) -> np.ndarray:
    """Captions (N,), each with its words in another, random order."""
    rng = np.random.default_rng(seed)
    return np.array([" ".join(rng.permutation(words(text))) for text in said])


def withheld(seed: int, images: Images) -> tuple[int, int]:
    """The two classes that a training of this seed never hears of."""
    n = len(images.class_names)
    return 2 * seed % n, (2 * seed + 1) % n


def evaluate_clip(
    clip: ImageTextEmbedder, images: Images, scenes: CaptionedImages, name: str, lab: bool = True
) -> Row:
    """Everything that lesson 06 asks of a fitted CLIP, as a row; with `lab`, the puzzles too."""
    test, nouns, dataset = scenes.test, scenes.nouns, images.name
    out = {
        "scans": scans_named(clip, images, single(nouns)),
        "scans, four prompts": scans_named(clip, images, in_templates(nouns)),
        **recalls(
            clip.embed_images(test.x), clip.embed_text(test.captions), test.captions, dataset
        ),
    }
    for key, some in (("seen", test), ("unseen", scenes.unseen)):
        for what, measure in zero_shot_accuracy(clip, some, nouns, dataset).items():
            out[f"{key} {what}"] = measure
    for puzzle in puzzles(images.test, scenes) if lab else ():
        out[puzzle.about] = choice_accuracy(clip, puzzle, dataset)
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


def _clip(
    name: str, seed: int, images: Images, kinds=KINDS[:3], n=None, spoil=None, lab=False, **params
) -> list[Row]:
    """CLIP with other parameters, kinds of scenes or captions, or on the first n pairs."""
    scenes = load_scenes(images, kinds=kinds, seed=seed)
    known = scenes.train[:n]
    said = spoil(known.captions, seed) if spoil else known.captions
    clip = CLIP(**params, seed=seed).fit(known.x, said)
    with warnings.catch_warnings():
        # Puzzles ask about words that were never taught, on purpose.
        warnings.filterwarnings("ignore", message=".* not in the vocabulary")
        return [evaluate_clip(clip, images, scenes, name, lab)]


def _withheld(name: str, seed: int, images: Images) -> list[Row]:
    """CLIP without any caption of two classes, whose words are in its vocabulary."""
    pair = withheld(seed, images)
    gone = [images.class_names[c] for c in pair]
    scenes = load_scenes(images, kinds=KINDS[:3], without=gone, seed=seed)
    clip = CLIP(vocabulary=tuple(NUMBERS), seed=seed).fit(scenes.train.x, scenes.train.captions)
    return [withheld_row(clip, images, scenes.nouns, pair, name)]


SWEPT = {
    "as it is": {"lab": True},
    **{f"{n} pairs": {"n": n, "epochs": SEEN // n} for n in PAIRS},
    **{f"batches of {n}": {"batch_size": n} for n in BATCH_SIZES},
    **{f"temperature {t}": {"temperature": t, "learn_temperature": False} for t in TEMPERATURES},
}
TAUGHT = {
    "words shuffled": {"lab": True, "spoil": words_shuffled},
    "sums and negation": {"lab": True, "kinds": KINDS},
}
clip = Experiment(
    name="clip",
    about="CLIP on captioned scenes, with fewer pairs, other batches and other temperatures.",
    conditions={name: partial(_clip, name, **how) for name, how in SWEPT.items()},
)
clip_taught = Experiment(
    name="clip-taught",
    about="CLIP whose captions are shuffled words, hold sums and negation, or never name two "
    "classes.",
    conditions={
        **{name: partial(_clip, name, **how) for name, how in TAUGHT.items()},
        "two words withheld": partial(_withheld, "two words withheld"),
    },
)
