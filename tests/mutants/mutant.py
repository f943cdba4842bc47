"""A mistake made on purpose."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A replacement in a file, and the lessons that must notice it."""

    name: str
    lessons: tuple[str, ...]
    file: str
    old: str
    new: str
