"""Every method of the scoreboard by name, with how it is built."""

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
