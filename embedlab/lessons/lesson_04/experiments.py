"""Lesson 04: SimCLR without some of its views, temperature, batches, the head, and few labels."""

from functools import partial

from embedlab.data.images import Images
from embedlab.embedders import LeNet5, SimCLR, Triplet, Untrained
from embedlab.embedders.shared.contrastive import (
    COLOR_VIEWS,
    GRAY_VIEWS,
    Contrastive,
    default_views,
)
from embedlab.lessons.experiments import Condition, Experiment, fitted
from embedlab.lessons.few_labels import few_labels_row, few_shot_row
from embedlab.measure.probes import few_shot
from embedlab.measure.scoreboard import Row, score
from embedlab.training.augment import Affine, Blur, Flip, ResizedCrop, View


def layer_rows(embedder: Contrastive, images: Images, name: str) -> list[Row]:
    """A row before the projection head and, where there is one, ``"<name>, projected"``."""
    rows = [score(embedder.at(layer="encoder"), images, name)]
    if embedder.projection_dim is not None:
        rows.append(score(embedder.at(layer="projection"), images, f"{name}, projected"))
    return rows


# --- which views --------------------------------------------------------------------------------

NOTHING = (Affine(0, 0, 0, 0),)  # leaves every image as it is


def ablation_views(usual: tuple[View, ...], others: tuple[View, ...]) -> dict[str, tuple]:
    """Sets of views by name: all, without each one, with each other one added, none."""

    def name(view: View) -> str:  # as the stored rows say it
        return type(view).__name__.lower().replace("resized", "").replace("gray", "grey")

    sets = {"all": usual}
    sets |= {f"without {name(v)}": tuple(u for u in usual if u != v) for v in usual}
    sets |= {f"with {name(v)}": (*usual, v) for v in others}
    return {**sets, "none": NOTHING}


GRAY_SETS = ablation_views(GRAY_VIEWS, (ResizedCrop(area=0.3), Flip()))
COLOR_SETS = ablation_views(COLOR_VIEWS, (Blur(3),))
COLOR_SETS["only crop and flip"] = COLOR_VIEWS[:2]


def _ablation(sets: dict[str, tuple[View, ...]]) -> dict[str, Condition]:
    taught = {name: partial(SimCLR, views=views) for name, views in sets.items()}
    untrained = {"untrained": lambda seed: Untrained(SimCLR(seed=seed))}
    return fitted(taught, layer_rows) | fitted(untrained)


ablation = Experiment(
    name="ablation",
    about="SimCLR with its usual views, without each of them, with others, and with none.",
    conditions=_ablation(GRAY_SETS),
)
ablation_color = Experiment(
    name="ablation-colour",
    about="SimCLR on colour crops with its usual views, without each, with others, with none.",
    conditions=_ablation(COLOR_SETS),
    datasets=("photo-crops",),
)

# --- temperature, batch size, head and loss -----------------------------------------------------

TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 2.0)
BATCH_SIZES = (16, 64, 128, 512)

temperature = Experiment(
    name="temperature",
    about="SimCLR at temperatures from 0.05 to 2.",
    conditions=fitted({str(t): partial(SimCLR, temperature=t) for t in TEMPERATURES}, layer_rows),
)
batch_size = Experiment(
    name="batch-size",
    about="SimCLR with 16 to 512 images a batch, the same number of epochs.",
    conditions=fitted({str(n): partial(SimCLR, batch_size=n) for n in BATCH_SIZES}, layer_rows),
)

losses = Experiment(
    name="losses",
    about="NT-Xent and a triplet loss, each with a projection head and without.",
    conditions=fitted(
        {
            "NT-Xent, head": SimCLR,
            "NT-Xent, no head": partial(SimCLR, projection_dim=None),
            "triplet, head": partial(Triplet, projection_dim=64),
            "triplet, no head": Triplet,
        },
        layer_rows,
    ),
)

# --- few labels ---------------------------------------------------------------------------------

SHOTS = (1, 5, 20)
STEPS = 800  # of LeNet-5 on a few images, whatever their number


def _taught(name: str, shots: int, mild: bool, seed: int, images: Images) -> list[Row]:
    views = mild or default_views(images.train.x.shape[1])

    def lenet(n: int) -> LeNet5:
        return LeNet5(augment=views, epochs=STEPS // max(1, n // 64), seed=seed)

    return [few_labels_row(lenet, shots, images, name)]


def _probed(simclr: SimCLR, images: Images, name: str) -> list[Row]:
    rows = []
    for layer, title in (("encoder", name), ("projection", f"{name}, projected")):
        read = simclr.at(layer=layer)
        train, test = ((read.transform(split.x), split.y) for split in (images.train, images.test))
        for k in SHOTS:
            rows.append(few_shot_row(few_shot(train, test, shots=k), images, f"{title}: {k}"))
    return rows


few_labels = Experiment(
    name="few-labels",
    about="SimCLR and a linear probe against LeNet-5, both from 1 to 20 labels a class.",
    conditions={
        **{
            name: partial(_taught, name, k, False)
            for k in reversed(SHOTS)  # the longest first
            for name in [f"LeNet-5, same views: {k}"]
        },
        "LeNet-5, mild views": partial(_taught, "LeNet-5, mild views: 5", 5, True),
        **fitted({"SimCLR": SimCLR}, _probed),
    },
)
