"""The scoreboard as a table: on a page, in a terminal, in README, of the same columns."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd
from rich.table import Table
from rich.text import Text

from embedlab.measure.scoreboard import MEASURES, Row
from embedlab.measure.verdicts import NUMBERS

MARKS = {"labels": "*", "captions": "+"}  # in a terminal, where there is no room for words


def numbers(rows: Iterable[Row]) -> list[dict]:
    """What the tables show of rows, best mAP first, as JSON can hold it."""
    return [
        {
            "name": row.name,
            "dataset": row.dataset,
            "supervision": row.supervision,
            "length": row.n_components,
            "seeds": row.seeds,
            "measures": {
                key: [row.measures[key].value, *row.measures[key].interval()] for key in MEASURES
            },
        }
        for row in sorted(rows, key=lambda row: -row.map.value)
    ]


def _columns(entry: dict, written: Callable[[float, float, float], str]) -> dict:
    """What all three tables say of an entry of :func:`numbers`, by the column's title."""
    line = {"method": entry["name"], "labels?": entry["supervision"], "length": entry["length"]}
    measures = {title: written(*entry["measures"][key]) for key, title in MEASURES.items()}
    return line | measures


class Board(pd.DataFrame):
    """A table on a page that holds its numbers for a program too."""

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {NUMBERS: {"rows": self.attrs["rows"]}}


def table(rows: Iterable[Row], cost: bool = False) -> pd.DataFrame:
    """The scoreboard as a table, best mAP first; each measure as ``value [low, high]``.

    With `cost`, seconds to fit and images embedded a second too, which depend on the machine.
    """
    rows = sorted(rows, key=lambda row: -row.map.value)
    entries, lines = numbers(rows), []
    for row, entry in zip(rows, entries, strict=True):
        line = _columns(entry, "{:.3f} [{:.3f}, {:.3f}]".format)
        line["mean cosine"] = f"{row.mean_cosine:.3f}"
        if cost:
            line["fit"] = f"{row.fit_seconds:.1f} s"
            line["embeds"] = f"{row.images_per_second:,.0f} images/s"
        lines.append(line)
    board = Board(pd.DataFrame(lines).set_index("method") if lines else None)
    board.attrs["rows"] = entries
    return board


def markdown(entries: Sequence[dict]) -> str:
    """The scoreboard of :func:`numbers` as a Markdown table."""
    written = "**{:.2f}** <sub>{:.2f}–{:.2f}</sub>".format
    lines = [{**_columns(entry, written), "seeds": entry["seeds"]} for entry in entries]
    ruler = ["---", "---", "--:", *[":-:"] * len(MEASURES), "--:"]
    cells = [lines[0].keys(), ruler, *(line.values() for line in lines)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in cells)


def rich_table(entries: Sequence[dict], dataset: str) -> Table:
    """The scoreboard of :func:`numbers` for a terminal of eighty columns, a line a method."""
    legend = ", ".join(f"{mark}: {word}" for word, mark in MARKS.items())
    out = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, caption=legend)
    out.caption_justify = "left"
    written = lambda *three: "{} [dim]{}–{}[/dim]".format(*map(_short, three))  # noqa: E731
    for entry in entries:
        line = _columns(entry, written)
        name = line.pop("method") + MARKS.get(line.pop("labels?"), "")
        if not out.columns:
            out.add_column(one_line(dataset))
            for title in line:
                out.add_column(title, justify="right", no_wrap=True)
        out.add_row(one_line(name), *map(str, line.values()))
    return out


def one_line(text: str) -> Text:
    """Words that a narrow terminal cuts, not folds."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _short(share: float) -> str:
    """A number between 0 and 1 without its leading zero."""
    return f"{share:.2f}".removeprefix("0")
