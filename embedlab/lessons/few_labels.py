"""Networks taught with a few labelled images a class."""

from collections.abc import Callable

import numpy as np

from embedlab.data.images import Images
from embedlab.embedders.base import Embedder
from embedlab.measure.intervals import Measure
from embedlab.measure.probes import few_shot_draws
from embedlab.measure.scoreboard import Row


def few_labels_row(
    learner: Callable[[int], Embedder], shots: int, images: Images, name: str
) -> Row:
    """``few_shot`` of a network, ``learner(n_images)``, taught by each of the yardstick's draws."""
    right = []
    for index in few_shot_draws(images.train.y, shots):
        some = images.train[index]
        taught = learner(len(some)).fit(some.x, some.y)
        right.append(taught.predict(images.test.x) == images.test.y)
    return few_shot_row(np.array(right, float), images, name)


def few_shot_row(right: np.ndarray, images: Images, name: str) -> Row:
    """What few labels gave, ``right`` (draws, N_test), as a row with the measure ``few_shot``."""
    units = {"image": right.mean(axis=0), "draw": right.mean(axis=1)}
    measure = Measure.from_units("five_shot", images.name, **units)
    return Row(name, images.name, {"few_shot": measure}, supervision="labels")
