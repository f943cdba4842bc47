"""Lesson 05b: how much to hide, what data2vec needs, and what masked training is good for."""

from functools import partial

from embedlab.data.images import Images
from embedlab.embedders import MAE, Data2Vec, Untrained, ViT
from embedlab.lessons.experiments import Experiment, fitted
from embedlab.lessons.few_labels import few_labels_row
from embedlab.measure.probes import accuracy
from embedlab.measure.scoreboard import Row, score

# --- how much to hide ---------------------------------------------------------------------------

RATIOS = (0.25, 0.5, 0.75, 0.875, 0.9375)

mae_ratio = Experiment(
    name="mae-ratio",
    about="MAE that hides from a quarter of the patches to all but one.",
    conditions=fitted({str(ratio): partial(MAE, mask_ratio=ratio) for ratio in RATIOS}),
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
    conditions=fitted({name: partial(Data2Vec, **choice) for name, choice in CHOICES.items()}),
)

# --- fine-tuning --------------------------------------------------------------------------------

STARTS = {"untrained": lambda seed: Untrained(ViT(seed=seed)), "MAE": MAE, "data2vec": Data2Vec}
FEW, FEW_EPOCHS, EPOCHS = 5, 200, 10


def _fine_tuning(name: str, seed: int, images: Images) -> list[Row]:
    encoder = STARTS[name](seed=seed).fit(images.train.x).network_["encoder"]

    def few_epochs(n: int) -> ViT:
        return ViT(encoder=encoder, epochs=FEW_EPOCHS, seed=seed)

    few = few_labels_row(few_epochs, FEW, images, f"{name}: five labels a class")
    tuned = ViT(encoder=encoder, epochs=EPOCHS, seed=seed).fit(images.train.x, images.train.y)
    row = score(tuned, images, f"{name}: all labels")
    row.measures["accuracy"] = accuracy(tuned, images.test, images.name)
    return [few, row]


fine_tuning = Experiment(
    name="fine-tuning",
    about="A ViT taught with few labels, or with all for ten epochs, from three beginnings.",
    conditions={name: partial(_fine_tuning, name) for name in STARTS},
)
