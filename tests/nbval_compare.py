"""Let nbval compare numbers as measurements: a pytest plugin.

nbval compares outputs letter by letter. Here words and whole numbers stay exact, numbers with a
decimal point may differ by a tolerance, and machine measurements (a number and its unit: ``2.9 s``,
``41,213 images/s``) are not compared at all. The tolerances are the ini options ``nbval_atol`` and
``nbval_rtol``, or a cell's own tags, ``nbval-atol=0.05`` and ``nbval-rtol=0.3``.
"""

from __future__ import annotations

import re

import nbval.kernel
import nbval.plugin

# "1.2 s", "3 min", "12 ms", "9,120 images/s", also in a table's cell; not "min 0.3" or "min(".
MACHINE = re.compile(
    r"(?<![\w.])\d[\d,]*(?:\.\d+)?[ \t]?(?:ms|s|min|images/s)\b(?!\(|[ \t:=]*[-+−]?[\d.])"
)
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*\.\d+(?:e[-+]?\d+)?(?!\w|\.\d)")
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")


def _normal(text: str) -> str:
    """Mask machine measurements and pictures; widths of columns depend on both, so fold blanks."""
    text = MACHINE.sub("MACHINE", PICTURE.sub("PICTURE", text))
    return re.sub(r"[ \t]+|-{3,}", " ", text)


def settle(reference: str, text: str, atol: float, rtol: float) -> tuple[str, str]:
    """Both texts as they are to be compared: `text` takes over each number that is near enough.

    Parameters
    ----------
    reference, text : str
        The stored output and the new one.
    atol, rtol : float
        A number may differ by ``atol + rtol * abs(stored)``.

    Returns
    -------
    reference, text : str
        Equal exactly if the outputs agree.
    """
    reference, text = _normal(reference), _normal(text)
    stored = NUMBER.findall(reference)
    if NUMBER.sub("\0", reference) != NUMBER.sub("\0", text):
        # A sign may come and go round zero, so "+0.001" and "-0.001" both count as numbers.
        return reference, text
    numbers = iter(stored)

    def nearest(match: re.Match) -> str:
        old = next(numbers)
        a, b = _value(old), _value(match.group())
        return old if abs(a - b) <= atol + rtol * abs(a) + 1e-9 else match.group()

    return reference, NUMBER.sub(nearest, text)


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("−", "-"))


def _fields(output: dict):
    """Where an output holds text: (container, key) pairs, stderr left out."""
    for key in ("stdout",):
        if isinstance(output.get(key), str):
            yield output, key
    for key, value in (output.get("data") or {}).items():
        if isinstance(value, str) and key.startswith("text/"):
            yield output["data"], key


def _tolerances(cell) -> tuple[float, float]:
    """The ini file's tolerances, overridden by tags of the cell."""
    found = {key: float(cell.config.getini(f"nbval_{key}")) for key in ("atol", "rtol")}
    for tag in cell.cell.metadata.get("tags", []):
        name, _, value = tag.removeprefix("nbval-").partition("=")
        if name in found:
            found[name] = float(value)  # a mistyped one must not pass for the default
    return found["atol"], found["rtol"]


_exact_comparison = nbval.plugin.IPyNbCell.compare_outputs
_streams = nbval.plugin.transform_streams_for_comparison


def compare_outputs(self, test, ref, skip_compare=None) -> bool:
    """nbval's comparison, after numbers that are near enough have been made equal."""
    test, ref = _plain(test), _plain(ref)
    if len(test) == len(ref):
        for new, old in zip(test, ref, strict=True):
            stored = {key: (where, where[key]) for where, key in _fields(old)}
            for where, key in _fields(new):
                if key in stored:
                    old_where, text = stored[key]
                    old_where[key], where[key] = settle(text, where[key], *_tolerances(self))
    nbval.plugin.transform_streams_for_comparison = list  # done already
    try:
        return _exact_comparison(self, test, ref, skip_compare)
    finally:
        nbval.plugin.transform_streams_for_comparison = _streams


def _plain(outputs) -> list[dict]:
    """Copies of the outputs with streams by name; stderr is never compared."""
    out = []
    for output in _streams(outputs):
        output = dict(output)
        if "data" in output:
            output["data"] = dict(output["data"])
        output.pop("stderr", None)
        if set(output) != {"output_type"}:
            out.append(output)
    return out


def execute_cell_input(self, cell_input, allow_stdin=None) -> str:
    """Run a cell as Jupyter does: with history, a trailing ``;`` silences it (nbval #194)."""
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


def pytest_addoption(parser) -> None:
    """The two ini options."""
    parser.addini("nbval_atol", "numbers in notebook outputs may differ by this", default="0.02")
    parser.addini("nbval_rtol", "… and by this share of the stored number", default="0")


def pytest_configure(config) -> None:
    """Put the tolerant comparison in place."""
    nbval.kernel.RunningKernel.execute_cell_input = execute_cell_input
    nbval.plugin.IPyNbCell.compare_outputs = compare_outputs
