"""Lesson 00: what a split that ignores who wrote the digits does to the scores."""

from dataclasses import replace
from functools import partial

import numpy as np

from embedlab.data.images import Images, Split
from embedlab.embedders.catalogue import METHODS
from embedlab.lessons.experiments import Experiment
from embedlab.measure.scoreboard import Row, score


def reshuffled(images: Images, seed: int) -> Images:
    """The same images and the same sizes of the splits, but dealt out at random."""
    parts = (images.train, images.val, images.test)
    whole = Split(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts]))
    order = np.random.default_rng(seed).permutation(len(whole))
    cuts = np.split(order, np.cumsum([len(p) for p in parts])[:-1])
    splits = dict(zip(("train", "val", "test"), (whole[cut] for cut in cuts), strict=True))
    return replace(images, name=f"{images.name}, shuffled", **splits)


def _rows(name: str, seed: int, images: Images) -> list[Row]:
    other = reshuffled(images, seed)
    return [score(METHODS[name].fit(other, seed), other, name)]


shuffled_split = Experiment(
    name="shuffled-split",
    about="Scores under five random splits, to set beside those under the split by writer.",
    conditions={
        name: partial(_rows, name) for name in ("pixels", "PCA-32", "LDA", "kernel LDA", "LeNet-5")
    },
    repeats="split",
)
