"""One picture file, or one PIL image, as a viewer shows it: upright, RGB."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps


class UnreadablePicture(ValueError):
    """A file that is no picture, is damaged or too large to be safe; the message names it."""


def open_picture(
    file: str | Path | BinaryIO, draft: int | None = None, name: str | Path | None = None
) -> Image.Image:
    """The picture in a file as it is seen, RGB; of an animation the first frame.

    A JPEG may be decoded at half, a quarter or an eighth of its size, several times as fast, as
    long as both sides keep at least `draft` pixels. Errors speak of `name`, by default the file.
    :class:`UnreadablePicture` for what is no picture, and for one of more pixels than Pillow's
    ``Image.MAX_IMAGE_PIXELS``; Python's own errors for a file that is missing or may not be read.
    """
    name = str(file) if name is None else name
    try:
        with Image.open(file) as image:
            if draft is not None:
                image.draft("RGB", (draft, draft))
            most = Image.MAX_IMAGE_PIXELS
            if most and image.width * image.height > most:
                raise ValueError(f"{image.width}x{image.height} pixels, at most {most:,} are safe")
            return as_seen(image)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise  # they name the file and what is wrong
    except Exception as error:  # damaged files make decoders raise struct.error, RuntimeError ...
        why = str(error) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            why = "no format that Pillow knows"
        raise UnreadablePicture(f"{name} cannot be read as a picture: {why}.") from error


def as_seen(image: Image.Image) -> Image.Image:
    """A PIL image of any mode as RGB: turned as its EXIF says, what is transparent on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _grey8(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _grey8(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greys to 8 bits: Pillow's own conversion would clip them to white.

    White in 16 bits is 65,535, so that a dark picture stays dark; in the others, which have no
    fixed white, the least usual one that holds every value.
    """
    values = np.asarray(image, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the pixels are not all finite numbers")
    brightest = values.max(initial=0)
    whites = (65535,) if image.mode.startswith("I;16") else (1, 255, 65535, brightest)
    white = next(white for white in whites if brightest <= white)
    return Image.fromarray((values.clip(0) * (255 / white)).round().astype(np.uint8))
