"""The scoreboard as a table: on a page, in a terminal, in README."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from rich.table import Table
from rich.text import Text

from embedlab.measure.scoreboard import MEASURES, Row


def table(rows: Iterable[Row], cost: bool = False) -> pd.DataFrame:
    """The scoreboard as a table, best mAP first.

    Parameters
    ----------
    rows : iterable of Row
    cost : bool
        Add seconds to fit and images embedded a second, which depend on the machine.

    Returns
    -------
    pandas.DataFrame
        One line an embedder; each measure as ``value [low, high]``.
    """
    lines = []
    for row in sorted(rows, key=lambda row: -row.map.value):
        line = {"method": row.name, "labels?": row.supervision, "length": row.n_components}
        for key, title in MEASURES.items():
            line[title] = str(row.measures[key])
        line["mean cosine"] = f"{row.mean_cosine:.3f}"
        if cost:
            line["fit"] = f"{row.fit_seconds:.1f} s"
            line["embeds"] = f"{row.images_per_second:,.0f} images/s"
        lines.append(line)
    return pd.DataFrame(lines).set_index("method") if lines else pd.DataFrame()


def markdown(rows: Iterable[Row]) -> str:
    """The scoreboard as a Markdown table, best mAP first.

    Parameters
    ----------
    rows : iterable of Row

    Returns
    -------
    str
    """
    lines = [
        "| method | labels | length | " + " | ".join(MEASURES.values()) + " | seeds |",
        "|---|---|--:|" + ":-:|" * len(MEASURES) + "--:|",
    ]
    for row in sorted(rows, key=lambda row: -row.map.value):
        cells = [
            f"**{m.value:.2f}** <sub>{m.low:.2f}–{m.high:.2f}</sub>"
            for m in (row.measures[key] for key in MEASURES)
        ]
        used = {"labels": "yes", "none": "no"}.get(row.supervision, row.supervision)
        cells = [row.name, used, str(row.n_components), *cells, str(row.seeds)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rich_table(rows: list[Row], dataset: str) -> Table:
    """The scoreboard for a terminal of eighty columns, a line a method.

    Parameters
    ----------
    rows : list of Row
    dataset : str

    Returns
    -------
    rich.table.Table
        Best mAP first; each value with its 95% interval, and a star where labels were used.
    """
    out = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column(_one_line(f"{dataset} (*: with labels)"))
    for title in ("length", *MEASURES.values()):
        out.add_column(title, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: -row.map.value):
        measures = [row.measures[key] for key in MEASURES]
        out.add_row(
            _one_line(row.name + "*" * (row.supervision == "labels")),
            str(row.n_components),
            *(f"{_short(m.value)} [dim]{_short(m.low)}–{_short(m.high)}[/dim]" for m in measures),
        )
    return out


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _short(share: float) -> str:
    """A number between 0 and 1 without its leading zero."""
    return f"{share:.2f}".removeprefix("0")
