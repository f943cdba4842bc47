"""Exercises of lesson 03: a walk in the latent space, and the loss of a denoising autoencoder."""

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from embedlab.lessons.exercises import Exercise, with_gradients

# --- a walk between two images ----------------------------------------------------------------


def walk(embedder, a, b, steps):
    """Images (steps, C, H, W) on the way from a to b, NumPy (C, H, W), both ends rebuilt too."""
    start, end = embedder.transform(np.stack([a, b]))
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    return embedder.decode((1 - share) * start + share * end)


# A stand-in for an autoencoder that keeps the mean of each column of pixels, cubed.
_coder = SimpleNamespace(
    transform=lambda X: X.mean(axis=(1, 2)) ** 3,
    decode=lambda vectors: np.cbrt(vectors)[:, None, None] * np.ones((4, 1)),
)


def _on(shares, a, b):
    return np.stack([(1 - share) * a + share * b for share in shares])


latent_walk = Exercise(
    name="03-walk",
    solution=walk,
    inputs=lambda: [(_coder, *np.random.default_rng(n).random((2, 1, 4, 3)), n) for n in (5, 3)],
    answers=(
        (
            "This mixes the pixels: two faint images over each other. Mix the vectors.",
            lambda e, a, b, steps: _on(np.linspace(0, 1, steps), a, b),
        ),
        (
            "The images were mixed before they were embedded: embed a and b, then mix.",
            lambda e, a, b, steps: e.decode(e.transform(_on(np.linspace(0, 1, steps), a, b))),
        ),
        ("The walk runs from b to a: share 0 has to give a.", lambda e, a, b, n: walk(e, b, a, n)),
        (
            "The last image is not b: np.linspace(0, 1, steps) holds both ends.",
            lambda e, a, b, steps: walk(e, a, b, steps + 1)[:-1],
        ),
        (
            "Neither end is on the walk: np.linspace(0, 1, steps) holds both.",
            lambda e, a, b, steps: walk(e, a, b, steps + 2)[1:-1],
        ),
        (
            "These are vectors: they still have to be decoded into images.",
            lambda e, a, b, steps: _on(np.linspace(0, 1, steps), *e.transform(np.stack([a, b]))),
        ),
        (
            "The ends are a and b themselves: both are to be rebuilt, like what lies between.",
            lambda e, a, b, steps: np.stack([a, *walk(e, a, b, steps)[1:-1], b]),
        ),
    ),
    hints=(
        "embedder.transform takes a batch: np.stack([a, b]) makes one of two images.",
        "Mix the two *vectors* in evenly spaced shares from 0 to 1, then decode the mixtures.",
        "Decode (1 - share) * start + share * end with share = np.linspace(0, 1, steps)[:, None].",
    ),
)

# --- the loss of a denoising autoencoder --------------------------------------------------------


def denoising_loss(network, x, corrupt):
    """Mean squared error a pixel of a network that sees corrupt(x) and is to give x; tensors."""
    return (network(corrupt(x)) - x).square().mean()


def _networks():
    """Networks that keep the shape, batches of images, and damage that is the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        batch = torch.rand(3, 1, 4, 4)
        shallow, deep = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, 4))
    return [(shallow, batch, lambda x: x + 0.25), (deep, batch[:2], lambda x: x.roll(1, 3))]


denoise = Exercise(
    name="03-denoise",
    solution=denoising_loss,
    inputs=_networks,
    seen=with_gradients,
    answers=(
        (
            "This asks the network to rebuild the noise as well: compare with the clean x.",
            lambda network, x, corrupt: F.mse_loss(network(corrupt(x)), corrupt(x)),
        ),
        (
            "The noise is on the wrong side: corrupt what goes in, not what comes out.",
            lambda network, x, corrupt: F.mse_loss(network(x), corrupt(x)),
        ),
        (
            "Nothing is corrupted here: the network is to see corrupt(x).",
            lambda network, x, corrupt: F.mse_loss(network(x), x),
        ),
        (
            "This is a sum, which grows with the batch: take the mean over all pixels.",
            lambda network, x, corrupt: denoising_loss(network, x, corrupt) * x.numel(),
        ),
        (
            "No gradient can flow through this loss: leave out no_grad and .item().",
            lambda network, x, corrupt: denoising_loss(network, x, corrupt).detach(),
        ),
        (
            "This asks the network for the noise: it is to give back the clean x.",
            lambda network, x, corrupt: F.mse_loss(network(corrupt(x)), corrupt(x) - x),
        ),
    ),
    hints=(
        "Two images are compared. Which one has noise on it when it goes in?",
        "What the network sees is corrupt(x). What it should give back is x.",
        "(network(...) - ...).square().mean() is the mean over all pixels: fill in both places.",
    ),
)
