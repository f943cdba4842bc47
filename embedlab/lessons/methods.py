"""The scoreboard's methods, five seeds each where a seed matters."""

from __future__ import annotations

from embedlab.data.images import Images
from embedlab.data.labels import shuffled
from embedlab.data.scenes import load_scenes
from embedlab.embedders.catalogue import METHODS, READ_FROM
from embedlab.lessons.experiments import Experiment
from embedlab.measure.scoreboard import Row, score


def _method(name: str, seed: int, images: Images) -> list[Row]:
    embedder = METHODS[name](seed, len(images.class_names) - 1)
    x, y = images.train.x, images.train.y
    if "shuffled" in name:
        y = shuffled(y, seed)
    if embedder.supervision == "captions":
        scenes = load_scenes(images, seed=seed).train
        x, y = scenes.x, scenes.captions
    rows = [score(embedder.fit(x, y), images, name)]
    for other, (trained, layer) in READ_FROM.items():
        if trained == name:
            rows.append(score(embedder.at(layer), images, other))
    return rows


scoreboard = Experiment(
    name="scoreboard",
    about="Every method of the course on the whole yardstick.",
    conditions=tuple(name for name in METHODS if name not in READ_FROM),
    run=_method,
    datasets=("digits", "photo-crops", "fashion-mnist"),
)
