"""Mistakes made on purpose: each must turn its lesson red under nbval. Run by ``make mutants``.

A mutant is one replacement in one file of the package. The lesson is then run from a copy, up to
the first cell whose output is no longer the stored one. A mutant that stays green is a hole in the
lesson's tests.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import nbformat
from joblib import cpu_count

from embedlab.course.stopping import pool
from embedlab.settings import REFERENCE
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]

MUTANTS = tuple(
    mutant
    for file in sorted(Path(__file__).parent.glob("*.py"))
    for mutant in getattr(import_module(f"tests.mutants.{file.stem}"), "MUTANTS", ())
    if file.stem != "__init__"
)


def mutate(mutant: Mutant, root: Path) -> None:
    """Apply a mutant to the copy of the project below `root`."""
    path = root / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: {mutant.old!r} is not once in {mutant.file}.")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def _hide_sources(path: Path) -> None:
    """Take the package's code off a lesson's page: a mutant must show in what is measured."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "show_source(" in cell.source:
            cell.source = "show_source = lambda *objects: None\n" + cell.source
            cell.outputs = [
                output
                for output in cell.outputs
                if not output.get("data", {}).get("text/plain", "").startswith("# embedlab/")
            ]
    nbformat.write(notebook, path)


def first_red_cell(mutant: Mutant | None, lesson: str, native: bool = False) -> str:
    """Run a lesson from a mutated copy; the first cell that fails, or "" if none does.

    With `native` it runs off the reference arithmetic, so within the measured limits.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        tracked = ["embedlab", "notebooks", "results", "tests", "data/manifest.toml"]
        for name in [*tracked, "pyproject.toml", "conftest.py"]:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*")
                )
            else:
                (copy / name).parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        if mutant:
            mutate(mutant, copy)
        (notebook,) = (copy / "notebooks").glob(f"{lesson}_*.ipynb")
        _hide_sources(notebook)
        environment = {**os.environ, "PYTHONPATH": folder, "EMBEDLAB_DEVICE": "cpu"}
        for name in ("EMBEDLAB_DATASET", "EMBEDLAB_THREADS"):
            environment.pop(name, None)
        if native:
            environment = {k: v for k, v in environment.items() if k not in REFERENCE}
            environment["EMBEDLAB_ARITHMETIC"] = "native"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, str(notebook)], cwd=copy, env=environment, capture_output=True, text=True
        )
        if done.returncode == 0:
            return ""
        found = re.search(r"FAILED \S+::Cell (\d+)", done.stdout)
        if done.returncode != 1 or not found:
            raise RuntimeError(f"{mutant}: pytest ended with\n{done.stdout}\n{done.stderr}")
        return f"cell {found[1]}"


def run_all(
    lesson: str | None = None,
    jobs: int | None = None,
    native: bool = False,
    names: Sequence[str] = (),
) -> int:
    """Run every mutant of a lesson, or of all; 0 if each turns red and each control stays green."""
    lessons = sorted({name for mutant in MUTANTS for name in mutant.lessons})
    grid = [
        (mutant, name)
        for name in lessons
        if lesson in (None, name)
        for mutant in (None, *(m for m in MUTANTS if name in m.lessons))
        if not names or (mutant and mutant.name in names)
    ]
    if not grid:
        raise ValueError(f"no mutant for lesson={lesson!r}, names={tuple(names)!r}.")
    bad = 0
    with pool(jobs or cpu_count()) as threads:
        results = threads.map(lambda pair: first_red_cell(*pair, native), grid)
        for (mutant, name), cell in zip(grid, results, strict=True):
            right = bool(cell) == (mutant is not None)
            bad += not right
            label = mutant.name if mutant else "control: nothing changed"
            colour = f"red at {cell}" if cell else "green"
            print(f"{name}  {label:52} {colour}{'' if right else '   <-- WRONG'}", flush=True)
    print(f"{len(grid) - bad} as they should be, {bad} not.")
    return 1 if bad else 0
