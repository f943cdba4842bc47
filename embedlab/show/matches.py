"""What was found for a picture: names in a terminal, pictures in a notebook."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from embedlab.data.pictures import UnreadablePicture, open_picture
from embedlab.search.shards import Match
from embedlab.show.plots import image_grid

SIDE = 160  # of a shown picture, in pixels


class Matches(list):
    """The matches of a picture, best first, which a notebook shows as a grid."""

    def __init__(self, picture: str | Path, found: Sequence[Match]):
        super().__init__(found)
        self.picture = picture

    def __repr__(self) -> str:
        return "\n".join(
            f"{match.cosine:.3f}  {' = '.join(map(_short, match.paths))}" for match in self
        )

    def _ipython_display_(self) -> None:
        paths = [self.picture, *(match.paths[0] for match in self)]
        titles = ["query", *(f"{match.cosine:.3f}" for match in self)]
        names = ", ".join(f"{_short(m.paths[0])} at {m.cosine:.3f}" for m in self)
        image_grid(
            np.stack([_thumbnail(path) for path in paths]),
            f"{_short(self.picture)} and the nearest to it by cosine: {names}.",
            titles=[f"{t}\n{Path(p).name[-18:]}" for t, p in zip(titles, paths, strict=True)],
            columns=min(len(paths), 6),
            size=1.4,
        )


def _short(path: str | Path) -> str:
    """A path as seen from the current folder, if it is below it."""
    here = os.path.abspath(path)
    return os.path.relpath(here) if Path(here).is_relative_to(Path.cwd()) else str(path)


def _thumbnail(path: str | Path) -> np.ndarray:
    """A picture file as floats (3, SIDE, SIDE) in [0, 1], white around it; all grey if gone."""
    try:
        image = ImageOps.pad(open_picture(path, draft=SIDE), (SIDE, SIDE), color="white")
    except (OSError, UnreadablePicture):
        image = Image.new("RGB", (SIDE, SIDE), "lightgrey")
    return np.asarray(image, np.float32).transpose(2, 0, 1) / 255
