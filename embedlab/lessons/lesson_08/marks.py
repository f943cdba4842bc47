"""Logo-like marks: a frame and a sign within it, in two colours; and what may befall a mark."""

import numpy as np
from scipy.ndimage import gaussian_filter

from embedlab.measure.intervals import Measure
from embedlab.search.exact import top_k

SIDE = 96  # pixels of the white sheet that a mark stands on
FINE = 4  # drawn so many times larger, then averaged, so that edges are smooth
RED, BLUE, GREEN, ORANGE = (0.78, 0.12, 0.18), (0.1, 0.27, 0.67), (0.0, 0.51, 0.31), (0.94, 0.55, 0)
LIVERIES = ((RED, BLUE), (BLUE, ORANGE), (GREEN, RED), (ORANGE, GREEN))  # of frame and sign

# How far out a point is: 1 on the frame's outer edge. x to the right, y downwards, -1 to 1.
FRAMES = {
    "disc": lambda x, y: np.hypot(x, y) / 0.92,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) / 0.85,
    "diamond": lambda x, y: (abs(x) + abs(y)) / 0.95,
    "hexagon": lambda x, y: np.maximum(abs(x), 0.5 * abs(x) + 0.866 * abs(y)) / 0.8,
    "barrel": lambda x, y: np.maximum(abs(x) / 0.8, np.hypot(0.75 * x, y) / 0.92),
}


def _star(rays: int):
    """Whether a point is in a star with one ray upwards."""
    return lambda x, y: np.hypot(x, y) * (1 - 0.45 * np.cos(rays * np.arctan2(x, -y))) < 0.55


def _ring_open(at):
    """Whether a point is in a ring with a gap where `at(x)` is positive."""
    ring = lambda x, y: abs(np.hypot(x, y) - 0.6) < 0.2  # noqa: E731
    return lambda x, y: ring(x, y) & ((at(x) < 0) | (abs(y) > 0.25))


# Whether a point is in the sign. They come in pairs that a careless eye takes for each other.
SIGNS = {
    "star of five": _star(5),
    "star of six": _star(6),
    "two bars": lambda x, y: (abs(x) < 0.75) & (abs(abs(y) - 0.35) < 0.2),
    "three bars": lambda x, y: (abs(x) < 0.75) & (abs(abs(abs(y) - 0.3) - 0.3) < 0.14),
    "open to the right": _ring_open(lambda x: x),
    "open to the left": _ring_open(lambda x: -x),
    "arrow up": lambda x, y: (abs(abs(x) - y - 0.3) < 0.28) & (abs(x) < 0.7),
    "arrow down": lambda x, y: (abs(abs(x) + y - 0.3) < 0.28) & (abs(x) < 0.7),
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.2) & (np.maximum(abs(x), abs(y)) < 0.75),
    "four dots": lambda x, y: np.hypot(abs(x) - 0.38, abs(y) - 0.38) < 0.26,
}


def draw_marks() -> tuple[np.ndarray, list[str]]:
    """All fifty marks, each frame with each sign.

    Returns
    -------
    (ndarray of float32, shape (50, 3, 96, 96), in [0, 1]; list of str)
        The marks on white, and their names.
    """
    along = (np.arange(SIDE * FINE) + 0.5) / (SIDE * FINE / 2) - 1
    x, y = np.meshgrid(along / 0.8, along / 0.8)  # a margin: models cut off the rim
    marks, names = [], []
    for i, (frame, out) in enumerate(FRAMES.items()):
        for j, (sign, inside) in enumerate(SIGNS.items()):
            frame_color, sign_color = LIVERIES[(i + j) % len(LIVERIES)]
            sheet = np.ones((*x.shape, 3))
            sheet[(out(x, y) < 1) & (out(x, y) > 0.82)] = frame_color
            sheet[inside(x / 0.55, y / 0.55)] = sign_color
            sheet = sheet.reshape(SIDE, FINE, SIDE, FINE, 3).mean(axis=(1, 3))
            marks.append(sheet.transpose(2, 0, 1))
            names.append(f"{sign} in a {frame}")
    return np.array(marks, np.float32), names


def blurred(marks: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    """Marks (N, 3, H, W) out of focus: a Gaussian of so many pixels."""
    return gaussian_filter(marks, (0, 0, sigma, sigma), mode="nearest")


def small(marks: np.ndarray, times: int = 2) -> np.ndarray:
    """Marks (N, 3, H, W) at a fraction of their size, in the corner of a sheet as large."""
    n, c, h, w = marks.shape
    out = np.ones_like(marks)
    reduced = marks.reshape(n, c, h // times, times, w // times, times).mean(axis=(3, 5))
    out[:, :, -(h // times) :, -(w // times) :] = reduced
    return out


def recoloured(marks: np.ndarray) -> np.ndarray:
    """Marks (N, 3, H, W) in other colours: red becomes green, green blue, and blue red."""
    return marks[:, [2, 0, 1]].copy()


CHANGES = {"blurred": blurred, "small": small, "in other colours": recoloured}


def found_first(changed: np.ndarray, marks: np.ndarray) -> Measure:
    """How often a changed mark's nearest by cosine is the mark itself, vectors (N, D) of both."""
    first = top_k(changed, marks, 1)[:, 0]
    return Measure.from_units("accuracy", "marks", image=first == np.arange(len(marks)))
