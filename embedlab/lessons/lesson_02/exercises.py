"""Exercises of lesson 02: cut the head off a network, and spoil labels by a given share."""

import numpy as np
import torch
from torch import nn

from embedlab.lessons.exercises import Exercise, plain

# --- the layer before the last ----------------------------------------------------------------


def penultimate(network, x):
    """What goes into the last layer of an nn.Sequential for a tensor x, as a NumPy array (N, D)."""
    headless = network[:-1].eval()
    with torch.inference_mode():
        return headless(x).numpy()


class _Dropout(nn.Module):
    """Drops the same units each time, so that what it gives can be compared."""

    def forward(self, x):
        return 2 * x * (torch.arange(x.shape[1]) % 2) if self.training else x


def _trained(seed, *middle):
    """A network (N, 1, 4, 4) → (N, 3) as it comes out of a training loop, and images."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), *middle, nn.Linear(8, 3))
    return network.train(), torch.linspace(-1, 1, 5 * 16).reshape(5, 1, 4, 4)


def _networks():
    with torch.random.fork_rng(devices=[]):
        return [_trained(0, _Dropout(), nn.Tanh()), _trained(1, nn.ReLU(), _Dropout(), nn.Tanh())]


cut_the_head = Exercise(
    name="02-cut-the-head",
    solution=penultimate,
    inputs=_networks,
    seen=lambda out, network, x: {"it returns a": type(out).__name__, "it gives": out},
    answers=(
        (
            "Three numbers an image: these are the logits, the last layer is still there.",
            lambda network, x: network.eval()(x).detach().numpy(),
        ),
        (
            "Dropout is still on, so each call gives other vectors: call .eval() first.",
            lambda network, x: network[:-1](x).detach().numpy(),
        ),
        (
            "You stopped one layer early: the activation (Tanh) belongs to the embedding.",
            lambda network, x: penultimate(network[:-1], x),
        ),
        (
            "Return a NumPy array without gradients: torch.inference_mode(), then .numpy().",
            lambda network, x: network[:-1].eval()(x),
        ),
    ),
    hints=(
        "An nn.Sequential can be sliced like a list. Which slice leaves out the last layer only?",
        "A network fresh from training still drops units: put it in evaluation mode.",
        "network[:-1].eval(), inside `with torch.inference_mode():`, then .numpy().",
    ),
)

# --- wrong labels -----------------------------------------------------------------------------


def spoil(y, share, rng):
    """A copy of y (NumPy, 0 to 9), exactly this share wrong: any of the other nine, at random."""
    out = y.copy()
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    out[chosen] = (y[chosen] + rng.integers(1, 10, len(chosen))) % 10
    return out


def _spoilt(out, y, share, rng) -> dict:
    """What is the same of all right answers, however they draw."""
    out = plain(out)
    wrong, n = out != y, round(share * len(y))
    about = f"about {5 * round(20 * wrong.sum() / n)}% of that asked for"
    return {
        "the number of wrong labels is": "exact" if wrong.sum() == n else about,
        "all labels are from 0 to 9:": str(np.isin(out, np.arange(10)).all()),
        "they are wrong all over y:": str(np.ptp(wrong.reshape(2, -1).mean(axis=1)) < 0.05),
        "the number of wrong labels that one can become is": len(set((out - y)[wrong] % 10)),
    }


wrong_labels = Exercise(
    name="02-wrong-labels",
    solution=spoil,
    inputs=lambda: [(np.arange(100_000) % 10, s, np.random.default_rng(0)) for s in (0.5, 0.1)],
    seen=_spoilt,
    answers=(
        (
            "Too few are wrong: of all ten labels you sometimes draw the right one. Draw of nine.",
            lambda y, share, rng: np.where(rng.random(len(y)) < 0.1, y, spoil(y, share, rng)),
        ),
        (
            "Too few are wrong: positions were drawn twice. Draw them without replacement.",
            lambda y, share, rng: spoil(y, np.mean(rng.poisson(share, len(y)) > 0), rng),
        ),
        (
            "Only about the share is wrong: choose exactly that many positions.",
            lambda y, share, rng: spoil(y, np.mean(rng.random(len(y)) < share), rng),
        ),
        (
            "A part of y is spoilt and the rest is not: choose positions at random.",
            lambda y, share, rng: np.where(np.arange(len(y)) < share * len(y), spoil(y, 1, rng), y),
        ),
        (
            "Not every other class occurs: these mistakes are systematic, not random.",
            lambda y, share, rng: np.where(spoil(y, share, rng) == y, y, (y + 1) % 10),
        ),
    ),
    hints=(
        "First choose which positions are spoilt, exactly so many, then what each becomes.",
        "rng.permutation(len(y))[:n] draws without replacement. A shift of 1 to 9 is never right.",
        "out[chosen] = (y[chosen] + rng.integers(1, 10, n)) % 10, on a copy of y.",
    ),
)
