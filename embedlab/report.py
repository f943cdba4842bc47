"""What of the results is written into README.md, so that nobody types a number there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt

from embedlab.embedders import PCA
from embedlab.evaluate import nearest
from embedlab.images import load_images
from embedlab.plots import COLOURS
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
        used = {"labels": "yes", "none": "no"}.get(row.supervision, row.supervision)
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


def draw_search(path: Path) -> None:
    """README's picture: a digit and the nine test images nearest to it by PCA and cosine.

    Parameters
    ----------
    path : pathlib.Path
        Of the PNG file.
    """
    images, query = load_images("digits"), 136
    vectors = PCA(32).fit(images.train.x).transform(images.test.x)
    shown = [query, *nearest(vectors, 9, [query])[0]]
    figure, axes = plt.subplots(1, 10, figsize=(10, 1.35), layout="constrained")
    for i, (axis, image) in enumerate(zip(axes, images.test.x[shown, 0], strict=True)):
        axis.imshow(image, cmap="gray")
        axis.set(xticks=[], yticks=[], title="query" if i == 0 else "")
        axis.spines[:].set(visible=i == 0, color=COLOURS[3], linewidth=3)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def write_readme() -> None:
    """Write the scoreboard into README.md, and draw its picture."""
    draw_search(ROOT / "docs" / "search.png")
    path = ROOT / "README.md"
    path.write_text(with_scoreboard(path.read_text(encoding="utf-8")), encoding="utf-8")
