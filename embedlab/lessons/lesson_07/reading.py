"""A text that every installation has: what scikit-learn's own code says about itself."""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

MASK, RARE = "<mask>", "<rare>"
# Tests are not documentation; the others differ from one system's wheel to another's, or are
# copies of other packages.
LEFT_OUT = {"tests", "externals", "_distributor_init.py", "__config__.py", "version.py"}


@dataclass(frozen=True)
class Reading:
    """A text as numbers of words, cut into windows."""

    vocabulary: list[str]  # the words that are no words first, then by how often they come
    windows: np.ndarray  # (N, length) of int64
    sha256: str  # of the words in their order

    def index(self, word: str) -> int:
        """The number of a word."""
        return self.vocabulary.index(word)

    def said(self, window: np.ndarray) -> str:
        """A window (length,) in words."""
        return " ".join(self.vocabulary[i] for i in window)


def documentation(*packages: str) -> list[str]:
    """The documentation strings in the code of installed packages, each once; no code is run."""
    found: dict[str, None] = {}
    for package in packages:
        root = Path(find_spec(package).submodule_search_locations[0])
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
        for name in sorted(files):  # of their paths the order differs between systems
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


def read(texts: list[str], length: int = 32, at_least: int = 20) -> Reading:
    """Texts as windows of `length` words; a word that comes less than `at_least` times is rare."""
    stream = re.findall(r"[a-z]+", "\n".join(texts).lower())
    count = Counter(stream)
    known = [
        word for word, n in sorted(count.items(), key=lambda w: (-w[1], w[0])) if n >= at_least
    ]
    vocabulary = [MASK, RARE, *known]
    number = {word: i for i, word in enumerate(vocabulary)}
    numbers = np.array([number.get(word, 1) for word in stream])
    windows = numbers[: len(numbers) // length * length].reshape(-1, length)
    return Reading(vocabulary, windows, hashlib.sha256(" ".join(stream).encode()).hexdigest())
