"""What a run of an experiment has finished so far, so that one that was killed goes on from there.

The rows of each training are in a file of their own,
``build/evidence/<dataset>/<experiment>/<condition>/<seed> <stamp>.json``. They count only under
their stamp, a hash of all else that they come from: versions, device and arithmetic, the images,
stored weights, and the package's code. Of the code all of it, since a training may use any of it,
but neither its comments nor the words of its docstrings: rows are never taken for those of other
code, and correcting a sentence does not cost hours.
"""

import ast
import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import numpy as np

from embedlab.data.images import Images
from embedlab.measure.intervals import Measure
from embedlab.measure.scoreboard import Row
from embedlab.settings import HOME, ROOT

KEPT = HOME / "build" / "evidence"


@cache
def code() -> str:
    """Hash of the package's code, as this process found it when it first asked."""
    sha, package = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = None  # a docstring
        sha.update(f"{path.relative_to(package)} {ast.dump(tree)}".encode())
    return sha.hexdigest()


@cache
def packages() -> tuple[str, ...]:
    """Every installed package with its version."""
    return tuple(sorted(f"{d.name} {d.version}" for d in metadata.distributions()))


def places(
    name: str, dataset: str, grid: Iterable[tuple[str, int]], setting: dict, images: Images
) -> dict[tuple[str, int], Path]:
    """Where the rows of each (condition, seed) are kept, under the stamp of all else."""
    sha = hashlib.sha256(json.dumps([setting, images.class_names, code(), packages()]).encode())
    for split in (images.train, images.val, images.test):
        sha.update(split.x.tobytes())
        sha.update(split.y.tobytes())
    for weights in sorted((ROOT / "results").rglob("*.safetensors")):
        sha.update(weights.read_bytes())
    stamp = sha.hexdigest()[:16]
    return {(c, s): _folder(name, dataset, c) / f"{s} {stamp}.json" for c, s in grid}


def _folder(name: str, dataset: str, condition: str = "") -> Path:
    return KEPT / dataset / name / quote(condition, safe=" ,")


def packed(rows: Sequence[Row], seconds: float) -> str:
    """The rows of a training and the seconds it took; every number to the last bit."""
    content = {"seconds": seconds, "rows": [asdict(row) for row in rows]}
    return json.dumps(content, default=lambda array: array.tolist())


def unpacked(text: str) -> tuple[list[Row], float]:
    """The inverse of :func:`packed`."""
    content = json.loads(text)
    for row in content["rows"]:
        for key, m in row["measures"].items():
            effects = {source: np.array(effect) for source, effect in m["effects"].items()}
            row["measures"][key] = Measure(**{**m, "effects": effects})
    return [Row(**row) for row in content["rows"]], content["seconds"]


def forget(name: str, dataset: str, only: Sequence[str] | None = None) -> None:
    """Drop what was kept of an experiment, or of some of its conditions, whatever its stamp."""
    for condition in [""] if only is None else only:
        shutil.rmtree(_folder(name, dataset, condition), ignore_errors=True)
