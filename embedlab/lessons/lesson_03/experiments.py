"""Lesson 03: autoencoders against PCA, noise, where the error is, and what neighbours share."""

from functools import partial

import numpy as np

from embedlab.data.images import Images
from embedlab.embedders import PCA, Autoencoder
from embedlab.embedders.base import Embedder
from embedlab.lessons.experiments import Experiment, fitted
from embedlab.lessons.lesson_03.reconstruction import reconstruction_error
from embedlab.measure.scoreboard import Row, score

# --- the bottleneck -----------------------------------------------------------------------------

LENGTHS = (2, 4, 8, 16, 32, 48)


def rebuilt_row(embedder: Embedder, images: Images, name: str) -> Row:
    """The whole yardstick, and the error of rebuilt images: ``error`` of test, ``train_error``."""
    row = score(embedder, images, name)
    for key, split in (("error", images.test), ("train_error", images.train)):
        rebuilt = embedder.reconstruct(split.x)
        row.measures[key] = reconstruction_error(split.x, rebuilt, images.name)
    return row


bottleneck = Experiment(
    name="bottleneck",
    about="Autoencoders and PCA of the same length: reconstruction error and every measure.",
    conditions=fitted(
        {f"PCA-{n}": lambda seed, n=n: PCA(n) for n in LENGTHS}
        | {f"autoencoder-{n}": partial(Autoencoder, n) for n in LENGTHS},
        lambda embedder, images, name: [rebuilt_row(embedder, images, name)],
    ),
)

# --- noise --------------------------------------------------------------------------------------

NOISE = (0.0, 0.15, 0.3, 0.6)
SPECKS = 0.3  # standard deviation of the noise on the test images, before they are cut to [0, 1]


def noisy(x: np.ndarray, sigma: float = SPECKS) -> np.ndarray:
    """Images (N, C, H, W) with Gaussian noise on each pixel, cut to [0, 1]; always the same."""
    noise = np.random.default_rng(0).standard_normal(x.shape, dtype=np.float32)
    return (x + sigma * noise).clip(0, 1)


def _cleaned_rows(embedder: Autoencoder, images: Images, name: str) -> list[Row]:
    row = rebuilt_row(embedder, images, name)
    cleaned = embedder.reconstruct(noisy(images.test.x))
    row.measures["noisy_error"] = reconstruction_error(images.test.x, cleaned, images.name)
    return [row]


denoising = Experiment(
    name="denoising",
    about="Autoencoders of 32 numbers that see more or less noise in training.",
    conditions=fitted(
        {f"noise {sigma}": partial(Autoencoder, noise=sigma) for sigma in NOISE}, _cleaned_rows
    ),
)

# --- where the error is -------------------------------------------------------------------------


def face_regions() -> dict[str, np.ndarray]:
    """Where things are in the aligned faces, by eye on their mean: masks (32, 32) by name."""
    row, column = np.indices((32, 32))
    face = ((row - 15) / 16) ** 2 + ((column - 14) / 11) ** 2 <= 1
    details = np.zeros((32, 32), bool)
    details[8:13, 5:24] = True
    details[19:26, 8:21] = True
    return {
        "eyes and mouth": details & face,
        "rest of the face": face & ~details,
        "background": ~face,
    }


def _face_rows(seed: int, images: Images, n_components: int = 32) -> list[Row]:
    """Of three methods the error on test faces, region by region; the second class are faces."""
    known, faces = (split.x[split.y == 1] for split in (images.train, images.test))
    # A hundred images make one batch an epoch.
    autoencoder = Autoencoder(n_components, epochs=600, seed=seed)
    rebuilt = {
        "mean face": np.broadcast_to(known.mean(axis=0), faces.shape),
        "PCA": PCA(n_components).fit(images.train.x).reconstruct(faces),
        "autoencoder": autoencoder.fit(images.train.x).reconstruct(faces),
    }
    return [
        Row(
            f"{method}: {region}",
            images.name,
            {"error": reconstruction_error(faces, pictures, images.name, where)},
        )
        for method, pictures in rebuilt.items()
        for region, where in face_regions().items()
    ]


faces_error = Experiment(
    name="faces-error",
    about="Where an autoencoder, PCA and the mean face miss: eyes and mouth, or background.",
    conditions={"32 numbers": _face_rows},
    datasets=("faces",),
)
