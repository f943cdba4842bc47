"""What of the results is written into README.md, so that nobody types a number there."""

from pathlib import Path

import matplotlib.pyplot as plt

from embedlab.data.load import load_images
from embedlab.embedders import PCA
from embedlab.measure.scoreboard import stored_rows
from embedlab.search.exact import nearest
from embedlab.settings import ROOT, write_whole
from embedlab.show.plots import COLORS
from embedlab.show.tables import markdown, numbers

BEGIN, END = "<!-- scoreboard: embedlab scoreboard --readme -->", "<!-- end of scoreboard -->"


def with_scoreboard(text: str) -> str:
    """A README's text with the scoreboard of digits between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README.md must hold the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{markdown(numbers(stored_rows().values()))}\n{END}{after}"


def draw_search(path: Path) -> None:
    """README's picture: a digit and the nine test images nearest to it by PCA and cosine."""
    images, query = load_images("digits"), 136
    vectors = PCA(32).fit(images.train.x).transform(images.test.x)
    shown = [query, *nearest(vectors, 9, [query])[0]]
    figure, axes = plt.subplots(1, 10, figsize=(10, 1.35), layout="constrained")
    for i, (axis, image) in enumerate(zip(axes, images.test.x[shown, 0], strict=True)):
        axis.imshow(image, cmap="gray")
        axis.set(xticks=[], yticks=[], title="query" if i == 0 else "")
        axis.spines[:].set(visible=i == 0, color=COLORS[3], linewidth=3)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def write_readme() -> None:
    """Write the scoreboard into README.md, and draw its picture."""
    draw_search(ROOT / "docs" / "search.png")
    path = ROOT / "README.md"
    write_whole(path, with_scoreboard(path.read_text(encoding="utf-8")))
