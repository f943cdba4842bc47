"""What of the results is written into README.md, so that nobody types a number there."""

from __future__ import annotations

from collections.abc import Iterable

from embedlab.scoreboard import MEASURES, Row, stored_rows
from embedlab.sources import ROOT

BEGIN, END = "<!-- scoreboard: embedlab scoreboard --readme -->", "<!-- end of scoreboard -->"


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
        used = "yes" if row.supervision == "labels" else "no"
        cells = [row.name, used, str(row.n_components), *cells, str(row.seeds)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_scoreboard(text: str) -> str:
    """A README's text with the scoreboard of digits between its two marks.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README.md must hold the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{markdown(stored_rows('digits').values())}\n{END}{after}"


def write_readme() -> None:
    """Write the scoreboard into README.md."""
    path = ROOT / "README.md"
    path.write_text(with_scoreboard(path.read_text(encoding="utf-8")), encoding="utf-8")
