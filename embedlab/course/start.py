"""The lessons laid into a folder, and brought up to date there without losing a learner's word.

The folder's ``.embedlab.json`` remembers of each file the hashes of all that was ever laid: a
lesson that has none of them has been edited, and is kept; the new one is laid beside it.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from embedlab.settings import RECEIPT, ROOT, write_whole


def _hash(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _words(text: str) -> str:
    """Hash of what editing changes: cells and their tags, but not what running or folding does."""
    try:
        cells = json.loads(text)["cells"]
        parts = [(c["cell_type"], "".join(c["source"]), c["metadata"].get("tags")) for c in cells]
    except (ValueError, KeyError, TypeError, AttributeError):  # the glossary, or no notebook
        return _hash(text)
    return _hash(parts)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _beside(target: Path, laid: list[str]) -> Path:
    """Where the new one goes: never over a file that somebody has edited."""
    for n in range(1, 1000):
        path = target.with_suffix(f".new{n if n > 1 else ''}{target.suffix}")
        if not path.exists() or _words(_read(path)) in laid:
            return path
    raise FileExistsError(f"too many files like {path}")


def _lay(source: Path, target: Path, memory: dict) -> str:
    """Lay one file, or the new one beside an edited one, and say which; `memory` is of this file.

    `memory` holds ``"words"``, the hashes of all that was laid, and ``"file"``, that of the last.
    """
    text = _read(source)
    words, laid = _words(text), memory["words"]
    known, memory["file"] = memory["file"] == _hash(text), _hash(text)
    if words not in laid:
        laid.append(words)
    if not target.exists():
        write_whole(target, text)
        return "laid"
    mine = _read(target)
    edited = _words(mine) not in laid
    if mine == text or (known and not edited):
        return "nothing new"
    if known:
        return "edited, kept; nothing new"
    place = _beside(target, laid) if edited else target
    write_whole(place, text)
    return f"EDITED, kept; the new one is {place.name}" if edited else "brought up to date"


def lay_lessons(folder: Path) -> Iterator[str]:
    """Lay the lessons into a folder, a line for each that says what was done with it.

    Raises ``OSError`` where the folder is a file or cannot be written; each file is then whole.
    """
    folder = folder.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: name a folder.")
    if folder == ROOT or folder.is_relative_to(ROOT / "notebooks"):
        raise FileExistsError(f"{folder} is the course itself: name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    receipt = folder / RECEIPT
    try:
        memory = json.loads(receipt.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        memory = {}
    if not isinstance(memory, dict):
        memory = {}  # what was laid is not known: nothing is replaced
    sources = (p for p in (ROOT / "notebooks").iterdir() if p.suffix in (".ipynb", ".md"))
    for source in sorted(sources):
        of_file = memory.setdefault(source.name, {"words": [], "file": ""})
        done = _lay(source, folder / source.name, of_file)
        write_whole(receipt, json.dumps(memory, indent=1))
        yield f"{source.name}: {done}"
