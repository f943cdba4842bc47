"""Run the lessons as a reader would, several at a time, and sum up what they found."""

import os
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import nbformat
from joblib import cpu_count
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedlab.course.compare import differs
from embedlab.course.pages import export
from embedlab.course.stopping import pool
from embedlab.measure.scoreboard import stored_rows
from embedlab.measure.verdicts import NUMBERS, VERDICTS, Verdict
from embedlab.settings import HOME, NOTEBOOKS, ROOT, STARTED, write_whole
from embedlab.show.tables import one_line, rich_table

CELL_TIMEOUT = 600  # seconds
STRIP = ("--keep-output", "--keep-count", "--keep-id")  # nbval needs the counts


@dataclass
class Run:
    """One lesson's execution."""

    path: Path  # of the notebook, which is only read
    notebook: nbformat.NotebookNode  # the copy that is executed
    done: int = 0  # code cells so far
    seconds: float = 0.0
    error: str = ""  # the cell and what it raised
    differing: int | None = 0  # cells whose outputs are not the book's; None: not compared
    claims: list[Verdict] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

    @property
    def code(self) -> list[nbformat.NotebookNode]:
        """The code cells."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    def line(self, state: str) -> Text:
        """The lesson's name, cells done, seconds, and a word of how it stands."""
        done = f"{self.done:>3}/{len(self.code)} cells"
        return Text(f"{self.path.stem:<40} {done} {self.seconds:>6.1f} s  {state}")


def lesson_number(path: Path) -> str:
    """The number that a lesson's file name begins with, such as ``"02"`` or ``"05b"``."""
    return path.stem.split("_")[0]


def lessons(only: str | None = None) -> list[Path]:
    """The lessons in reading order; of those only one, by its number, or the beginning of names."""
    found = sorted(p for p in NOTEBOOKS.glob("[0-9]*.ipynb") if "." not in p.stem)
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
        coalesce_streams=True,  # or what is printed is cut where the kernel's buffer was
        extra_arguments=["--log-level=ERROR"],  # ipykernel's note on unencrypted TCP, every time
        resources={"metadata": {"path": str(path.parent)}},
    )


def _book(run: Run) -> list[list] | None:
    """The outputs of each code cell in the book; None where the lesson is not as it is there."""
    if not STARTED:
        return [cell.outputs for cell in run.code]
    page = ROOT / "notebooks" / run.path.name  # outputs in the learner's folder are the learner's
    book = Run(page, nbformat.read(page, as_version=4)).code if page.is_file() else []
    same = [cell.source for cell in book] == [cell.source for cell in run.code]
    return [cell.outputs for cell in book] if same else None


def run_lesson(path: Path, environment: dict[str, str], tick) -> Run:
    """Execute a copy of a notebook, its kernel in `environment`.

    `tick` is called with the :class:`Run` after each quarter of the cells but the last.
    """
    run, start = Run(path, nbformat.read(path, as_version=4)), time.perf_counter()
    book, n = _book(run), len(run.code)
    for cell in run.code:  # below a failing cell the page must not show what was stored
        cell.outputs, cell.execution_count = [], None

    def executed(cell, cell_index, execute_reply):
        run.done += 1
        run.seconds = time.perf_counter() - start
        if 4 * (run.done - 1) // n < 4 * run.done // n < 4:
            tick(run)

    client = _client(run.notebook, path)
    client.on_cell_executed = executed
    try:
        client.execute(env={**environment, "TQDM_DISABLE": "1"})
        run.differing = (
            None
            if book is None
            else sum(
                differs(old, cell.outputs)
                for old, cell in zip(book, run.code, strict=True)
                if "nbval-ignore-output" not in cell.metadata.get("tags", [])
            )
        )
    except CellExecutionError as error:
        run.error = f"cell {run.done} of {n}: {error.ename}: {error.evalue}"
    except Exception as error:  # a dead kernel or a time-out: this lesson's failure, not the run's
        run.error = f"cell {run.done + 1} of {n}: {type(error).__name__}: {error}"
    run.seconds = time.perf_counter() - start
    run.claims = [Verdict(**entry) for entry in shown(run.notebook, "claims")]
    run.rows = shown(run.notebook, "rows")
    return run


def shown(notebook: nbformat.NotebookNode, kind: str) -> list[dict]:
    """The ``"claims"`` or the ``"rows"`` that the outputs of a notebook's cells show."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    numbers = [output.get("data", {}).get(NUMBERS, {}) for output in outputs]
    return [entry for found in numbers for entry in found.get(kind, [])]


def refresh(path: Path) -> None:
    """Execute a notebook and store its outputs in it; where a cell fails it stays as it was."""
    notebook = nbformat.read(path, as_version=4)
    client = _client(notebook, path)
    # No progress bars, nothing of this machine's: the outputs are those of the embedded data.
    environment = {**os.environ, "TQDM_DISABLE": "1", "EMBEDLAB_DEVICE": "cpu"}
    environment.pop("EMBEDLAB_DATASET", None)
    client.execute(env=environment)
    draft = path.with_suffix(".part.ipynb")
    nbformat.write(notebook, draft)
    subprocess.run([sys.executable, "-m", "nbstripout", *STRIP, str(draft)], check=True)
    draft.replace(path)


def run_course(
    dataset: str | None = None,
    only: str | None = None,
    jobs: int | None = None,
    every_claim: bool = False,
    strict: bool = False,
) -> int:
    """Run lessons, show progress, sum up; 0 where all ran, and no verdict changed if `strict`.

    ``KeyboardInterrupt`` says what was done, and leaves it to the caller to end the kernels.
    """
    console, paths = Console(), lessons(only)
    folder = HOME / "build" / "course" / (dataset or "embedded").replace(":", "_").replace("/", "_")
    pages = folder / "html"
    pages.mkdir(parents=True, exist_ok=True)
    for page in filter(Path.is_file, (NOTEBOOKS / "glossary.md", NOTEBOOKS / "claims.md")):
        cells = [nbformat.v4.new_markdown_cell(page.read_text("utf-8"))]
        export(nbformat.v4.new_notebook(cells=cells), pages / f"{page.stem}.html")
    environment = {**os.environ, **({"EMBEDLAB_DATASET": dataset} if dataset else {})}
    jobs = jobs or min(len(paths), cpu_count())
    console.print(f"{_count(len(paths), 'lesson')}, {jobs} at a time, one thread each.")

    def tick(run: Run) -> None:
        console.print(run.line("…"))

    runs: dict[Path, Run] = {}
    with pool(jobs) as threads:
        try:
            left = {threads.submit(run_lesson, path, environment, tick) for path in paths}
            while left:  # on Windows no Ctrl-C ends a wait that has no time-out
                done, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
                for run in [future.result() for future in done]:
                    write_whole(folder / run.path.name, nbformat.writes(run.notebook))
                    export(run.notebook, pages / f"{run.path.stem}.html")
                    runs[run.path] = run
                    console.print(run.line("FAILED" if run.error else "done"))
            ordered = [runs[path] for path in paths]
            summary(console, ordered, embedded=not dataset, every_claim=every_claim)
        except KeyboardInterrupt:
            where = f"; their pages are in {pages}" if runs else "."
            raise KeyboardInterrupt(
                f"Stopped: {len(runs)} of {_count(len(paths), 'lesson')} had run{where}"
            ) from None
    failed = sum(bool(run.error) for run in ordered)
    console.print(
        f"{len(runs) - failed} of {_count(len(runs), 'lesson')} ran. Pages: {pages}",
        soft_wrap=True,
    )
    changed = any(claim.changed for run in ordered for claim in run.claims)
    return int(failed > 0 or (strict and changed))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def summary(console: Console, runs: list[Run], embedded: bool, every_claim: bool = False) -> None:
    """Print scoreboard, claims and failures; if on `embedded` data, whether all is the book's."""
    methods = stored_rows()  # sweeps and controls of one lesson are shown there
    board: dict[str, dict[str, dict]] = {}
    for run in runs:
        for row in run.rows:  # of several seeds are those that were stored, not measured in the run
            name, dataset = row["name"], row["dataset"]
            if name in methods and row["seeds"] == 1:
                board.setdefault(dataset, {}).setdefault(name, row)
    for dataset, rows in board.items():
        best_first = sorted(rows.values(), key=lambda row: -row["measures"]["map"][0])
        console.print(rich_table(best_first, dataset), "")
    claims = [claim for run in runs for claim in run.claims]
    if claims:
        console.print(claims_table(claims) if every_claim else claims_counted(claims), "")
    changed = [claim for claim in claims if claim.changed]
    for claim in changed:
        line = f"CHANGED {claim.id}: {claim.verdict}, on record {claim.expected}: {claim.text}"
        console.print(one_line(line))
    if changed:
        console.print(
            "A difference close to its margin can fall on the other side of it on another machine."
        )
    failed = [run for run in runs if run.error]
    for run in failed:
        console.print(Text(f"FAILED {run.path.stem}, {run.error}", style="bold red"))
    if embedded and not failed:
        console.print(_exactness(runs))


def _exactness(runs: list[Run]) -> str:
    compared = [run.differing for run in runs if run.differing is not None]
    cells, where = sum(compared), sum(n > 0 for n in compared)
    edited = _count(len(runs) - len(compared), "edited lesson")
    note = f"Not compared with the book: {edited}. " if len(compared) < len(runs) else ""
    if not cells:
        same = "Every number and picture is the book's, to the last digit."
        return f"{note}{same if compared else ''}".strip()
    differ = f"{_count(cells, 'cell')} of {_count(where, 'lesson')} differ{'s' * (cells == 1)}"
    return (
        f"{note}{differ} from the book in last digits or pictures: this machine computes with "
        "other kernels (see embedlab doctor)."
    )


def claims_counted(claims: list[Verdict]) -> Table:
    """How many claims of each id hold, fail, are undecided, changed; two ids a line."""
    rows = []
    for id in sorted({claim.id for claim in claims}, key=lambda id: (len(id), id)):
        mine = [claim for claim in claims if claim.id == id]
        verdicts = [claim.verdict for claim in mine]
        counts = *map(verdicts.count, VERDICTS), sum(claim.changed for claim in mine)
        rows.append([id, *(str(count or "") for count in counts)])
    half = (len(rows) + 1) // 2
    names = ("claims", *VERDICTS, "changed")
    out = Table(*names, "  ", *names, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for left, right in zip_longest(rows[:half], rows[half:], fillvalue=()):
        out.add_row(*left, "", *right)
    for column in out.columns:
        column.justify = "left" if column.header == "claims" else "right"
    return out


def claims_table(claims: list[Verdict]) -> Table:
    """Every claim with its interval and verdict."""
    out = Table("claim", "", "difference", "95% interval", "verdict", title="Claims")
    for claim in claims:
        out.add_row(
            claim.id,
            claim.text,
            f"{claim.value:+.3f}",
            f"{claim.low:+.3f} {claim.high:+.3f}",
            claim.verdict + (f" (on record: {claim.expected})" if claim.changed else ""),
        )
    return out
