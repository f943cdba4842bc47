"""Lesson 02: wrong labels, classes left out, and what each layer knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.decomposition import PCA

from embedlab.data.images import Images, Split
from embedlab.data.labels import random_mistakes, systematic_mistakes
from embedlab.embedders import KernelLDA, LeNet5, RandomEncoder
from embedlab.lessons.experiments import Experiment
from embedlab.measure.intervals import Measure
from embedlab.measure.probes import linear_probe
from embedlab.measure.properties import properties, r2_probe
from embedlab.measure.scoreboard import Row, measure_all, score

# --- wrong labels ---------------------------------------------------------------------------

MISTAKES = {"random": random_mistakes, "systematic": systematic_mistakes}


def _label_noise(condition: str, seed: int, images: Images) -> list[Row]:
    kind, share = condition.split()
    y = MISTAKES[kind](images.train.y, float(share), seed)
    return [score(LeNet5(seed=seed).fit(images.train.x, y), images, condition)]


label_noise = Experiment(
    name="label-noise",
    about="LeNet-5 trained on labels of which a share is wrong; the probes see right ones.",
    conditions=(
        *(f"random {share}" for share in (0.0, 0.2, 0.4, 0.6, 0.8)),
        *(f"systematic {share}" for share in (0.2, 0.4, 0.6, 0.8)),
    ),
    run=_label_noise,
)

# --- classes left out -----------------------------------------------------------------------


def left_out(choice: int, n_classes: int = 10) -> tuple[int, int, int]:
    """Three classes to leave out; over ten choices each digit is left out three times.

    Parameters
    ----------
    choice, n_classes : int

    Returns
    -------
    tuple of three int
    """
    return tuple(sorted((choice + step) % n_classes for step in (0, 3, 7)))


def left_out_rows(choice: int, images: Images) -> list[Row]:
    """Train LeNet-5 without three classes, then measure its last layers on those three.

    Parameters
    ----------
    choice : int
        Which three, see :func:`left_out`; also the seed.
    images : Images

    Returns
    -------
    list of Row
        One for each of pixels, fc84, fc84 cut to the logits' length, logits and softmax.
    """
    new = np.array(left_out(choice, len(images.class_names)))
    seen = images.train[~np.isin(images.train.y, new)]
    network = LeNet5(seed=choice).fit(seen.x, seen.y)
    splits = {
        key: getattr(images, key)[np.isin(getattr(images, key).y, new)]
        for key in ("train", "val", "test")
    }
    vectors = {
        layer: {key: network.at(layer).transform(split.x) for key, split in splits.items()}
        for layer in ("fc84", "logits", "softmax")
    }
    vectors["pixels"] = {key: split.x.reshape(len(split), -1) for key, split in splits.items()}
    # Cut by what the seen classes vary in: the left-out ones may not choose the directions.
    cut = PCA(vectors["logits"]["test"].shape[1]).fit(network.transform(seen.x))
    name = "fc84 cut to the logits' length"
    vectors[name] = {key: cut.transform(v) for key, v in vectors["fc84"].items()}
    in_test = np.isin(images.test.y, new)
    rows = []
    for name, v in vectors.items():
        parts = {key: (v[key], splits[key].y) for key in splits}
        measures = measure_all(**parts, dataset=images.name)
        measures = {k: _among_all_images(m, in_test) for k, m in measures.items()}
        rows.append(Row(name, images.name, measures, v["test"].shape[1]))
    return rows


def _among_all_images(measure: Measure, among: np.ndarray) -> Measure:
    """A measure on some of the test images as one on all of them, the others adding nothing.

    So choices of classes can be pooled, an image that occurs in several staying one image.
    """
    effect = np.zeros(len(among))
    effect[among] = measure.effects["image"] * len(among) / among.sum()
    return replace(measure, effects={**measure.effects, "image": effect})


left_out_classes = Experiment(
    name="left-out-classes",
    about="The last layers of LeNet-5 on three classes that it was not trained on; ten choices.",
    conditions=("LeNet-5",),
    run=lambda condition, choice, images: left_out_rows(choice, images),
    seeds=tuple(range(10)),
    repeats="choice",
)

# --- more data ------------------------------------------------------------------------------

SIZES = (1_000, 3_000, 10_000, 50_000)
# The traditional side may grow with the data as well: more images to measure the kernel against.
GROWING = {
    "kernel LDA": lambda seed, short: KernelLDA(random_state=seed),
    "kernel LDA, 2,000 landmarks": lambda seed, short: KernelLDA(
        n_landmarks=2_000, random_state=seed
    ),
    "LeNet-5": lambda seed, short: LeNet5(seed=seed, augment=False, epochs=30),
    "LeNet-5, short": lambda seed, short: LeNet5(
        seed=seed, augment=False, epochs=30, embed_dim=short
    ),
}


def _more_data(condition: str, seed: int, images: Images) -> list[Row]:
    method, n = condition.split(": ")
    order = np.random.default_rng(seed).permutation(len(images.train))[: int(n)]
    some = replace(images, train=images.train[order])
    embedder = GROWING[method](seed, len(images.class_names) - 1).fit(some.train.x, some.train.y)
    return [score(embedder, some, condition)]


more_data = Experiment(
    name="more-data",
    about="Kernel LDA and LeNet-5 from a thousand training images to fifty thousand.",
    conditions=tuple(f"{method}: {n}" for method in GROWING for n in SIZES),
    run=_more_data,
    datasets=("fashion-mnist",),
    seeds=(0, 1, 2),
    limit=(50_000, 1_000, 2_000),
)

# --- what each layer knows ------------------------------------------------------------------

PROBED = ("c1", "s2", "c3", "s4", "c5", "fc84")


def layer_row(network: LeNet5, layer: str, images: Images, name: str) -> Row:
    """What a linear probe reads from one layer, brought to 64 numbers by PCA.

    Parameters
    ----------
    network : LeNet5
        Fitted.
    layer : str
    images : Images
    name : str
        Of the row.

    Returns
    -------
    Row
        With the measures ``ink``, ``slant``, ``position`` (R squared) and ``class`` (accuracy).
    """
    splits: dict[str, Split] = {k: getattr(images, k) for k in ("train", "val", "test")}
    vectors = {k: network.at(layer).transform(s.x) for k, s in splits.items()}
    cut = PCA(64, random_state=0).fit(vectors["train"])
    vectors = {k: cut.transform(v) for k, v in vectors.items()}
    known = {k: properties(s.x) for k, s in splits.items()}
    measures = {
        what: r2_probe(*((vectors[k], known[k][what]) for k in splits), dataset=images.name)
        for what in ("ink", "slant", "position")
    }
    right, _ = linear_probe(*((vectors[k], splits[k].y) for k in splits))
    measures["class"] = Measure.from_units("linear", images.name, image=right)
    return Row(name, images.name, measures, 64)


def _layers(condition: str, seed: int, images: Images) -> list[Row]:
    network = LeNet5(seed=seed) if condition == "trained" else RandomEncoder(seed=seed)
    network.fit(images.train.x, images.train.y)
    return [layer_row(network, layer, images, f"{condition} {layer}") for layer in PROBED]


layers = Experiment(
    name="layers",
    about="Ink, slant, position and class, read from every layer of LeNet-5, trained and not.",
    conditions=("trained", "untrained"),
    run=_layers,
)
