"""Run the lessons as a reader would, several at a time, and sum up what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from joblib import cpu_count
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedlab.claims import Verdict
from embedlab.evidence.methods import METHODS
from embedlab.scoreboard import MEASURES, Row
from embedlab.sources import ROOT

NOTEBOOKS = ROOT / "notebooks"
TEMPLATES = Path(__file__).parent / "templates"
CELL_TIMEOUT = 600  # seconds
STRIP = ("--keep-output", "--keep-count", "--keep-id")  # nbval needs the counts


@dataclass
class Run:
    """One lesson's execution.

    Attributes
    ----------
    path : pathlib.Path
        The committed notebook, which is only read.
    cells, done : int
        Code cells in it, and executed so far.
    seconds : float
    error : str
        Empty, or the cell and what it raised.
    claims : list of Verdict
    rows : list of Row
    html : pathlib.Path or None
    """

    path: Path
    cells: int = 0
    done: int = 0
    seconds: float = 0.0
    error: str = ""
    claims: list[Verdict] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    html: Path | None = None

    @property
    def name(self) -> str:
        """The notebook's name without its ending."""
        return self.path.stem


def lesson_number(path: Path) -> str:
    """The number that a lesson's file name begins with, such as ``"02"`` or ``"05b"``.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    str
    """
    return path.stem.split("_")[0]


def lessons(only: str | None = None) -> list[Path]:
    """The course's notebooks in reading order.

    Parameters
    ----------
    only : str, optional
        The number of one, such as ``"02"`` or ``"05b"``, or the beginning of names.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    ValueError
        Where no notebook's name begins so.
    """
    found = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    numbered = [path for path in found if lesson_number(path) == only]
    chosen = numbered or [path for path in found if path.name.startswith(only or "")]
    if not chosen:
        raise ValueError(f"only={only!r} begins no lesson: use {', '.join(p.stem for p in found)}.")
    return chosen


def _client(notebook, path: Path) -> NotebookClient:
    """What executes a notebook beside the file it was read from."""
    return NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # ipykernel's note on unencrypted TCP, every time
        resources={"metadata": {"path": str(path.parent)}},
    )


def run_lesson(path: Path, folder: Path, environment: dict[str, str], tick) -> Run:
    """Execute a copy of a notebook below `folder` and export it as a page.

    Parameters
    ----------
    path : pathlib.Path
    folder : pathlib.Path
        Gets the executed copy, and ``html/``.
    environment : dict of str to str
        Of the lesson's kernel.
    tick : callable
        Called with the :class:`Run` after each cell.

    Returns
    -------
    Run
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:  # below a failing cell the page must not show what was stored
        cell.outputs, cell.execution_count = [], None
    run, start = Run(path, cells=len(code)), time.perf_counter()
    log = folder / f"{path.stem}.jsonl"
    log.unlink(missing_ok=True)

    def executed(cell, cell_index, execute_reply):
        run.done += 1
        run.seconds = time.perf_counter() - start
        tick(run)

    client = _client(notebook, path)
    client.on_cell_executed = executed
    try:
        client.execute(env={**environment, "EMBEDLAB_RECORD": str(log), "TQDM_DISABLE": "1"})
    except CellExecutionError as error:
        run.error = f"cell {run.done} of {run.cells}: {error.ename}: {error.evalue}"
    except Exception as error:  # a dead kernel or a time-out: this lesson's failure, not the run's
        run.error = f"cell {run.done + 1} of {run.cells}: {type(error).__name__}: {error}"
    run.seconds = time.perf_counter() - start
    nbformat.write(notebook, folder / path.name)
    run.html = export(notebook, folder / "html" / f"{path.stem}.html")
    if log.is_file():
        for line in log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            kind = entry.pop("kind")
            if kind == "claim":
                run.claims.append(Verdict(**entry))
            else:
                run.rows.append(Row.from_dict(entry))
    return run


def refresh(path: Path) -> None:
    """Execute a committed notebook and store its outputs in it, clean enough for a small diff.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        Where a cell fails; the file is then left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    client = _client(notebook, path)
    # No progress bars, nothing of this machine's: the outputs are those of the embedded data.
    environment = {**os.environ, "TQDM_DISABLE": "1", "EMBEDLAB_DEVICE": "cpu"}
    environment.pop("EMBEDLAB_DATASET", None)
    client.execute(env=environment)
    nbformat.write(notebook, path)
    subprocess.run([sys.executable, "-m", "nbstripout", *STRIP, str(path)], check=True)


def export(notebook, target: Path) -> Path:
    """Write a notebook as one page that needs no network.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    target : pathlib.Path

    Returns
    -------
    pathlib.Path
        `target`.
    """
    exporter = HTMLExporter(
        template_name="lesson",
        extra_template_basedirs=[str(TEMPLATES)],
        require_js_url="",
        mathjax_url="",
        preprocessors=[TagRemovePreprocessor(remove_cell_tags=["skip-html"])],
    )
    title = next(
        (c.source.splitlines()[0].lstrip("# ") for c in notebook.cells if c.source), target.stem
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    target.parent.mkdir(parents=True, exist_ok=True)
    # Links between lessons lead to pages, as their notebooks do to notebooks.
    page = page.replace('.ipynb"', '.html"').replace('glossary.md"', 'glossary.html"')
    target.write_text(page, encoding="utf-8")
    return target


def run_course(dataset: str | None, only: str | None, jobs: int | None) -> int:
    """Run lessons, show progress, sum up.

    Parameters
    ----------
    dataset : str or None
        Replaces each lesson's own image set.
    only : str or None
        Beginning of one lesson's name.
    jobs : int or None
        Lessons at a time; default one a core.

    Returns
    -------
    int
        Exit status: 0 where every lesson ran and no verdict on record changed.
    """
    console = Console()
    paths = lessons(only)
    label = (dataset or "embedded").replace(":", "_").replace("/", "_")
    folder = ROOT / "build" / "course" / label
    (folder / "html").mkdir(parents=True, exist_ok=True)
    glossary = nbformat.v4.new_markdown_cell((NOTEBOOKS / "glossary.md").read_text("utf-8"))
    export(nbformat.v4.new_notebook(cells=[glossary]), folder / "html" / "glossary.html")
    environment = dict(os.environ)
    if dataset:
        environment["EMBEDLAB_DATASET"] = dataset
    jobs = jobs or min(len(paths), cpu_count())
    console.print(f"{len(paths)} lessons, {jobs} at a time, one thread each.")
    progress = _Progress(console)
    runs: dict[Path, Run] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {
            pool.submit(run_lesson, path, folder, environment, progress.tick): path
            for path in paths
        }
        for future in as_completed(waiting):
            run = runs[waiting[future]] = future.result()
            progress.finished(run)
    ordered = [runs[path] for path in paths]
    return summary(console, ordered, folder)


class _Progress:
    """A line a lesson: name, cells done, seconds. In a log, one at a quarter of the cells each."""

    def __init__(self, console: Console):
        self.console = console
        self.said: dict[str, int] = {}

    def tick(self, run: Run) -> None:
        quarter = 4 * run.done // max(1, run.cells)
        if self.said.get(run.name, 0) < quarter < 4:
            self.said[run.name] = quarter
            self.line(run, "…")

    def finished(self, run: Run) -> None:
        self.line(run, "FAILED" if run.error else "done")

    def line(self, run: Run, state: str) -> None:
        self.console.print(
            Text(f"{run.name:<40} {run.done:>3}/{run.cells} cells {run.seconds:>6.1f} s  {state}")
        )


def summary(console: Console, runs: list[Run], folder: Path) -> int:
    """Print the scoreboard, the claims, the failures and where the pages are.

    Parameters
    ----------
    console : rich.console.Console
    runs : list of Run
    folder : pathlib.Path

    Returns
    -------
    int
        Exit status.
    """
    board: dict[str, dict[str, Row]] = {}
    for run in runs:
        for row in run.rows:
            if row.name in METHODS:  # sweeps and controls of one lesson are shown there
                board.setdefault(row.dataset, {}).setdefault(row.name, row)
    for dataset, rows in board.items():
        if "shuffled" not in dataset:
            console.print(rich_table(list(rows.values()), dataset))
    changed = print_claims(console, [claim for run in runs for claim in run.claims])
    failed = [run for run in runs if run.error]
    for run in failed:
        console.print(Text(f"FAILED {run.name}, {run.error}", style="bold red"))
    for claim in changed:
        console.print(
            Text(f"CHANGED {claim.id} {claim.text}: {claim.verdict}, on record {claim.expected}"),
            style="bold red",
        )
    console.print(Text(f"Pages: {folder / 'html'}"))
    console.print(f"{len(runs) - len(failed)} lessons ran, {len(failed)} failed.")
    return 1 if failed or changed else 0


def print_claims(console: Console, claims: list[Verdict]) -> list[Verdict]:
    """Print claims with interval and verdict; give those whose verdict is not the one on record.

    Parameters
    ----------
    console : rich.console.Console
    claims : list of Verdict

    Returns
    -------
    list of Verdict
    """
    table = Table("claim", "", "difference", "95% interval", "verdict", title="Claims")
    for claim in claims:
        table.add_row(
            claim.id,
            claim.text,
            f"{claim.value:+.3f}",
            f"{claim.low:+.3f} {claim.high:+.3f}",
            claim.verdict + (f" (on record: {claim.expected})" if claim.changed else ""),
        )
    if claims:
        console.print(table)
    return [claim for claim in claims if claim.changed]


def rich_table(rows: list[Row], dataset: str) -> Table:
    """The scoreboard for a terminal of eighty columns: each value above its 95% interval.

    Parameters
    ----------
    rows : list of Row
    dataset : str

    Returns
    -------
    rich.table.Table
    """
    out = Table(
        "method", "labels", *MEASURES.values(), "length", "fit", title=f"Scoreboard: {dataset}"
    )
    out.box, out.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
    out.show_edge, out.columns[0].max_width = False, 14
    for row in sorted(rows, key=lambda row: -row.map.value):
        measures = [row.measures[key] for key in MEASURES]
        out.add_row(
            row.name,
            "yes" if row.supervision == "labels" else "no",
            *(f"{m.value:.3f}\n[dim]{m.low:.2f}–{m.high:.2f}[/dim]" for m in measures),
            str(row.n_components),
            f"{row.fit_seconds:.1f} s",
        )
    return out
