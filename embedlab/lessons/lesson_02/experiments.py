"""Lesson 02: wrong labels, classes left out, and what each layer knows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.decomposition import PCA

from embedlab.data.images import Images, Split
from embedlab.data.labels import pair_flip_noise, symmetric_noise
from embedlab.embedders import KernelLDA, LeNet5, Untrained
from embedlab.lessons.experiments import Experiment, fitted
from embedlab.measure.intervals import Measure
from embedlab.measure.probes import linear_probe
from embedlab.measure.properties import properties, r2_probe
from embedlab.measure.scoreboard import Row, measure_all, score

# --- wrong labels ---------------------------------------------------------------------------

WRONG = (0.2, 0.4, 0.6, 0.8)
MISTAKES = {
    **{f"random {share}": (symmetric_noise, share) for share in (0.0, *WRONG)},
    **{f"systematic {share}": (pair_flip_noise, share) for share in WRONG},
}


def _mistaken(name: str, mistakes: Callable, share: float, seed: int, images: Images) -> list[Row]:
    y = mistakes(images.train.y, share, seed)
    return [score(LeNet5(seed=seed).fit(images.train.x, y), images, name)]


label_noise = Experiment(
    name="label-noise",
    about="LeNet-5 trained on labels of which a share is wrong; the probes see right ones.",
    conditions={name: partial(_mistaken, name, *how) for name, how in MISTAKES.items()},
)

# --- classes left out -----------------------------------------------------------------------


def left_out(choice: int, n_classes: int = 10) -> tuple[int, int, int]:
    """Three classes to leave out; over ten choices each digit is left out three times."""
    return tuple(sorted((choice + step) % n_classes for step in (0, 3, 7)))


def left_out_rows(choice: int, images: Images) -> list[Row]:
    """Train LeNet-5 without three classes, then measure its last layers on those three.

    `choice` says which three, see :func:`left_out`, and is the seed. A row for each of pixels,
    fc84, fc84 cut to the logits' length, logits and softmax.
    """
    new = np.array(left_out(choice, len(images.class_names)))
    seen = images.train[~np.isin(images.train.y, new)]
    network = LeNet5(seed=choice).fit(seen.x, seen.y)
    splits = {
        key: getattr(images, key)[np.isin(getattr(images, key).y, new)]
        for key in ("train", "val", "test")
    }
    vectors = {
        layer: {key: network.at(layer=layer).transform(split.x) for key, split in splits.items()}
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
    conditions={"LeNet-5": left_out_rows},
    seeds=tuple(range(10)),
    repeats="choice",
)

# --- more data ------------------------------------------------------------------------------

SIZES = (1_000, 3_000, 10_000, 50_000)
# The traditional side may grow with the data as well: more images to measure the kernel against.
GROWING = {
    "kernel LDA": lambda seed, short: KernelLDA(seed=seed),
    "kernel LDA, 2,000 landmarks": lambda seed, short: KernelLDA(n_landmarks=2_000, seed=seed),
    "LeNet-5": lambda seed, short: LeNet5(seed=seed, augment=False, epochs=30),
    "LeNet-5, short": lambda seed, short: LeNet5(
        seed=seed, augment=False, epochs=30, embed_dim=short
    ),
}


def _of_first(name: str, build: Callable, n: int, seed: int, images: Images) -> list[Row]:
    order = np.random.default_rng(seed).permutation(len(images.train))[:n]
    some = replace(images, train=images.train[order])
    embedder = build(seed, len(images.class_names) - 1).fit(some.train.x, some.train.y)
    return [score(embedder, some, name)]


more_data = Experiment(
    name="more-data",
    about="Kernel LDA and LeNet-5 from a thousand training images to fifty thousand.",
    conditions={
        name: partial(_of_first, name, build, n)
        for method, build in GROWING.items()
        for n in SIZES
        for name in [f"{method}: {n}"]
    },
    datasets=("fashion-mnist",),
    seeds=(0, 1, 2),
    limit=(50_000, 1_000, 2_000),
)

# --- what each layer knows ------------------------------------------------------------------

PROBED = ("c1", "s2", "c3", "s4", "c5", "fc84")


def layer_row(network: LeNet5, layer: str, images: Images, name: str) -> Row:
    """What a linear probe reads from one layer, brought to 64 numbers by PCA.

    Its measures are ``ink``, ``slant``, ``position`` (R squared) and ``class`` (accuracy).
    """
    splits: dict[str, Split] = {k: getattr(images, k) for k in ("train", "val", "test")}
    vectors = {k: network.at(layer=layer).transform(s.x) for k, s in splits.items()}
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


def _layer_rows(network: LeNet5, images: Images, name: str) -> list[Row]:
    return [layer_row(network, layer, images, f"{name} {layer}") for layer in PROBED]


layers = Experiment(
    name="layers",
    about="Ink, slant, position and class, read from every layer of LeNet-5, trained and not.",
    conditions=fitted(
        {"trained": LeNet5, "untrained": lambda seed: Untrained(LeNet5(seed=seed))}, _layer_rows
    ),
)
