"""The scoreboard's methods, five seeds each where a seed matters."""

from functools import partial

from embedlab.data.images import Images
from embedlab.embedders.catalogue import METHODS, Method
from embedlab.lessons.experiments import Experiment
from embedlab.measure.scoreboard import Row, score


def _rows(name: str, method: Method, seed: int, images: Images) -> list[Row]:
    embedder = method.fit(images, seed)
    rows = [score(embedder, images, name)]
    return rows + [score(embedder.at(**how), images, other) for other, how in method.also.items()]


scoreboard = Experiment(
    name="scoreboard",
    about="Every method of the course on the whole yardstick.",
    conditions={name: partial(_rows, name, method) for name, method in METHODS.items()},
    datasets=("digits", "photo-crops", "fashion-mnist"),
)
