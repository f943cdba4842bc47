"""Lesson 05b: how much to hide, what data2vec needs, and what masked training is good for."""

from __future__ import annotations

from embedlab.data.images import Images
from embedlab.embedders import MAE, Data2Vec, RandomViT, ViT
from embedlab.lessons.experiments import Experiment
from embedlab.lessons.few_labels import few_labels_row
from embedlab.measure.probes import accuracy
from embedlab.measure.scoreboard import Row, score

# --- how much to hide ---------------------------------------------------------------------------

RATIOS = (0.25, 0.5, 0.75, 0.875, 0.9375)

mae_ratio = Experiment(
    name="mae-ratio",
    about="MAE that hides from a quarter of the patches to all but one.",
    conditions=tuple(map(str, RATIOS)),
    run=lambda condition, seed, images: [
        score(MAE(mask_ratio=float(condition), seed=seed).fit(images.train.x), images, condition)
    ],
)

# --- what data2vec needs ------------------------------------------------------------------------

CHOICES = {
    "as it is": {},
    "teacher = student": {"ema_decay": (0.0, 0.0)},
    "slower teacher": {"ema_decay": (0.996, 0.9999)},
    "teacher never learns": {"ema_decay": (1.0, 1.0)},
    "targets not normalised": {"normalize": False},
    "neither EMA nor normalised": {"ema_decay": (0.0, 0.0), "normalize": False},
    "last layer only": {"top_layers": 1},
    "blocks hidden": {"masks": "blocks"},
    "three quarters hidden": {"mask_ratio": 0.75},
}

data2vec_choices = Experiment(
    name="data2vec-choices",
    about="data2vec without a slow teacher, without normalised targets, and with other choices.",
    conditions=tuple(CHOICES),
    run=lambda condition, seed, images: [
        score(Data2Vec(**CHOICES[condition], seed=seed).fit(images.train.x), images, condition)
    ],
)

# --- fine-tuning --------------------------------------------------------------------------------

STARTS = {
    "untrained": lambda seed: RandomViT(seed=seed),
    "MAE": lambda seed: MAE(seed=seed),
    "data2vec": lambda seed: Data2Vec(seed=seed),
}
FEW, FEW_EPOCHS, EPOCHS = 5, 200, 10


def _fine_tuning(condition: str, seed: int, images: Images) -> list[Row]:
    encoder = STARTS[condition](seed).fit(images.train.x).network_["encoder"]
    rows = [
        few_labels_row(
            lambda n: ViT(encoder=encoder, epochs=FEW_EPOCHS, seed=seed),
            FEW,
            images,
            f"{condition}: five labels a class",
        )
    ]
    tuned = ViT(encoder=encoder, epochs=EPOCHS, seed=seed).fit(images.train.x, images.train.y)
    row = score(tuned, images, f"{condition}: all labels")
    row.measures["accuracy"] = accuracy(tuned, images.test, images.name)
    return [*rows, row]


fine_tuning = Experiment(
    name="fine-tuning",
    about="A ViT taught with few labels, or with all for ten epochs, from three beginnings.",
    conditions=tuple(STARTS),
    run=_fine_tuning,
)
