"""A pytest plugin: what nbval counts as the same outputs.

Where this machine computes as the book does: the stored ones to the last digit, and pictures to the
last byte. Elsewhere: within the limits that ``embedlab calibrate`` has measured.
"""

import base64
import difflib
from functools import cache
from itertools import zip_longest

import nbval.kernel
import nbval.plugin

from embedlab.course.calibrate import limits
from embedlab.course.compare import deviation, differs, fields
from embedlab.settings import ROOT
from embedlab.training.device import set_threads
from embedlab.training.fingerprint import differing, software, stored


@cache
def exact() -> bool:
    """Whether this machine is to give the stored outputs to the last digit and pixel."""
    set_threads()
    return not differing() and software() == stored()["software"]


def compare_outputs(self, test, ref, skip_compare=None) -> bool:
    """True where a cell's new outputs are as they should be."""
    name = self.parent.path.stem
    if exact():
        wrong = differs(ref, test)
    else:
        wrong = deviation(ref, test, limits().get(name, {}).get(self.cell.id, 0.0)) > 0
    self.comparison_traceback = []
    if wrong:
        for i, (a, b) in enumerate(zip_longest(fields(ref), fields(test))):
            if a != b:
                self.comparison_traceback += _shown(a, b, f"{name}-{self.cell.id}-{i}")
    return not wrong


def _shown(old, new, name: str) -> list[str]:
    """The lines that differ; of pictures, where both now lie."""
    folder = ROOT / "build" / "pictures"
    if not {kind for kind, _ in filter(None, (old, new))} & {"image/png"}:
        texts = ((part or ("", ""))[1].splitlines() for part in (old, new))
        return list(difflib.unified_diff(*texts, "stored", "new", lineterm="", n=0))
    folder.mkdir(parents=True, exist_ok=True)
    for part, which in ((old, "stored"), (new, "new")):
        if part and part[0] == "image/png":
            (folder / f"{name}-{which}.png").write_bytes(base64.b64decode(part[1]))
    return [f"The picture differs: see build/pictures/{name}-stored.png and -new.png"]


def execute_cell_input(self, cell_input, allow_stdin=None) -> str:
    """Run a cell as Jupyter does: with history, a trailing ``;`` silences it (nbval #194)."""
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


def pytest_terminal_summary(terminalreporter) -> None:
    """Say by which measure the notebooks were compared, where any was."""
    reports = [r for some in terminalreporter.stats.values() for r in some]
    if not any(".ipynb" in getattr(report, "nodeid", "") for report in reports):
        return
    within = "within the limits of results/spread.json: not the book's software or arithmetic"
    terminalreporter.write_line(
        f"Notebooks compared {'to the last digit and pixel' if exact() else within}."
    )


def pytest_configure(config) -> None:
    """Put the comparison in place."""
    nbval.kernel.RunningKernel.execute_cell_input = execute_cell_input
    nbval.plugin.IPyNbCell.compare_outputs = compare_outputs
