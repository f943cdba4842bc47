"""The scoreboard's methods, five seeds each where a seed matters."""

from __future__ import annotations

from collections.abc import Callable

from embedlab.embedders import (
    CLIP,
    LDA,
    MAE,
    PCA,
    Autoencoder,
    Data2Vec,
    KernelLDA,
    KernelPCA,
    LeNet5,
    Pixels,
    RandomEncoder,
    RandomViT,
    SimCLR,
    Triplet,
    ViT,
)
from embedlab.embedders.base import Embedder
from embedlab.evidence import Experiment
from embedlab.images import Images
from embedlab.labels import shuffled
from embedlab.scenes import load_scenes
from embedlab.scoreboard import Row, score

# Unfitted embedders by name, for a seed. Short ones have as many numbers as LDA can give.
METHODS: dict[str, Callable[[int, int], Embedder]] = {
    "pixels": lambda seed, short: Pixels(),
    "random LeNet-5": lambda seed, short: RandomEncoder(seed=seed),
    "PCA-32": lambda seed, short: PCA(32),
    "kernel PCA-32": lambda seed, short: KernelPCA(32),
    "LDA": lambda seed, short: LDA(),
    "kernel LDA": lambda seed, short: KernelLDA(random_state=seed),
    "LeNet-5": lambda seed, short: LeNet5(seed=seed),
    "LeNet-5, not augmented": lambda seed, short: LeNet5(seed=seed, augment=False),
    "LeNet-5, short": lambda seed, short: LeNet5(seed=seed, embed_dim=short),
    "LeNet-5, shuffled labels": lambda seed, short: LeNet5(seed=seed, augment=False),
    "autoencoder-32": lambda seed, short: Autoencoder(32, seed=seed),
    "SimCLR": lambda seed, short: SimCLR(seed=seed),
    "SimCLR, projected": lambda seed, short: SimCLR(seed=seed, layer="projection"),
    "triplet": lambda seed, short: Triplet(seed=seed),
    "random ViT": lambda seed, short: RandomViT(seed=seed),
    "ViT": lambda seed, short: ViT(seed=seed),
    "MAE": lambda seed, short: MAE(seed=seed),
    "data2vec": lambda seed, short: Data2Vec(seed=seed),
    "CLIP": lambda seed, short: CLIP(seed=seed),
}
# Rows that need no training of their own: another layer of a network that has its row.
READ_FROM = {"SimCLR, projected": ("SimCLR", "projection")}


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
