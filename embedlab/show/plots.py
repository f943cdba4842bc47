"""Figures of the lessons: one style, colours that can be told apart, words for alt text."""

import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.decomposition import PCA

from embedlab.data.images import Split
from embedlab.measure.intervals import Measure
from embedlab.search.exact import nearest

# Okabe and Ito's palette for colour-blind eyes too, its yellow darkened; a grey and a violet.
COLORS = "#0072B2 #E69F00 #009E73 #D55E00 #CC79A7 #56B4E9 #C9B600 #000000 #999999 #7F3F98".split()


def use_style() -> None:
    """The course's matplotlib style."""
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "image.cmap": "gray",
        }
    )


def show(figure: plt.Figure, alt: str) -> None:
    """Display a figure with words for those who cannot see it, and close it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    display(Figure(buffer.getvalue(), alt))


class Figure:
    """A picture with alt text on a page; its alt text alone in a terminal."""

    def __init__(self, png: bytes, alt: str):
        self.png, self.alt = png, alt

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        # The page template takes the alt text from the metadata.
        data = {"image/png": self.png, "text/plain": f"Figure: {self.alt}"}
        return data, {"image/png": {"alt": self.alt}}


def image_grid(
    x: np.ndarray,
    alt: str,
    titles: Sequence[str] | None = None,
    columns: int = 10,
    frames: Sequence[str | None] | None = None,
    rows: Sequence[str] | None = None,
    size: float = 0.9,
    diverging: bool = False,
) -> None:
    """Show images (N, C, H, W) side by side.

    Parameters
    ----------
    x, alt
        The images, and what they show, in a sentence, for those who cannot see them.
    titles, rows
        A word above each image, and at the left of each row.
    columns, size
        Images in a row; inches of an image.
    frames
        Colour of a frame round each image, or None.
    diverging
        Draw the values, positive red and negative blue, white at zero, instead of pixels.
    """
    n_rows = -(-len(x) // columns)
    height = size + (0.22 if titles else 0)
    figure, axes = plt.subplots(
        n_rows, columns, figsize=(columns * size, n_rows * height), squeeze=False
    )
    for i, axis in enumerate(axes.flat):
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        for spine in axis.spines.values():
            spine.set_visible(False)
        if i >= len(x):
            continue
        picture = x[i].transpose(1, 2, 0).squeeze()
        if diverging:
            reach = np.abs(picture).max()
            axis.imshow(picture, cmap="RdBu_r", vmin=-reach, vmax=reach)
        else:
            axis.imshow(picture.clip(0, 1), vmin=0, vmax=1)
        if titles:
            axis.set_title(titles[i], fontsize=9, pad=3)
        if frames and frames[i]:
            for spine in axis.spines.values():
                spine.set(visible=True, color=frames[i], linewidth=3)
        if rows and i % columns == 0:
            axis.set_ylabel(rows[i // columns], rotation=0, ha="right", va="center", fontsize=9)
    show(figure, alt)


def filter_pictures(filters: np.ndarray, side: int) -> np.ndarray:
    """Filters (N, C * side ** 2) as pictures (N, C, side, side) in [0, 1], of float.

    Each is stretched to its own largest number; zero is grey.
    """
    reach = np.abs(filters).max(axis=1, keepdims=True)
    return (0.5 + 0.5 * filters / reach).reshape(len(filters), -1, side, side)


def token_colors(tokens: np.ndarray, patch_size: int) -> np.ndarray:
    """The first three principal components of tokens (N, T, D) as red, green and blue patches.

    The T patches are a square, row by row; each is drawn `patch_size` pixels wide. What comes out
    are pictures (N, 3, H, H) in [0, 1].
    """
    n, t, _ = tokens.shape
    three = PCA(3).fit_transform(tokens.reshape(n * t, -1))
    three = (three - three.min(axis=0)) / np.ptp(three, axis=0)
    side = round(t**0.5)
    colors = three.reshape(n, side, side, 3).transpose(0, 3, 1, 2)
    return colors.repeat(patch_size, axis=2).repeat(patch_size, axis=3)


def neighbours(
    vectors: np.ndarray, split: Split, queries: Sequence[int], names: Sequence[str], alt: str, k=9
) -> None:
    """Each query at the left, then its nearest neighbours by cosine, framed by right or wrong.

    The vectors (N, D) are of every image of `split`, the queries positions in it; `names` are of
    the classes, and `alt` says what it shows for those who cannot see it.
    """
    shown = np.column_stack([queries, nearest(vectors, k, queries)])
    same = split.y[shown] == split.y[shown[:, :1]]
    frames = np.where(same, COLORS[2], COLORS[3]).astype(object)
    frames[:, 0] = None
    image_grid(
        split.x[shown.ravel()],
        alt,
        titles=[names[label] for label in split.y[shown.ravel()]],
        columns=k + 1,
        frames=frames.ravel().tolist(),
    )


def scatter(v: np.ndarray, y: np.ndarray, names: Sequence[str], title: str, axis) -> None:
    """Vectors (N, 2) as points, coloured by class, each class named where it is densest.

    `y` (N,) are whole numbers, positions in `names`.
    """
    for label, name in enumerate(names):
        points = v[y == label]
        color = COLORS[label % len(COLORS)]
        axis.scatter(*points.T, s=16, alpha=0.75, color=color, linewidths=0)
        axis.annotate(
            name,
            np.median(points, axis=0),
            ha="center",
            va="center",
            weight="bold",
            bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": color, "alpha": 0.9},
        )
    axis.set(title=title, xticks=[], yticks=[])


def with_intervals(
    axis, x: Sequence[float], measures: Sequence[Measure], label: str, color: str, style: str = "-"
) -> None:
    """A curve of measures on an axis, with their 95% intervals as a band."""
    axis.plot(x, [m.value for m in measures], style, color=color, label=label, marker="o", ms=4)
    axis.fill_between(
        x, [m.low for m in measures], [m.high for m in measures], color=color, alpha=0.15, lw=0
    )


def points(measures: Sequence[Measure]) -> tuple[np.ndarray, np.ndarray]:
    """Values (N,) of measures, and how far their 95% intervals reach down and up, (2, N).

    So matplotlib's bars and points take them, as ``height`` and ``yerr``.
    """
    value = np.array([m.value for m in measures])
    return value, np.abs(np.array([[m.low, m.high] for m in measures]).T - value)


def bars(axis, names: Sequence[str], measures: Sequence[Measure], colors=None) -> None:
    """Horizontal bars of measures on an axis, with 95% intervals, the first at the top."""
    value, reach = points(measures)
    place = np.arange(len(names))[::-1]
    axis.barh(place, value, xerr=reach, color=colors or COLORS[0], alpha=0.85, capsize=3)
    axis.set_yticks(place, names)
    axis.grid(axis="y", visible=False)
