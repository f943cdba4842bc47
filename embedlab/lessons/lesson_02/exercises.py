"""Exercises of lesson 02: cut the head off a network, and spoil labels by a given share."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from embedlab.lessons.exercises import Exercise, Wrong

# --- the layer before the last ----------------------------------------------------------------


def penultimate(network, x):
    """What goes into the last layer of an nn.Sequential, as a NumPy array (N, D)."""
    return ...


def penultimate_solution(network, x):
    """What goes into the last layer of an nn.Sequential, as a NumPy array (N, D)."""
    headless = network[:-1].eval()
    with torch.inference_mode():
        return headless(x).numpy()


def _logits(network, x):
    with torch.inference_mode():
        return network.eval()(x).numpy()


def _still_training(network, x):
    with torch.inference_mode():
        return network[:-1](x).numpy()


def _one_too_many(network, x):
    with torch.inference_mode():
        return network[:-2].eval()(x).numpy()


def _with_gradient(network, x):
    return network[:-1].eval()(x)


def _small_network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 3)
        )


def _test_penultimate(answer):
    network = _small_network().train()  # as it comes out of a training loop
    x = torch.linspace(-1, 1, 5 * 16).reshape(5, 1, 4, 4)
    got = answer(network, x)
    if not isinstance(got, np.ndarray):
        raise Wrong(
            "Return a NumPy array without gradients: torch.inference_mode(), then .numpy()."
        )
    if got.shape == (5, 3):
        raise Wrong("Three numbers an image: these are the logits, the last layer is still there.")
    if got.shape != (5, 8):
        raise Wrong(f"The last layer takes 8 numbers an image, so return (5, 8), not {got.shape}.")
    full = network[:-1].eval()(x).detach().numpy()
    before = network[:-2].eval()(x).detach().numpy()
    if np.allclose(got, full, atol=1e-6):
        return
    if np.allclose(got, before, atol=1e-6):
        raise Wrong("You stopped one layer early: the activation (Tanh) belongs to the embedding.")
    raise Wrong("Dropout is still on, so each call gives other vectors: call .eval() first.")


cut_the_head = Exercise(
    name="02-cut-the-head",
    stub=penultimate,
    test=_test_penultimate,
    hints=(
        "An nn.Sequential can be sliced like a list. Which slice leaves out the last layer only?",
        "A network fresh from training still drops units: put it in evaluation mode.",
        "network[:-1].eval(), inside `with torch.inference_mode():`, then .numpy().",
    ),
    solution=penultimate_solution,
    wrong=(
        (_logits, "these are the logits"),
        (_still_training, "Dropout"),
        (_one_too_many, "one layer early"),
        (_with_gradient, "NumPy array"),
    ),
)

# --- wrong labels -----------------------------------------------------------------------------


def spoil(y, share, rng):
    """A copy of y (labels 0 to 9), exactly this share wrong: any of the other nine, at random."""
    return ...


def spoil_solution(y, share, rng):
    """A copy of y (labels 0 to 9), exactly this share wrong: any of the other nine, at random."""
    out = y.copy()
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    out[chosen] = (y[chosen] + rng.integers(1, 10, len(chosen))) % 10
    return out


def _may_hit_the_same(y, share, rng):
    out = y.copy()
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    out[chosen] = rng.integers(0, 10, len(chosen))
    return out


def _in_place(y, share, rng):
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    y[chosen] = (y[chosen] + rng.integers(1, 10, len(chosen))) % 10
    return y


def _with_replacement(y, share, rng):
    out = y.copy()
    chosen = rng.integers(0, len(y), round(share * len(y)))
    out[chosen] = (y[chosen] + rng.integers(1, 10, len(chosen))) % 10
    return out


def _always_the_next(y, share, rng):
    out = y.copy()
    chosen = rng.permutation(len(y))[: round(share * len(y))]
    out[chosen] = (y[chosen] + 1) % 10
    return out


def _test_spoil(answer):
    y = np.arange(1_000) % 10
    kept = y.copy()
    got = np.asarray(answer(y, 0.4, np.random.default_rng(0)))
    if not np.array_equal(y, kept):
        raise Wrong("The labels that were passed in have changed: work on y.copy().")
    if got.shape != y.shape or not np.isin(got, np.arange(10)).all():
        raise Wrong("Return as many labels as came in, each from 0 to 9.")
    wrong = (got != y).sum()
    repeated = _with_replacement(y, 0.4, np.random.default_rng(0))
    if np.array_equal(got, repeated) or wrong < 345:
        raise Wrong(
            f"Only {wrong} of 400 labels are wrong: positions were drawn twice. "
            "Draw them without replacement."
        )
    if wrong < 400:
        raise Wrong(
            f"Only {wrong} of 400 labels are wrong: a label drawn from all ten is sometimes the "
            "right one. Draw from the other nine."
        )
    if wrong > 400:
        raise Wrong(f"{wrong} labels are wrong instead of 400: choose exactly that many positions.")
    if (got[400:] == y[400:]).all():
        raise Wrong(
            "The first labels are spoilt and the others are not: choose positions at random."
        )
    if (np.asarray(answer(y, 0.1, np.random.default_rng(0))) != y).sum() != 100:
        raise Wrong("With another share the number of wrong labels is off: use `share`.")
    shift = np.unique((got - y)[got != y] % 10)
    if len(shift) < 9:
        raise Wrong("Not every other class occurs: these mistakes are systematic, not random.")


wrong_labels = Exercise(
    name="02-wrong-labels",
    stub=spoil,
    test=_test_spoil,
    hints=(
        "First choose which positions are spoilt, exactly so many, then what each becomes.",
        "rng.permutation(len(y))[:n] draws without replacement. A shift of 1 to 9 is never right.",
        "out[chosen] = (y[chosen] + rng.integers(1, 10, n)) % 10, on a copy of y.",
    ),
    solution=spoil_solution,
    wrong=(
        (_may_hit_the_same, "the other nine"),
        (_in_place, "y.copy()"),
        (_with_replacement, "without replacement"),
        (_always_the_next, "systematic"),
    ),
)
