"""Lesson 04: SimCLR without some of its views, temperature, batches, the head, and few labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from embedlab.data.images import Images
from embedlab.embedders import LeNet5, RandomConv, SimCLR, Triplet
from embedlab.embedders.shared.contrastive import (
    COLOUR_VIEWS,
    GREY_VIEWS,
    LAYERS,
    Contrastive,
    default_views,
)
from embedlab.lessons.experiments import Experiment
from embedlab.lessons.few_labels import few_labels_row, few_shot_row
from embedlab.measure.probes import few_shot
from embedlab.measure.scoreboard import Row, score
from embedlab.training.augment import Affine, Blur, Flip, ResizedCrop, View


def layer_rows(embedder: Contrastive, images: Images, name: str) -> list[Row]:
    """A row before the projection head and one after it, where there is one.

    Parameters
    ----------
    embedder : Contrastive
        Fitted.
    images : Images
    name : str

    Returns
    -------
    list of Row
        Named ``name`` and ``"<name>, projected"``.
    """
    rows = [score(embedder.at("encoder"), images, name)]
    if embedder.projection_dim is not None:
        rows.append(score(embedder.at("projection"), images, f"{name}, projected"))
    return rows


# --- which views --------------------------------------------------------------------------------

NOTHING = (Affine(0, 0, 0, 0),)  # leaves every image as it is


def ablation_views(usual: tuple[View, ...], others: tuple[View, ...]) -> dict[str, tuple]:
    """Sets of views: the usual ones, these without each one, and with each other one added.

    Parameters
    ----------
    usual, others : tuple of views

    Returns
    -------
    dict of str to tuple of views
        By name: ``"all"``, ``"without blur"``, ``"with flip"``, ``"none"``.
    """
    name = lambda view: type(view).__name__.lower().replace("resizedcrop", "crop")  # noqa: E731
    sets = {"all": usual}
    sets |= {f"without {name(v)}": tuple(u for u in usual if u != v) for v in usual}
    sets |= {f"with {name(v)}": (*usual, v) for v in others}
    return {**sets, "none": NOTHING}


GREY_SETS = ablation_views(GREY_VIEWS, (ResizedCrop(area=0.3), Flip()))
COLOUR_SETS = ablation_views(COLOUR_VIEWS, (Blur(3),))
COLOUR_SETS["only crop and flip"] = COLOUR_VIEWS[:2]


def _ablation(sets: dict, condition: str, seed: int, images: Images) -> list[Row]:
    if condition == "untrained":
        return [score(RandomConv(seed=seed).fit(images.train.x), images, condition)]
    simclr = SimCLR(views=sets[condition], seed=seed).fit(images.train.x)
    return layer_rows(simclr, images, condition)


ablation = Experiment(
    name="ablation",
    about="SimCLR with its usual views, without each of them, with others, and with none.",
    conditions=(*GREY_SETS, "untrained"),
    run=partial(_ablation, GREY_SETS),
)
ablation_colour = Experiment(
    name="ablation-colour",
    about="SimCLR on colour crops with its usual views, without each, with others, with none.",
    conditions=(*COLOUR_SETS, "untrained"),
    run=partial(_ablation, COLOUR_SETS),
    datasets=("photo-crops",),
)

# --- temperature, batch size, head and loss -----------------------------------------------------

TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 2.0)
BATCH_SIZES = (16, 64, 128, 512)

temperature = Experiment(
    name="temperature",
    about="SimCLR at temperatures from 0.05 to 2.",
    conditions=tuple(map(str, TEMPERATURES)),
    run=lambda condition, seed, images: layer_rows(
        SimCLR(temperature=float(condition), seed=seed).fit(images.train.x), images, condition
    ),
)
batch_size = Experiment(
    name="batch-size",
    about="SimCLR with 16 to 512 images a batch, the same number of epochs.",
    conditions=tuple(map(str, BATCH_SIZES)),
    run=lambda condition, seed, images: layer_rows(
        SimCLR(batch_size=int(condition), seed=seed).fit(images.train.x), images, condition
    ),
)

LOSSES = {
    "NT-Xent, head": lambda seed: SimCLR(seed=seed),
    "NT-Xent, no head": lambda seed: SimCLR(projection_dim=None, seed=seed),
    "triplet, head": lambda seed: Triplet(projection_dim=64, seed=seed),
    "triplet, no head": lambda seed: Triplet(seed=seed),
}
losses = Experiment(
    name="losses",
    about="NT-Xent and a triplet loss, each with a projection head and without.",
    conditions=tuple(LOSSES),
    run=lambda condition, seed, images: layer_rows(
        LOSSES[condition](seed).fit(images.train.x), images, condition
    ),
)

# --- few labels ---------------------------------------------------------------------------------

SHOTS = (1, 5, 20)
STEPS = 800  # of LeNet-5 on a few images, whatever their number


def _lenet(augment, seed: int) -> Callable[[int], LeNet5]:
    return lambda n: LeNet5(augment=augment, epochs=STEPS // max(1, n // 64), seed=seed)


def _few_labels(condition: str, seed: int, images: Images) -> list[Row]:
    if condition == "LeNet-5, mild views":
        return [few_labels_row(_lenet(True, seed), 5, images, f"{condition}: 5")]
    if condition.startswith("LeNet-5, same views"):
        k = int(condition.split(": ")[1])
        views = default_views(images.train.x.shape[1])
        return [few_labels_row(_lenet(views, seed), k, images, condition)]
    simclr, rows = SimCLR(seed=seed).fit(images.train.x), []
    for layer, name in zip(LAYERS, ("SimCLR", "SimCLR, projected"), strict=True):
        train, test = (
            (simclr.at(layer).transform(split.x), split.y) for split in (images.train, images.test)
        )
        for k in SHOTS:
            rows.append(few_shot_row(few_shot(train, test, shots=k), images, f"{name}: {k}"))
    return rows


few_labels = Experiment(
    name="few-labels",
    about="SimCLR and a linear probe against LeNet-5, both from 1 to 20 labels a class.",
    conditions=(
        *(f"LeNet-5, same views: {k}" for k in reversed(SHOTS)),  # the longest first
        "LeNet-5, mild views",
        "SimCLR",
    ),
    run=_few_labels,
)
