"""Lesson 06b: the file that draws, the shorter run, and who judges the drawings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import nn

from embedlab import captions
from embedlab.augment import Affine
from embedlab.checkpoint import load_drawing, save_drawing
from embedlab.drawing import Painter, Prior
from embedlab.draws import Dropout
from embedlab.embedders import CLIP
from embedlab.embedders.conv import ConvEncoder
from embedlab.evidence import Experiment
from embedlab.images import Images
from embedlab.intervals import Measure
from embedlab.scenes import CaptionedImages, Scenes, compose, load_scenes
from embedlab.scoreboard import RESULTS, Row
from embedlab.training import as_tensor, in_batches, seeded, train

COMMAND = "embedlab checkpoint"
CHECKPOINT = RESULTS / "digits" / "drawing.safetensors"
GUIDANCE = (1.0, 1.5, 2.0, 3.0)
USUAL = 2.0  # the guidance that is quoted where nothing else is said
STEPS = 5
EACH = 50  # drawings of a caption


def make_checkpoint(path: Path = CHECKPOINT, seed: int = 0) -> Path:
    """Train CLIP, prior and painter on all kinds of scenes of digits, and write them to a file.

    Parameters
    ----------
    path : pathlib.Path
    seed : int

    Returns
    -------
    pathlib.Path
    """
    from embedlab.images import load_images

    known = load_scenes(load_images("digits"), seed=seed).train
    clip = CLIP(seed=seed).fit(known.x, known.captions)
    save_drawing(path, clip, *_trained(clip, known, seed, 20, 20), command=COMMAND)
    return path


def short_run(clip: CLIP, images: Images, seed: int = 0) -> tuple[Prior, Painter]:
    """A prior and a painter for a CLIP, trained for a minute on scenes of one object.

    Parameters
    ----------
    clip : fitted CLIP
    images : Images
    seed : int
        Of the scenes and of both trainings.

    Returns
    -------
    (Prior, Painter)
    """
    nouns = captions.nouns(images.class_names)
    known = compose(images.train, nouns, 10_000, kinds=("one",), seed=[seed, 1])
    return _trained(clip, known, seed, 15, 6)


def stored_or_new(images: Images) -> tuple[CLIP, Prior, Painter]:
    """What the file holds, on digits; for another set one trained here, shorter, and that is said.

    Parameters
    ----------
    images : Images

    Returns
    -------
    (CLIP, Prior, Painter)
    """
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


# --- the judges ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judge:
    """A classifier of real pictures that never sees a drawing.

    Attributes
    ----------
    network : torch.nn.Module
        Images to a number for each answer.
    ceiling : Measure
        Its accuracy on real pictures of the test images.
    """

    network: nn.Module
    ceiling: Measure

    def right(self, x: np.ndarray, answer: np.ndarray, dataset: str = "") -> Measure:
        """How often pictures show what they should.

        Parameters
        ----------
        x : ndarray of float32, shape (N, C, 32, 32)
        answer : ndarray of int, shape (N,)
        dataset : str

        Returns
        -------
        Measure
        """
        guess = in_batches(self.network, self.network, x).argmax(axis=1)
        return Measure.from_units("accuracy", dataset, image=guess == answer)


# What each judge is asked of a kind of scene: a whole number.
QUESTIONS = {
    "one": lambda scenes: scenes.y,
    "several": lambda scenes: scenes.count,
    "two": lambda scenes: np.sort(scenes.objects[:, :2], axis=1) @ np.array([10, 1]),
}


def judge(images: Images, kind: str = "one", n: int = 10_000, epochs: int = 10) -> Judge:
    """Teach a judge with real scenes of the training images.

    Parameters
    ----------
    images : Images
    kind : str
        ``"one"``: which object? ``"several"``: how many? ``"two"``: which two, in any order?
    n : int
        Scenes.
    epochs : int

    Returns
    -------
    Judge
    """
    nouns, ask = captions.nouns(images.class_names), QUESTIONS[kind]
    known = compose(images.train, nouns, n, kinds=(kind,), seed=101)
    real = compose(images.test, nouns, 1_000, kinds=(kind,), seed=102)
    answer = ask(known)
    with seeded(0):
        network = nn.Sequential(
            ConvEncoder(known.x.shape[1], 128, width=32),
            Dropout(0.3),
            nn.Linear(128, int(answer.max()) + 1),
        )
    x, y, view = as_tensor(known.x), as_tensor(answer), Affine()

    def loss(network, index, generator):
        return F.cross_entropy(network(view(x[index], generator)), y[index])

    train(
        network,
        loss,
        n,
        epochs=epochs,
        batch_size=64,
        lr=3e-3,
        weight_decay=0.05,
        seed=0,
        fast=False,
        label=f"judge of {kind}",
    )
    unjudged = Judge(network, Measure("accuracy", 0.0))
    return Judge(network, unjudged.right(real.x, ask(real), images.name))


# --- the drawings -------------------------------------------------------------------------------


def drawn(
    clip: CLIP,
    prior: Prior | None,
    painter: Painter,
    said,
    guidance: float = USUAL,
    seed: int = 0,
) -> np.ndarray:
    """A drawing of each caption.

    Parameters
    ----------
    clip, prior, painter
        Fitted. No prior: the painter is handed the caption's own vector.
    said : sequence of str
    guidance : float
        Of prior and painter.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray of float32, shape (len(said), C, 32, 32)
    """
    vectors = clip.embed_text(said)
    if prior is not None:
        vectors = prior.imagine(vectors, USUAL, STEPS, seed)
    return painter.draw(vectors, guidance, STEPS, seed)


def recognised(
    judge: Judge,
    clip: CLIP,
    prior: Prior | None,
    painter: Painter,
    images: Images,
    guidance: float = USUAL,
    seed: int = 0,
) -> Measure:
    """How many drawings of one-object captions the judge takes for what was asked.

    Parameters
    ----------
    judge : Judge
        Of one object.
    clip, prior, painter, guidance, seed
        See :func:`drawn`.
    images : Images
        Whose classes are asked for, each as often.

    Returns
    -------
    Measure
    """
    nouns = captions.nouns(images.class_names)
    label = np.repeat(np.arange(len(nouns)), EACH)
    said = [captions.one(nouns[c]) for c in label]
    x = drawn(clip, prior, painter, said, guidance, seed)
    return judge.right(x, label, images.name)


def asked(scenes: CaptionedImages, kind: str, n: int = 500) -> Scenes:
    """Real test pictures of a kind, whose captions are to be drawn.

    Parameters
    ----------
    scenes : CaptionedImages
    kind : str
    n : int

    Returns
    -------
    Scenes
    """
    return scenes.test[np.flatnonzero(scenes.test.kind == kind)[:n]]


def _rows(condition: str, seed: int, images: Images) -> list[Row]:
    clip, prior, painter = load_drawing(CHECKPOINT)
    if condition == "short run":
        prior, painter = short_run(clip, images, seed)
    one = judge(images)
    out = {"ceiling": one.ceiling}
    for g in GUIDANCE:
        for with_prior, used in (("prior", prior), ("no prior", None)):
            found = recognised(one, clip, used, painter, images, g, seed)
            out[f"{with_prior}, guidance {g}"] = found
    if condition == "checkpoint":
        scenes = load_scenes(images)
        for kind in ("several", "two"):
            real, who = asked(scenes, kind), judge(images, kind, 20_000)
            x = drawn(clip, prior, painter, real.captions, seed=seed)
            out[kind] = who.right(x, QUESTIONS[kind](real), images.name)
            out[f"{kind}, ceiling"] = who.ceiling
    return [Row(condition, images.name, out, clip.embed_dim, "captions")]


drawing = Experiment(
    name="drawing",
    about="Drawings by the stored painter and by the short run, judged by classifiers of real "
    "pictures.",
    conditions=("checkpoint", "short run"),
    run=_rows,
    seeds=(0, 1, 2),
)
