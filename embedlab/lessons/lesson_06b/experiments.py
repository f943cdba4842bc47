"""Lesson 06b: the file that draws, the shorter run, and who judges the drawings."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from embedlab.data import captions
from embedlab.data.images import Images
from embedlab.data.scenes import CaptionedImages, Scenes, compose, load_scenes
from embedlab.embedders import CLIP
from embedlab.lessons.experiments import Experiment
from embedlab.lessons.lesson_06b.checkpoint import load_drawing, save_drawing
from embedlab.lessons.lesson_06b.drawing import Painter, Prior
from embedlab.lessons.lesson_06b.judges import QUESTIONS, Classifier, train_classifier
from embedlab.measure.intervals import Measure
from embedlab.measure.scoreboard import Row
from embedlab.settings import ROOT

CHECKPOINT = ROOT / "results" / "digits" / "drawing.safetensors"
GUIDANCE = (1.0, 1.5, 2.0, 3.0)
USUAL = 2.0  # the guidance that is quoted where nothing else is said
STEPS = 5
EACH = 50  # drawings of a caption


def make_checkpoint() -> Path:
    """Train CLIP, prior and painter on all kinds of scenes of digits, and write them to a file."""
    from embedlab.data.load import load_images

    known = load_scenes(load_images("digits"), seed=0).train
    clip = CLIP(seed=0).fit(known.x, known.captions)
    save_drawing(CHECKPOINT, clip, *_trained(clip, known, 0, 20, 20))
    return CHECKPOINT


def short_run(clip: CLIP, images: Images, seed: int = 0) -> tuple[Prior, Painter]:
    """A prior and a painter for a CLIP, trained for a minute on scenes of one object."""
    nouns = captions.nouns(images.class_names)
    known = compose(images.train, nouns, 10_000, kinds=("one",), seed=[seed, 1])
    return _trained(clip, known, seed, 15, 6)


def stored_or_new(images: Images) -> tuple[CLIP, Prior, Painter]:
    """What the file holds, on digits; for another set one trained here, shorter, as it says."""
    if images.name == "digits":
        return load_drawing(CHECKPOINT)
    print(f"No stored painter of {images.name}: CLIP, prior and a short painter are trained here.")
    known = load_scenes(images).train
    clip = CLIP(seed=0).fit(known.x, known.captions)
    return clip, *_trained(clip, known, 0, 15, 3)


def _trained(clip, known: Scenes, seed, prior_epochs, painter_epochs) -> tuple[Prior, Painter]:
    picture, text = clip.embed_images(known.x), clip.embed_text(known.captions)
    prior = Prior(epochs=prior_epochs, seed=seed).fit(text, picture)
    return prior, Painter(epochs=painter_epochs, seed=seed).fit(picture, known.x)


# --- the drawings -------------------------------------------------------------------------------


def draw_captions(
    clip: CLIP,
    prior: Prior | None,
    painter: Painter,
    said: Sequence[str],
    guidance: float = USUAL,
    seed: int = 0,
) -> np.ndarray:
    """A drawing of each caption, float32 (N, C, 32, 32); `seed` is of the noise.

    No prior: the painter is handed the caption's own vector. `guidance` is the painter's.
    """
    vectors = clip.embed_text(said)
    if prior is not None:
        vectors = prior.imagine(vectors, USUAL, STEPS, seed)
    return painter.draw(vectors, guidance, STEPS, seed)


def drawing_accuracy(
    judge: Classifier,
    clip: CLIP,
    prior: Prior | None,
    painter: Painter,
    images: Images,
    guidance: float = USUAL,
    seed: int = 0,
) -> Measure:
    """How many drawings of one-object captions, of each class as many, the judge takes for it."""
    nouns = captions.nouns(images.class_names)
    label = np.repeat(np.arange(len(nouns)), EACH)
    said = [captions.one(nouns[c]) for c in label]
    x = draw_captions(clip, prior, painter, said, guidance, seed)
    return judge.right(x, label, images.name)


def asked(scenes: CaptionedImages, kind: str, n: int = 500) -> Scenes:
    """The first n real test pictures of a kind, whose captions are to be drawn."""
    return scenes.test[np.flatnonzero(scenes.test.kind == kind)[:n]]


def _by_guidance(clip, prior, painter, images: Images, seed: int) -> dict[str, Measure]:
    """The ceiling, and what is recognised with the prior and without it at each guidance."""
    one = train_classifier(images)
    out = {"ceiling": one.ceiling}
    for g in GUIDANCE:
        for with_prior, used in (("prior", prior), ("no prior", None)):
            found = drawing_accuracy(one, clip, used, painter, images, g, seed)
            out[f"{with_prior}, guidance {g}"] = found
    return out


def _stored_painter(name: str, seed: int, images: Images) -> list[Row]:
    clip, prior, painter = load_drawing(CHECKPOINT)
    out = _by_guidance(clip, prior, painter, images, seed)
    scenes = load_scenes(images)
    for kind in ("several", "two"):
        real, who = asked(scenes, kind), train_classifier(images, kind, 20_000)
        x = draw_captions(clip, prior, painter, real.captions, seed=seed)
        out[kind] = who.right(x, QUESTIONS[kind](real), images.name)
        out[f"{kind}, ceiling"] = who.ceiling
    return [Row(name, images.name, out, clip.embed_dim, "captions")]


def _short_run(name: str, seed: int, images: Images) -> list[Row]:
    clip, _, _ = load_drawing(CHECKPOINT)
    out = _by_guidance(clip, *short_run(clip, images, seed), images, seed)
    return [Row(name, images.name, out, clip.embed_dim, "captions")]


drawing = Experiment(
    name="drawing",
    about="Drawings by the stored painter and by the short run, judged by classifiers of real "
    "pictures.",
    conditions={
        "checkpoint": partial(_stored_painter, "checkpoint"),
        "short run": partial(_short_run, "short run"),
    },
    seeds=(0, 1, 2),
)
