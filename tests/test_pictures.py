"""Files of every kind, drawn with PIL, against the colours that a viewer shows."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from embedlab.data.pictures import UnreadablePicture, as_seen, open_picture

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 160, 0), (0, 0, 255), (255, 255, 255)
COLORS = [RED, GREEN, BLUE, WHITE]  # top left, top right, bottom left, bottom right


def quarters(values=COLORS, size=(48, 32)) -> Image.Image:
    """Four fields, each of one colour or grey."""
    values = np.array(values, np.int32 if np.max(values) > 255 else np.uint8)
    x = values.reshape(2, 2, *values.shape[1:])
    x = x.repeat(size[1] // 2, axis=0).repeat(size[0] // 2, axis=1)
    return Image.fromarray(x)


def seen(image: Image.Image) -> np.ndarray:
    """The colour in the middle of each field, (4, 3)."""
    assert image.mode == "RGB"
    x = np.asarray(image, int)
    h, w = x.shape[:2]
    return np.array([x[i, j] for i in (h // 4, 3 * h // 4) for j in (w // 4, 3 * w // 4)])


def kinds():
    """Each kind of file: its name, the image, how it is saved, the colours seen, how nearly."""
    colour = quarters()
    grey, greys = quarters([0, 51, 204, 255]), [[g] * 3 for g in (0, 51, 204, 255)]
    deep = Image.fromarray(np.asarray(quarters([0, 13_107, 52_428, 65_535])).astype(np.uint16))
    glass = colour.copy()
    glass.putalpha(quarters([255, 255, 128, 0]))
    on_white = [RED, GREEN, (127, 127, 255), WHITE]
    hole = colour.convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
    frames = dict(save_all=True, append_images=[Image.new("RGB", colour.size, "black")])
    rgb = [(r, g, b) for r, g, b in COLORS]
    return {
        "plain.png": (colour, {}, rgb, 0),
        "plain.jpg": (colour, {"quality": 95}, rgb, 8),
        "plain.webp": (colour, {"lossless": True}, rgb, 0),
        "print.jpg": (colour.convert("CMYK"), {"quality": 95}, rgb, 8),
        "print.tif": (colour.convert("CMYK"), {}, rgb, 1),
        "palette.gif": (hole, {}, rgb, 1),
        "hole.png": (hole, {"transparency": hole.getpixel((1, 1))}, [WHITE, *rgb[1:]], 1),
        "grey.png": (grey, {}, greys, 0),
        "grey.jpg": (grey, {"quality": 95}, greys, 4),
        "deep.png": (deep, {}, greys, 0),
        "deep.tif": (deep, {}, greys, 0),
        "bits.png": (
            quarters([0, 255, 255, 0]).convert("1"),
            {},
            [[0] * 3, WHITE, WHITE, [0] * 3],
            0,
        ),
        "glass.png": (glass, {}, on_white, 1),
        "glass.webp": (glass, {"lossless": True}, on_white, 1),
        "moving.gif": (colour, frames, rgb, 1),
        "moving.webp": (colour, {**frames, "lossless": True}, rgb, 0),
        "moving.png": (colour, frames, rgb, 0),
    }


@pytest.mark.parametrize("name", kinds())
def test_each_kind_of_file_as_a_viewer_shows_it(name, tmp_path):
    image, options, colours, atol = kinds()[name]
    image.save(tmp_path / name, **options)
    np.testing.assert_allclose(seen(open_picture(tmp_path / name)), colours, atol=atol)
    with Image.open(tmp_path / name) as opened:
        np.testing.assert_array_equal(as_seen(opened), open_picture(tmp_path / name))


TURNS = {
    1: None,
    2: Image.FLIP_LEFT_RIGHT,
    3: Image.ROTATE_180,
    4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE,
    6: Image.ROTATE_90,  # a viewer turns it clockwise
    7: Image.TRANSVERSE,
    8: Image.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_a_picture_is_turned_as_its_exif_data_say(orientation, tmp_path):
    turn, exif = TURNS[orientation], Image.Exif()
    exif[0x0112] = orientation
    stored = quarters() if turn is None else quarters().transpose(turn)
    stored.save(tmp_path / "phone.png", exif=exif)
    picture = open_picture(tmp_path / "phone.png")
    assert picture.size == (48, 32)
    np.testing.assert_array_equal(seen(picture), COLORS)
    np.testing.assert_array_equal(as_seen(picture), picture)  # once: it is not turned again


def test_a_draft_of_a_jpeg_is_smaller_though_not_too_small(tmp_path):
    path = tmp_path / "large.jpg"
    quarters(size=(1_600, 800)).save(path, quality=95)
    sizes = {draft: open_picture(path, draft=draft).size for draft in (None, 900, 300, 200, 10)}
    assert sizes == {
        None: (1_600, 800),
        900: (1_600, 800),
        300: (800, 400),
        200: (400, 200),
        10: (200, 100),
    }
    np.testing.assert_allclose(seen(open_picture(path, draft=10)), COLORS, atol=8)


def test_bytes_are_opened_like_a_file_and_errors_speak_of_the_name_given(tmp_path):
    quarters().save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    np.testing.assert_array_equal(seen(open_picture(io.BytesIO(content))), COLORS)
    with pytest.raises(UnreadablePicture, match=r"^a\.png cannot be read as a picture: "):
        open_picture(io.BytesIO(content[:60]), name="a.png")


def spoiled(folder):
    """Files that are no pictures, by their names."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = {}
    for form in ("jpeg", "png", "tiff", "gif", "webp"):
        Image.fromarray(noise).save(folder / "whole", form)
        whole[form] = (folder / "whole").read_bytes()
    (folder / "whole").unlink()
    return {
        "empty.png": b"",
        "text.jpg": b"These are my holiday pictures, all of them.\n" * 20,
        **{f"half.{form}": content[: len(content) // 2] for form, content in whole.items()},
    }


@pytest.mark.parametrize("name", ["empty.png", "text.jpg", "half.jpeg", "half.png", "half.tiff"])
def test_what_is_no_picture_is_named(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(spoiled(tmp_path)[name])
    with pytest.raises(UnreadablePicture) as caught:
        open_picture(path)
    assert str(caught.value).startswith(f"{path} cannot be read as a picture: ")
    assert str(caught.value).count(str(path)) == 1


def test_missing_files_and_folders_give_pythons_own_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        open_picture(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        open_picture(tmp_path)


def huge_png(side: int) -> bytes:
    """A PNG that says it has `side` by `side` pixels, all black, in some hundred kilobytes."""

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    packer = zlib.compressobj(1)
    row = bytes(1 + side // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 20_000])  # Pillow only warns of the first
def test_a_picture_too_large_to_be_safe_is_refused_undecoded(side, tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(side))
    monkeypatch.setattr(Image.Image, "convert", None)  # nothing may get so far
    with pytest.raises(UnreadablePicture, match=rf"^{path} cannot be read as a picture: .*pixels"):
        open_picture(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_draft_makes_a_large_jpeg_safe(tmp_path, monkeypatch):
    quarters(size=(160, 120)).save(tmp_path / "large.jpg", quality=95)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UnreadablePicture, match="160x120 pixels, at most 10,000 are safe"):
        open_picture(tmp_path / "large.jpg")
    assert open_picture(tmp_path / "large.jpg", draft=60).size == (80, 60)


def test_pixels_that_are_no_numbers(tmp_path):
    Image.fromarray(np.float32([[0, np.nan]])).save(tmp_path / "nan.tif")
    with pytest.raises(UnreadablePicture, match="not all finite"):
        open_picture(tmp_path / "nan.tif")
