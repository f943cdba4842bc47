"""What checks of answers that are tensors share."""

from __future__ import annotations

import torch

from embedlab.lessons.exercises import Wrong


def checked(answer, expected: torch.Tensor, *args) -> torch.Tensor:
    """What an answer gives, once it is a tensor of the right shape; its input must not change.

    Parameters
    ----------
    answer : callable
    expected : torch.Tensor
        Of the right shape.
    *args
        What the answer is called with.

    Returns
    -------
    torch.Tensor

    Raises
    ------
    Wrong
    """
    kept = [a.clone() for a in args if isinstance(a, torch.Tensor)]
    out = answer(*args)
    if not isinstance(out, torch.Tensor):
        raise Wrong(f"Return a tensor, not {type(out).__name__}.")
    if out.shape != expected.shape:
        raise Wrong(f"The shape is {tuple(out.shape)}, it should be {tuple(expected.shape)}.")
    given = [a for a in args if isinstance(a, torch.Tensor)]
    if not all(torch.equal(a, b) for a, b in zip(given, kept, strict=True)):
        raise Wrong("A tensor that was passed in has changed: make a new one.")
    return out


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors have the same shape and, but for rounding, the same numbers.

    Parameters
    ----------
    a, b : torch.Tensor

    Returns
    -------
    bool
    """
    return a.shape == b.shape and torch.allclose(a, b, atol=1e-5)
