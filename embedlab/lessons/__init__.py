"""What the pages of all lessons use, and a folder for each lesson."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType


def lesson_modules(name: str) -> Iterator[ModuleType]:
    """Of all lessons that have one, the module ``"exercises"`` or ``"experiments"``."""
    for path in sorted(Path(__file__).parent.glob(f"lesson_*/{name}.py")):
        yield import_module(f"embedlab.lessons.{path.parent.name}.{name}")
