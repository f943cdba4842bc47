"""A text that every installation has: what scikit-learn and SciPy say about themselves."""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import numpy as np

PACKAGES = ("sklearn", "scipy")
# Tests are no documentation; the others are copies of other packages, or differ between systems.
LEFT_OUT = {"tests", "externals", "_distributor_init.py", "__config__.py", "version.py"}
MASK, RARE = 0, 1  # the numbers of two words that are none


@dataclass(frozen=True)
class Reading:
    """A text as numbers of words, cut into windows."""

    vocabulary: list[str]  # after the two that are none, the most frequent word first
    windows: np.ndarray  # (N, length) of int64
    sha256: str  # of the words in their order

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """The numbers of known words, (N,) of int64."""
        return np.array([self.vocabulary.index(word) for word in words])

    def shuffled(self, seed: int) -> Self:
        """All words of the text in a random order: each as frequent as before, none in company."""
        mixed = np.random.default_rng(seed).permutation(self.windows.ravel())
        return replace(self, windows=mixed.reshape(self.windows.shape))


def documentation(packages: Sequence[str] = PACKAGES) -> list[str]:
    """The documentation strings in the code of installed packages, each once; no code is run."""
    found: dict[str, None] = {}
    for package in packages:
        root = Path(find_spec(package).submodule_search_locations[0])
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
        for name in sorted(files):  # paths themselves are ordered otherwise on Windows
            if not LEFT_OUT & set(name.split("/")):
                tree = ast.parse(files[name].read_text(encoding="utf-8"))
                found |= dict.fromkeys(_strings(tree))
    return list(found)


def _strings(node: ast.AST) -> Iterator[str]:
    """The documentation of a piece of code, then of the classes and functions in it."""
    said = ast.get_docstring(node, clean=False)
    if said:
        yield said
    for part in node.body:
        if isinstance(part, ast.ClassDef | ast.FunctionDef):
            yield from _strings(part)


def read(texts: Sequence[str], length: int = 32, at_least: int = 50) -> Reading:
    """Texts as windows of `length` words; one that comes less than `at_least` times is rare."""
    stream = re.findall(r"[a-z]+", "\n".join(texts).lower())
    count = Counter(stream)
    known = sorted((w for w in count if count[w] >= at_least), key=lambda w: (-count[w], w))
    vocabulary = ["<mask>", "<rare>", *known]
    number = {word: i for i, word in enumerate(vocabulary)}
    numbers = np.array([number.get(word, RARE) for word in stream])
    windows = numbers[: len(numbers) // length * length].reshape(-1, length)
    return Reading(vocabulary, windows, hashlib.sha256(" ".join(stream).encode()).hexdigest())
