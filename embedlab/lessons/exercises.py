"""Exercises: a task, a check that says what is wrong, three hints, a solution.

An exercise is a table: the solution, what it is called with, and the wrong answers that people
really give, each with what they must be told. An answer is judged by what it gives, never by how
it is written, and a sentence is said only to who gives what its row gives.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from IPython.display import display

from embedlab.lessons import lesson_modules
from embedlab.show.page import collapsed


class Wrong(Exception):
    """What is wrong with an answer, whatever its numbers; ``"..."`` if it is still the stub."""


def gives(out, *args) -> dict:
    """Of what an answer returned for `args`, all numbers are looked at."""
    return {"it gives": out}


def with_gradients(out, *args) -> dict:
    """The numbers, and the gradients of their sum for all in `args` that ask for one."""
    leaves = [t for a in args for t in _tensors(a) if t.requires_grad]
    if not (isinstance(out, torch.Tensor) and out.requires_grad):
        flows = "no gradient"
    else:
        try:
            flows = torch.autograd.grad(out.sum(), leaves, allow_unused=True, retain_graph=True)
            pairs = zip(leaves, flows, strict=True)
            flows = [torch.zeros_like(t) if g is None else g for t, g in pairs]
        except RuntimeError:  # a tensor that the gradient needs was changed in place
            flows = "an error"
    return {"it gives": out, "its backward() gives": flows}


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers, the same each time, for inputs."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def no_gradient(solution: Callable) -> tuple[str, Callable]:
    """The row of `answers` for a loss through which nothing flows back."""
    said = "The number is right, but no gradient flows back: stay with torch, detach nothing."
    return said, lambda *args: solution(*args).detach()


@dataclass(frozen=True)
class Exercise:
    """One exercise; its task is the docstring of its solution."""

    name: str  # lesson and subject, such as "00-average-precision"
    solution: Callable  # bears the name that the function has on the page
    inputs: Callable[[], Sequence[tuple]]  # the arguments of several calls, made anew each time
    answers: tuple[tuple[str, Callable], ...]  # what to say to who gives what this function gives
    hints: tuple[str, str, str]  # of rising strength
    # (out, *args) -> what of an answer is compared, by words such as "it gives"; `out` has the
    # solution's shape.
    seen: Callable[..., dict] = gives

    @property
    def arguments(self) -> list[str]:
        """Names of the function's arguments."""
        return list(inspect.signature(self.solution).parameters)

    def looks(self, answer: Callable) -> list:
        """What an answer shows for each input: words and numbers, or the exception it stops with.

        An answer may compute in float64: if it stops because it mixes, its inputs become float64.
        """
        looks = self._looks(answer, tuple)
        if any(
            isinstance(a, RuntimeError) and re.search("(?i)dtype|double", str(a)) for a in looks
        ):
            again = self._looks(answer, _double)
            looks = looks if any(isinstance(a, Exception) for a in again) else again
        return looks

    def _looks(self, answer: Callable, made: Callable) -> list:
        pairs = zip(self.inputs(), self.inputs(), strict=True)
        return [self._look(answer, made(args), made(kept)) for args, kept in pairs]

    def _look(self, answer: Callable, args: tuple, kept: tuple) -> dict | Exception:
        try:
            out = answer(*args)
        except Exception as error:
            return error
        if out is ...:
            raise Wrong("...")
        if out is None:
            raise Wrong("The function returns None: is there a return statement?")
        for name, a, b in zip(self.arguments, args, kept, strict=True):
            if not alike(*(plain(list(_tensors(value))) for value in (a, b))):
                raise Wrong(f"It changes `{name}`, which belongs to the caller: work on a copy.")
        shape, right = _shape(plain(out)), _shape(plain(self.solution(*kept)))
        seen = (self.seen if shape == right else gives)(out, *args)
        shape = "() (one number)" if shape == () else str(shape)
        look = {k: v if isinstance(v, str) else plain(v) for k, v in seen.items()}
        return {"it gives the shape": shape} | look

    def explain(self, answer: Callable) -> str | None:
        """What is wrong with an answer: None if nothing, ``"..."`` if it was not attempted."""
        try:
            got = self.looks(answer)
        except Wrong as wrong:
            return str(wrong)
        right = self.looks(self.solution)
        if alike(got, right):
            return None
        with warnings.catch_warnings(action="ignore"):  # wrong answers may divide by zero
            for said, wrong in self.answers:
                if alike(got, self.looks(wrong)):
                    return said
        first = next(i for i in range(len(right)) if not alike(got[i], right[i]))
        named = zip(self.arguments, self.inputs()[first], strict=True)
        given = [f"{name}{_brief(value)}" for name, value in named if _brief(value)]
        return f"For {', '.join(given)} {_difference(got[first], right[first])}."

    def check(self, answer: Callable) -> None:
        """Print whether an answer is right, and if not, what is wrong with it."""
        said = self.explain(answer)
        if said is None:
            print(f"Right: {self.name} is solved.")
        elif said == "...":
            print(f"{self.name}: not attempted yet. Fill in the function above, run it again.")
        else:
            print(f"Not yet. {said}")

    def help(self) -> None:
        """Show the three hints and the solution, each folded."""
        for number, hint in enumerate(self.hints, 1):
            display(collapsed(f"Hint {number} of 3", hint))
        display(collapsed("Solution", inspect.getsource(self.solution)))


def plain(value):
    """A value as NumPy in float64, whatever it is in; a list of unequal shapes as a tuple."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, list | tuple):
        parts = tuple(plain(v) for v in value)
        equal = len({_shape(p) for p in parts}) == 1 and isinstance(parts[0], np.ndarray)
        return np.stack(parts) if equal else parts
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise Wrong(f"It returns a {type(value).__name__}, where numbers should be.") from None


def alike(a, b) -> bool:
    """Whether two answers, or parts of them, are the same but for rounding."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool(_close(a, b).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    return isinstance(a, Exception) or a == b


def _close(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.isclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)


def _shape(value) -> tuple | None:
    return tuple(map(_shape, value)) if isinstance(value, tuple) else getattr(value, "shape", None)


def _tensors(value) -> list:
    """All arrays and tensors in an argument, those of a network included."""
    if isinstance(value, torch.nn.Module):
        return list(value.state_dict(keep_vars=True).values())
    if isinstance(value, list | tuple):
        return [t for v in value for t in _tensors(v)]
    return [value] if isinstance(value, np.ndarray | torch.Tensor) else []


def _double(value):
    """An argument with its tensors in float64."""
    if isinstance(value, list | tuple):
        return type(value)(_double(v) for v in value)
    if isinstance(value, torch.nn.Module):
        return value.double()
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().double().requires_grad_(value.requires_grad)
    return value


def _brief(value) -> str:
    """What follows the name of an argument in a sentence: its numbers if few, else its shape."""
    if isinstance(value, np.ndarray | torch.Tensor | list) or np.isscalar(value):
        value = plain(value)
        few = isinstance(value, np.ndarray) and value.size <= 8
        return f" = {_rounded(value)}" if few else f" of shape {_shape(value)}"
    return ""


def _rounded(value) -> str:
    if isinstance(value, str):
        return value
    text = np.array2string(value, separator=", ", formatter={"float_kind": "{:.4g}".format})
    return " ".join(text.split())


def _difference(got, right: dict) -> str:
    """The first thing in which an answer differs from the solution."""
    if isinstance(got, Exception):
        return f"it stops with {type(got).__name__}: {got}".removesuffix(".")
    words = next(k for k in right if not alike(got.get(k), right[k]))
    a, b = got[words], right[words]
    if isinstance(a, tuple) and isinstance(b, tuple):  # arrays of unequal shapes
        a, b = next(pair for pair in zip(a, b, strict=True) if not alike(*pair))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.size > 8:
        i = tuple(np.argwhere(~_close(a, b))[0].tolist())
        return f"{words} {_rounded(a[i])} at {list(i)}, not {_rounded(b[i])}"
    return f"{words} {_rounded(a)}, not {_rounded(b)}"


def all_exercises() -> dict[str, Exercise]:
    """Every exercise of the course, by name."""
    modules = map(vars, lesson_modules("exercises"))
    return {e.name: e for m in modules for e in m.values() if isinstance(e, Exercise)}


def exercise(name: str) -> Exercise:
    """The exercise of that name.

    Parameters
    ----------
    name : str
        Lesson and subject, such as ``"00-average-precision"``.

    Returns
    -------
    Exercise
        ``check(answer)`` says whether a function solves it and, if not, what is wrong;
        ``help()`` shows three hints and the solution.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    found = all_exercises()
    if name not in found:
        raise ValueError(f"name={name!r} is not an exercise: use {', '.join(sorted(found))}.")
    return found[name]
