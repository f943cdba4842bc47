"""Exercises: a stub, a check that says what is wrong, three hints, a solution.

An :class:`Exercise` also carries wrong answers that people really give; the tests prove that its
check refuses each of them with its own explanation, and accepts the solution.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from IPython.display import display

from embedlab.lessons.__init__ import lesson_modules


class Wrong(Exception):
    """What is wrong with an answer, in a sentence that helps."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes
    ----------
    name : str
        Lesson and subject, such as ``"00-average-precision"``.
    stub : callable
        What the learner starts from; it returns ``...``.
    test : callable
        Calls an answer on small cases and raises :class:`Wrong` with what is wrong.
    hints : tuple of three str
        Of rising strength.
    solution : callable
    wrong : tuple of (callable, str)
        Answers that people give, and words that the check's explanation must hold.
    """

    name: str
    stub: Callable
    test: Callable[[Callable], None]
    hints: tuple[str, str, str]
    solution: Callable
    wrong: tuple[tuple[Callable, str], ...]

    def explain(self, answer: Callable) -> str | None:
        """What is wrong with an answer: None if nothing, ``"..."`` if it was not attempted."""
        try:
            self.test(_guarded(answer))
        except _NotAttempted:
            return "..."
        except Wrong as wrong:
            return str(wrong)
        except Exception as error:
            return f"It stopped with {type(error).__name__}: {error}"
        return None

    def check(self, answer: Callable) -> None:
        """Print whether an answer is right, and if not, what is wrong with it."""
        said = self.explain(answer)
        if said is None:
            print(f"Right: {self.name} is solved.")
        elif said == "...":
            print(f"{self.name}: not attempted yet. Fill in the function above, run it again.")
        else:
            print(f"Not yet. {said}")

    def hint(self, number: int = 1) -> None:
        """Show hint 1, 2 or 3, folded."""
        from embedlab.show.page import collapsed

        if number not in (1, 2, 3):
            raise ValueError(f"number={number!r} must be 1, 2 or 3.")
        display(collapsed(f"Hint {number} of 3", self.hints[number - 1]))

    def help(self) -> None:
        """Show the three hints and the solution, each folded."""
        from embedlab.show.page import collapsed

        for number in (1, 2, 3):
            self.hint(number)
        code = inspect.getsource(self.solution)
        display(collapsed("Solution", code.replace("_solution(", "(", 1)))


class _NotAttempted(Exception):
    pass


def _guarded(answer: Callable) -> Callable:
    """`answer`, but a stub's ``...`` or None stops the check at once."""

    def call(*args, **kwargs):
        out = answer(*args, **kwargs)
        if out is ...:
            raise _NotAttempted
        if out is None:
            raise Wrong("The function returns None: is there a return statement?")
        return out

    return call


def all_exercises() -> dict[str, Exercise]:
    """Every exercise of the course, by name."""
    found = {}
    for module in lesson_modules("exercises"):
        for value in vars(module).values():
            if isinstance(value, Exercise):
                found[value.name] = value
    return found


def exercise(name: str) -> Exercise:
    """The exercise of that name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Exercise
    """
    found = all_exercises()
    if name not in found:
        raise ValueError(f"name={name!r} is not an exercise: use {', '.join(sorted(found))}.")
    return found[name]
