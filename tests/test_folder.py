"""Folders of images as people have them: every colour mode, and files that are no images."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedlab import load_images

RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 160, 0), (0, 0, 255), (255, 255, 0), (255,) * 3
# Of a picture's quarters: no turn or mirroring leaves them where they are.
COLORS = (RED, GREEN, BLUE, YELLOW)


def quarters(values=COLORS, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A picture whose quarters are plain: top left, top right, bottom left, bottom right."""
    width, height = size
    pixels = np.asarray(values)[np.array([[0, 1], [2, 3]])]
    pixels = pixels.repeat(height // 2, axis=0).repeat(width // 2, axis=1)
    return Image.fromarray(pixels if np.ndim(values) == 1 else pixels.astype(np.uint8))


def quarters_of(x: np.ndarray) -> np.ndarray:
    """The colours, 0 to 255, in the middle of each quarter of one loaded image: shape (4, C)."""
    return x[:, [8, 8, 24, 24], [8, 24, 8, 24]].T * 255


def palette_image(colours=COLORS) -> Image.Image:
    image = quarters(np.uint8([0, 1, 2, 3]))
    image.putpalette(np.ravel(colours).tolist())
    return image


def grey_with_alpha() -> Image.Image:
    image = quarters(np.uint8([0, 100, 200, 0]))
    image.putalpha(quarters(np.uint8([255, 255, 0, 127])))
    return image


def save(image: Image.Image, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def plain(folder: Path, n: int, colour=RED) -> None:
    """`n` images of nearly `colour`, no two alike."""
    for i in range(n):
        image = Image.new("RGB", (40, 40), colour)
        image.paste((10 + i, 20, 30), (0, 0, 20, 20))
        save(image, folder / f"{i:03}.png")


def two_classes(folder: Path, n: int = 3) -> None:
    for name in "ab":
        plain(folder / name, n)


def load(root: Path):
    """Load a folder that must give no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load_images(f"folder:{root}")


def parts(images):
    return images.train, images.val, images.test


def n_of_each_class(images) -> list[int]:
    return np.bincount(np.concatenate([split.y for split in parts(images)])).tolist()


def load_one(root: Path, image: Image.Image, file_name: str, **options) -> np.ndarray:
    """The pixels of an image that is saved and loaded in a folder with colours."""
    for split in ("train", "val"):
        two_classes(root / split, 1)
    plain(root / "test/b", 1)
    save(image, root / "test/a" / file_name, **options)
    images = load(root)
    assert images.test.y.tolist() == [0, 1]
    x = images.test.x
    assert x.shape == (2, 3, 32, 32)
    assert x.dtype == np.float32
    assert x.min() >= 0
    assert x.max() <= 1
    return x[0]


# Of each: the mode it is stored in, the picture, file, how it is saved, what is seen, how nearly.
CLEAR = [RED, GREEN, WHITE, YELLOW]
HALF = [RED, GREEN, (128, 128, 255), WHITE]
ALPHA = [(*RED, 255), (*GREEN, 0), (*BLUE, 127), (0, 0, 0, 0)]
COLORED = [
    ("RGB", quarters(), "image.png", {}, COLORS, 0.01),
    ("RGB", quarters(), "image.bmp", {}, COLORS, 0.01),
    ("RGB", quarters(), "image.webp", {"lossless": True}, COLORS, 0.01),
    ("RGB", quarters(), "image.tif", {}, COLORS, 0.01),
    ("RGB", quarters(), "image.jpg", {"quality": 95}, COLORS, 4),
    ("P", palette_image(), "palette.png", {}, COLORS, 0.01),
    ("P", palette_image(), "palette.gif", {}, COLORS, 0.01),
    ("P", palette_image(), "palette.tif", {}, COLORS, 0.01),
    ("P", palette_image(), "clear.png", {"transparency": 2}, CLEAR, 0.01),
    ("P", palette_image(), "clear.gif", {"transparency": 2}, CLEAR, 0.01),
    ("P", palette_image(), "half.png", {"transparency": b"\xff\xff\x7f\x00"}, HALF, 1),
    ("RGBA", quarters(ALPHA), "rgba.png", {}, [RED, WHITE, HALF[2], WHITE], 1),
    ("CMYK", quarters().convert("CMYK"), "print.jpg", {"quality": 95}, COLORS, 8),
]
STEPS = [0, 51, 204, 255]
GREYS = [(g, g, g) for g in STEPS]
BITS = np.uint8([0, 255, 255, 0])
DEEP = quarters(np.uint16([0, 10_000, 40_000, 65_535]))
GREY = [
    ("L", quarters(np.uint8(STEPS)), "grey.png", {}, STEPS, 0.01),
    ("L", quarters(np.uint8(STEPS)), "grey.jpg", {"quality": 95}, STEPS, 4),
    ("RGB", quarters(GREYS), "scan.png", {}, STEPS, 0.01),
    ("RGB", quarters(GREYS), "scan.jpg", {"quality": 95}, STEPS, 4),
    ("P", palette_image(GREYS), "palette.gif", {}, STEPS, 0.01),
    ("1", quarters(BITS).convert("1"), "bits.png", {}, BITS, 0.01),
    ("LA", grey_with_alpha(), "la.png", {}, [0, 100, 255, 128], 1),
    ("I;16", DEEP, "deep.png", {}, [0, 38.9, 155.6, 255], 0.6),
    ("I;16", quarters(np.uint16([0, 100, 200, 250])), "dark.png", {}, [0, 0, 1, 1], 0.01),
    ("I;16", DEEP, "deep.tif", {}, [0, 38.9, 155.6, 255], 0.6),
    ("I", quarters(np.int32([0, 13_107, 52_428, 65_535])), "scan1.tif", {}, STEPS, 0.6),
    ("I", quarters(np.int32(STEPS)), "scan2.tif", {}, STEPS, 0.6),
    ("F", quarters(np.float32([0, 0.2, 0.8, 1])), "scan3.tif", {}, STEPS, 0.6),
    ("F", quarters(np.float32(STEPS)), "scan4.tif", {}, STEPS, 0.6),
    ("F", quarters(np.float32([-7_000, 13_107, 52_428, 65_535])), "scan5.tif", {}, STEPS, 0.6),
    ("F", quarters(np.float32([0, 2e5, 8e5, 1e6])), "scan6.tif", {}, STEPS, 0.6),
]


@pytest.mark.parametrize("row", COLORED + GREY, ids=lambda row: f"{row[0]} {row[2]}")
def test_every_form_of_file(tmp_path, row):
    mode, image, file, options, seen, atol = row
    assert image.mode == mode
    x = quarters_of(load_one(tmp_path, image, file, **options))
    seen = seen if np.ndim(seen) == 2 else np.transpose([seen] * 3)
    np.testing.assert_allclose(x, seen, atol=atol)


def test_a_folder_of_greys_is_grey(tmp_path):
    """One channel, not three that say the same: of every form in which a file can be grey."""
    for split in ("train", "val", "test"):
        for name in "ab":
            for _, image, file, options, *_ in GREY:
                save(image, tmp_path / split / name / file, **options)
    images = load(tmp_path)
    seen = {file: (grey, atol) for _, _, file, _, grey, atol in GREY}
    for split in parts(images):
        assert split.x.shape == (2 * len(GREY), 1, 32, 32)
        assert split.x.dtype == np.float32
        assert split.x.flags.c_contiguous
        for x, file in zip(split.x, sorted(seen) * 2, strict=True):
            grey, atol = seen[file]
            np.testing.assert_allclose(quarters_of(x)[:, 0], grey, atol=atol)


@pytest.mark.parametrize("where", ["train/a", "val/b", "test/a"])
def test_one_picture_with_a_colour_makes_all_three_channels(tmp_path, where):
    for split in ("train", "val", "test"):
        for name in "ab":
            save(quarters(np.uint8(STEPS)), tmp_path / split / name / "grey.png")
    tinted = Image.new("RGB", (32, 32), WHITE)
    tinted.putpixel((5, 5), (255, 255, 254))
    save(tinted, tmp_path / where / "tinted.png")
    images = load(tmp_path)
    for split in parts(images):
        assert split.x.shape[1:] == (3, 32, 32)
        np.testing.assert_allclose(quarters_of(split.x[0]), GREYS, atol=0.01)


def test_greys_are_split_by_a_shuffle_like_colours(tmp_path):
    for name in "ab":
        for i in range(10):
            save(quarters(np.uint8([i, 85, 170, 255])), tmp_path / name / f"{i}.png")
    images = load(tmp_path)
    assert [len(split) for split in parts(images)] == [12, 4, 4]
    assert images.train.x.shape[1:] == (1, 32, 32)


@pytest.mark.parametrize(
    ("orientation", "turn"),  # 6: a viewer turns it by 90 degrees clockwise
    [(1, None), (3, Image.ROTATE_180), (6, Image.ROTATE_90), (8, Image.ROTATE_270)],
)
@pytest.mark.parametrize("size", [(96, 64), (1_200, 800)])  # the large one is decoded reduced
def test_exif_rotated(tmp_path, orientation, turn, size):
    upright = quarters(size=size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(turn) if turn is not None else upright
    x = load_one(tmp_path, stored, "phone.jpg", exif=exif, quality=95)
    np.testing.assert_allclose(quarters_of(x), COLORS, atol=8)


@pytest.mark.parametrize("size", [(120, 40), (40, 120), (1_800, 600)])
def test_the_centre_square_is_taken(tmp_path, size):
    """Green in the middle, red beyond: nothing is squeezed, and nothing red gets in."""
    image, side = Image.new("RGB", size, RED), min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    image.paste(GREEN, (left, top, left + side, top + side))
    x = load_one(tmp_path, image, "long.png")
    red, green, blue = x[:, 2:-2, 2:-2] * 255
    np.testing.assert_allclose(green, 160, atol=2)
    np.testing.assert_allclose([red, blue], 0, atol=2)  # 1 or 2 where Lanczos rings at an edge


def spoil(folder: Path) -> list[Path]:
    """Files that are not readable images; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = save(quarters(size=(320, 320)), folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    scan = quarters(np.float32([0, 1, 2, np.nan]))
    texture = save(quarters(), folder / "texture.dds").read_bytes()
    bad = {
        "empty.png": b"",
        "text.jpg": b"These are my holiday pictures, all of them.\n" * 20,
        "truncated.jpg": whole[: len(whole) // 2],
        "texture.dds": texture[:80] + b"\x90\0\0\0" + texture[84:],  # NotImplementedError
        "Thumbs.db": b"\0" * 300,
    }
    for name, body in bad.items():
        (folder / name).write_bytes(body)
    return [*(folder / name for name in bad), save(scan, folder / "nan.tif")]


def load_without(root: Path, bad: list[Path]):
    """Load a folder that must give one warning, which lists the bad files and no others."""
    with pytest.warns(UserWarning, match="^Left out") as caught:
        images = load_images(f"folder:{root}")
    (warning,) = caught
    assert warning.category is UserWarning
    assert warning.filename == __file__  # it points at the caller's line
    message = str(warning.message)
    assert [path for path in bad if str(path) in message] == bad
    assert f"({len(bad)})" in message
    assert not re.search(r"\d{3}\.png", message.replace(str(root), ""))
    return images


def test_unreadable_files_are_listed_in_one_warning_and_the_rest_loads(tmp_path):
    two_classes(tmp_path, 5)
    bad = spoil(tmp_path / "a") + spoil(tmp_path / "b/deeper")
    assert n_of_each_class(load_without(tmp_path, bad)) == [5, 5]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_one_warning_for_all_splits(tmp_path, split):
    for part in ("train", "val", "test"):
        two_classes(tmp_path / part, 2)
    images = load_without(tmp_path, spoil(tmp_path / "train/a") + spoil(tmp_path / split / "b"))
    assert [len(split) for split in parts(images)] == [4, 4, 4]


@pytest.mark.parametrize("side", [120, 300])  # Pillow only warns below twice its bound
def test_a_whole_image_past_pillows_bound_is_listed_and_not_decoded(tmp_path, monkeypatch, side):
    two_classes(tmp_path)
    large = save(quarters(size=(side, side)), tmp_path / "a/large.png")
    assert len(load(tmp_path).train) == 3  # it is a good image ...
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    assert len(load_without(tmp_path, [large]).train) == 2  # ... but too large


def test_pillows_remarks_on_damaged_metadata_are_not_passed_on(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a description " * 20
    damaged = exif.tobytes()[:-40]
    path = save(quarters(), tmp_path / "elsewhere.jpg", exif=damaged)
    with pytest.warns(UserWarning, match="Skipping tag"), Image.open(path) as image:
        image.getexif().get(0x010E)
    path.unlink()
    x = load_one(tmp_path, quarters(), "image.jpg", exif=damaged, quality=95)
    np.testing.assert_allclose(quarters_of(x), COLORS, atol=4)


def test_hidden_files_and_folders_are_ignored(tmp_path):
    root = tmp_path / ".cache/pictures"  # the way to the folder may be hidden
    plain(root / "a", 3)
    plain(root / "b", 3)
    plain(root / "a/more", 2, GREEN)
    plain(root / ".git", 3)
    plain(root / "a/.ipynb_checkpoints", 3)
    plain(root / "b/more/.thumbnails/small", 3)
    save(quarters(), root / "b/.hidden.png")
    (root / "b/._b.jpg").write_bytes(b"what a Mac leaves on a stick")
    (root / ".DS_Store").write_bytes(b"\0")
    (root / "README.txt").write_text("about these pictures")
    images = load(root)
    assert images.class_names == ("a", "b")
    assert n_of_each_class(images) == [5, 3]


def assert_refused(root: Path, *said, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error) as caught:
        load_images(f"folder:{root}")
    for part in said:
        assert str(part) in str(caught.value)


@pytest.mark.parametrize("only", [True, False])
@pytest.mark.parametrize("name", ["a-broken", "a-empty"])
def test_a_class_without_a_readable_image(tmp_path, name, only):
    (tmp_path / name).mkdir()
    if name == "a-broken":
        spoil(tmp_path / name)
    if only:
        spoil(tmp_path / "b")
    else:
        two_classes(tmp_path)
    assert_refused(tmp_path, tmp_path / name, "no readable image")


@pytest.mark.parametrize(("part", "n", "needed"), [("", 2, 3), ("train", 1, 2)])
def test_too_few_readable_images(tmp_path, part, n, needed):
    two_classes(tmp_path / part, 9)
    plain(tmp_path / part / "few", n)
    spoil(tmp_path / part / "few")
    if part:
        for name in ("a", "b", "few"):
            plain(tmp_path / "test" / name, 4)
    assert_refused(tmp_path, tmp_path / part / "few", f"({n}): at least {needed} are needed")


def test_what_is_no_folder(tmp_path):
    for path in (tmp_path / "nowhere", save(quarters(), tmp_path / "image.png")):
        assert_refused(path, path, error=FileNotFoundError)


@pytest.mark.parametrize("classes", [[], ["only"]])
def test_fewer_than_two_classes(tmp_path, classes):
    save(quarters(), tmp_path / "loose.png")
    for name in classes:
        plain(tmp_path / name, 5)
    assert_refused(tmp_path, tmp_path, "at least two class folders", classes)


def images_in(split) -> set[bytes]:
    return {x.tobytes() for x in split.x}


def test_a_fixed_split_of_each_class(tmp_path):
    for name, n, colour in (("a", 10, RED), ("b", 20, GREEN), ("c", 3, BLUE)):
        plain(tmp_path / name, n, colour)
    images, again = load(tmp_path), load(tmp_path)
    assert images.class_names == ("a", "b", "c")
    assert images.name == f"folder:{tmp_path}"
    counts = [np.bincount(split.y).tolist() for split in parts(images)]
    assert counts == [[6, 12, 1], [2, 4, 1], [2, 4, 1]]  # 60 / 20 / 20
    assert len(set.union(*map(images_in, parts(images)))) == 33  # disjoint, and none is lost
    for split, other in zip(parts(images), parts(again), strict=True):
        np.testing.assert_array_equal(split.x, other.x)
        np.testing.assert_array_equal(split.y, other.y)
        assert split.x.dtype == np.float32
        assert split.y.dtype == np.int64
        corner = split.x[:, :, -1, -1] * 255
        np.testing.assert_allclose(corner, np.array([RED, GREEN, BLUE])[split.y])  # true labels
    assert images.test.x[0, 0, 0, 0] * 255 != pytest.approx(10)  # shuffled: not the first files


SIZES = {"train": 5, "val": 2, "test": 3}


@pytest.mark.parametrize("made", [("train", "val", "test"), ("train", "test")])
def test_splits_made_by_hand_are_kept(tmp_path, made):
    colours = {"train": RED, "val": GREEN, "test": BLUE}
    for part in made:
        for name in ("cat", "dog"):
            plain(tmp_path / part / name, SIZES[part], colours[part])
    images = load(tmp_path)
    assert images.class_names == ("cat", "dog")
    sizes = [SIZES[p] for p in colours] if "val" in made else [4, 1, 3]  # a fifth of train
    for part, split, n in zip(colours, parts(images), sizes, strict=True):
        assert np.bincount(split.y).tolist() == [n, n]
        source = part if part in made else "train"
        corner = split.x[:, :, -1, -1] * 255
        np.testing.assert_allclose(corner, [colours[source]] * (2 * n))
    if "val" not in made:
        assert not images_in(images.train[images.train.y == 0]) & images_in(
            images.val[images.val.y == 0]
        )


@pytest.mark.parametrize("other", ["val", "test"])
@pytest.mark.parametrize("classes", [("a", "c"), ("a",), ("a", "b", "c")])
def test_splits_by_hand_with_other_classes(tmp_path, other, classes):
    for part in ("train", "val", "test"):
        for name in classes if part == other else ("a", "b"):
            plain(tmp_path / part / name, 2)
    assert_refused(tmp_path, tmp_path / other, tmp_path / "train")


@pytest.mark.parametrize(
    "made",
    [("train", "val"), ("train", "valid"), ("train", "test", "validation"), ("test", "val")],
)
def test_splits_are_not_taken_for_classes(tmp_path, made):
    """A test set learnt as the class 'test' would give figures that mean nothing."""
    for part in made:
        two_classes(tmp_path / part)
    assert_refused(tmp_path, tmp_path, sorted(made))


def test_train_can_be_a_class(tmp_path):
    for name in ("car", "plane", "train"):
        plain(tmp_path / name, 3)
    assert load(tmp_path).class_names == ("car", "plane", "train")
