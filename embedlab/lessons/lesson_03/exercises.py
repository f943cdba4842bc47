"""Exercises of lesson 03: a walk in the latent space, and the loss of a denoising autoencoder."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from embedlab.lessons.exercises import Exercise, Wrong

# --- a walk between two images ----------------------------------------------------------------


def walk(embedder, a, b, steps):
    """Images on the way from image a to image b, (steps, C, H, W), both ends rebuilt as well."""
    return ...


def walk_solution(embedder, a, b, steps):
    """Images on the way from image a to image b, (steps, C, H, W), both ends rebuilt as well."""
    start, end = embedder.transform(np.stack([a, b]))
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    return embedder.decode((1 - share) * start + share * end)


def _mixes_pixels(embedder, a, b, steps):
    share = np.linspace(0, 1, steps)[:, None, None, None]
    return (1 - share) * a + share * b


def _rebuilds_mixed_pixels(embedder, a, b, steps):
    share = np.linspace(0, 1, steps)[:, None, None, None]
    return embedder.decode(embedder.transform((1 - share) * a + share * b))


def _backwards(embedder, a, b, steps):
    start, end = embedder.transform(np.stack([a, b]))
    share = np.linspace(0, 1, steps)[:, None]
    return embedder.decode(share * start + (1 - share) * end)


def _never_arrives(embedder, a, b, steps):
    start, end = embedder.transform(np.stack([a, b]))
    share = (np.arange(steps) / steps)[:, None]
    return embedder.decode((1 - share) * start + share * end)


def _stays_latent(embedder, a, b, steps):
    start, end = embedder.transform(np.stack([a, b]))
    share = np.linspace(0, 1, steps)[:, None]
    return (1 - share) * start + share * end


class _Dial:
    """A stand-in for an autoencoder: its one number is the angle of a bar's place on a circle.

    So that a walk in its latent space and a walk in pixels can be told apart exactly.
    """

    def transform(self, X):
        place = (np.asarray(X) * np.arange(9)).sum(axis=(1, 2, 3)) / np.asarray(X).sum((1, 2, 3))
        return np.square(place)[:, None].astype(np.float32)

    def decode(self, vectors):
        place = np.sqrt(np.maximum(np.asarray(vectors), 0))[:, :, None, None]
        return np.clip(1 - np.abs(place - np.arange(9)), 0, 1).astype(np.float32)


def _test_walk(answer):
    dial = _Dial()
    a, b = dial.decode(np.array([[1.0], [49.0]]))
    got = np.asarray(answer(dial, a, b, 5))
    if got.ndim == 2:
        raise Wrong("These are vectors: they still have to be decoded into images.")
    if got.shape != (5, *a.shape):
        raise Wrong(f"Return images (steps, C, H, W), here {(5, *a.shape)}, not {got.shape}.")
    way = dial.transform(got)[:, 0]
    wanted = np.linspace(1, 49, 5)
    if np.allclose(got, walk_solution(dial, a, b, 5), atol=1e-3):
        got = np.asarray(answer(dial, a, b, 3))
        if got.shape != (3, *a.shape) or not np.allclose(
            got, walk_solution(dial, a, b, 3), atol=1e-3
        ):
            raise Wrong("With another number of steps the walk is off: use `steps`.")
        return
    if np.allclose(got, _mixes_pixels(dial, a, b, 5), atol=1e-3):
        raise Wrong("This mixes the pixels: two faint images over each other. Mix the vectors.")
    if np.allclose(got, _rebuilds_mixed_pixels(dial, a, b, 5), atol=1e-3):
        raise Wrong("The images were mixed before they were embedded: embed a and b, then mix.")
    if np.allclose(way, wanted[::-1], atol=0.1):
        raise Wrong("The walk runs from b to a: share 0 has to give a.")
    if np.allclose(way[0], wanted[0], atol=0.1) and not np.allclose(way[-1], wanted[-1], atol=0.1):
        raise Wrong("The last image is not b: np.linspace(0, 1, steps) holds both ends.")
    raise Wrong("These are not evenly spaced mixtures of the two vectors, decoded.")


latent_walk = Exercise(
    name="03-walk",
    stub=walk,
    test=_test_walk,
    hints=(
        "embedder.transform takes a batch: np.stack([a, b]) makes one of two images.",
        "Mix the two *vectors* in evenly spaced shares from 0 to 1, then decode the mixtures.",
        "share = np.linspace(0, 1, steps)[:, None]; embedder.decode((1 - share) * start + share * "
        "end).",
    ),
    solution=walk_solution,
    wrong=(
        (_mixes_pixels, "two faint images"),
        (_rebuilds_mixed_pixels, "before they were embedded"),
        (_backwards, "from b to a"),
        (_never_arrives, "holds both ends"),
        (_stays_latent, "still have to be decoded"),
    ),
)

# --- the loss of a denoising autoencoder --------------------------------------------------------


def denoising_loss(network, x, corrupt):
    """Mean squared error a pixel of a network that sees corrupt(x) and is to rebuild x."""
    return ...


def denoising_loss_solution(network, x, corrupt):
    """Mean squared error a pixel of a network that sees corrupt(x) and is to rebuild x."""
    return F.mse_loss(network(corrupt(x)), x)


def _rebuilds_the_noise(network, x, corrupt):
    noisy = corrupt(x)
    return F.mse_loss(network(noisy), noisy)


def _noise_on_the_target(network, x, corrupt):
    return F.mse_loss(network(x), corrupt(x))


def _no_noise(network, x, corrupt):
    return F.mse_loss(network(x), x)


def _sum_of_squares(network, x, corrupt):
    return (network(corrupt(x)) - x).square().sum()


def _detached(network, x, corrupt):
    with torch.no_grad():
        return F.mse_loss(network(corrupt(x)), x)


def _test_denoising_loss(answer):
    x = torch.linspace(0, 1, 3 * 16).reshape(3, 1, 4, 4)
    scale = torch.tensor(0.5, requires_grad=True)

    def network(batch):
        return batch * scale

    def corrupt(batch):
        return batch + 0.25

    loss = torch.as_tensor(answer(network, x, corrupt))
    value = loss.item() if loss.numel() == 1 else None
    if value is None:
        raise Wrong(f"The loss is one number, not {tuple(loss.shape)}: take the mean.")

    def like(wrong):
        return abs(value - wrong(network, x, corrupt).item()) < 1e-6

    if like(denoising_loss_solution):
        if not loss.requires_grad:
            raise Wrong("No gradient can flow through this loss: leave out no_grad and .item().")
        return
    if like(_no_noise):
        raise Wrong("Nothing is corrupted here: the network is to see corrupt(x).")
    if like(_rebuilds_the_noise):
        raise Wrong("This asks the network to rebuild the noise as well: compare with the clean x.")
    if like(_noise_on_the_target):
        raise Wrong("The noise is on the wrong side: corrupt what goes in, not what comes out.")
    if like(_sum_of_squares):
        raise Wrong("This is a sum, which grows with the batch: take the mean over all pixels.")
    raise Wrong("Not the mean squared difference of network(corrupt(x)) and x.")


denoise = Exercise(
    name="03-denoise",
    stub=denoising_loss,
    test=_test_denoising_loss,
    hints=(
        "Two images are compared. Which one has noise on it when it goes in?",
        "What the network sees is corrupt(x). What it should give back is x.",
        "F.mse_loss(network(...), ...) takes the mean over all pixels; fill in the two places.",
    ),
    solution=denoising_loss_solution,
    wrong=(
        (_rebuilds_the_noise, "rebuild the noise"),
        (_noise_on_the_target, "on the wrong side"),
        (_no_noise, "Nothing is corrupted"),
        (_sum_of_squares, "grows with the batch"),
        (_detached, "No gradient can flow"),
    ),
)
