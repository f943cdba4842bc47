"""Every method of the scoreboard by name: how it is built, and what it is taught with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from embedlab.data.images import Images
from embedlab.data.labels import shuffled
from embedlab.data.scenes import load_scenes
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
    SimCLR,
    Triplet,
    Untrained,
    ViT,
)
from embedlab.embedders.base import Embedder


def with_labels(images: Images, seed: int) -> tuple:
    """The training images with their labels; who needs none looks at none."""
    return images.train.x, images.train.y


def with_shuffled_labels(images: Images, seed: int) -> tuple:
    """The training images with each other's labels: the control that must fail."""
    return images.train.x, shuffled(images.train.y, seed)


def with_captions(images: Images, seed: int) -> tuple:
    """Scenes composed of the training images, with their captions."""
    scenes = load_scenes(images, seed=seed).train
    return scenes.x, scenes.captions


@dataclass(frozen=True)
class Method:
    """A training of the scoreboard, and the rows that are read from it."""

    # build(seed, short): the unfitted embedder, where short is the length that LDA can have.
    build: Callable[[int, int], Embedder]
    # examples(images, seed): what it is fitted with.
    examples: Callable[[Images, int], tuple] = with_labels
    # More rows of the same training by name, and the parameters that it is then read with.
    also: dict[str, dict] = field(default_factory=dict)

    def fit(self, images: Images, seed: int) -> Embedder:
        """The embedder, fitted."""
        return self.build(seed, len(images.class_names) - 1).fit(*self.examples(images, seed))


METHODS: dict[str, Method] = {
    "pixels": Method(lambda seed, short: Pixels()),
    "random LeNet-5": Method(lambda seed, short: Untrained(LeNet5(seed=seed))),
    "PCA-32": Method(lambda seed, short: PCA(32)),
    "kernel PCA-32": Method(lambda seed, short: KernelPCA(32)),
    "LDA": Method(lambda seed, short: LDA()),
    "kernel LDA": Method(lambda seed, short: KernelLDA(seed=seed)),
    "LeNet-5": Method(lambda seed, short: LeNet5(seed=seed)),
    "LeNet-5, not augmented": Method(lambda seed, short: LeNet5(seed=seed, augment=False)),
    "LeNet-5, short": Method(lambda seed, short: LeNet5(seed=seed, embed_dim=short)),
    "LeNet-5, shuffled labels": Method(
        lambda seed, short: LeNet5(seed=seed, augment=False), with_shuffled_labels
    ),
    "autoencoder-32": Method(lambda seed, short: Autoencoder(32, seed=seed)),
    "SimCLR": Method(
        lambda seed, short: SimCLR(seed=seed), also={"SimCLR, projected": {"layer": "projection"}}
    ),
    "triplet": Method(lambda seed, short: Triplet(seed=seed)),
    "random ViT": Method(lambda seed, short: Untrained(ViT(seed=seed))),
    "ViT": Method(lambda seed, short: ViT(seed=seed)),
    "MAE": Method(lambda seed, short: MAE(seed=seed)),
    "data2vec": Method(lambda seed, short: Data2Vec(seed=seed)),
    "CLIP": Method(lambda seed, short: CLIP(seed=seed), with_captions),
}
