from itertools import combinations

import numpy as np
import pytest

from embedlab import load_images
from embedlab.data.images import SIDE
from embedlab.data.load import EMBEDDED
from embedlab.data.sets import photo_crops
from embedlab.data.sets.digits import all_digits, writer_of_digit


@pytest.mark.parametrize("name", EMBEDDED)
def test_all_sets_have_one_form(name):
    images = load_images(name)
    for split in (images.train, images.val, images.test):
        assert split.x.dtype == np.float32
        assert split.y.dtype == np.int64
        assert split.x.shape == (len(split.y), split.x.shape[1], SIDE, SIDE)
        assert split.x.shape[1] in (1, 3)
        assert split.x.min() >= 0
        assert split.x.max() <= 1
        assert set(split.y) == set(range(len(images.class_names)))
    assert images.name == name


@pytest.mark.parametrize("name", EMBEDDED)
def test_splits_are_the_same_each_time_and_share_no_image(name):
    a, b = load_images(name), load_images(name)
    np.testing.assert_array_equal(a.test.x, b.test.x)
    parts = [{image.tobytes() for image in s.x} for s in (a.train, a.val, a.test)]
    assert not any(part & other for part, other in combinations(parts, 2))


def test_digits_are_split_by_writer():
    images, digits, writer = load_images("digits"), all_digits(), writer_of_digit()
    assert len(writer) == len(digits) == 1_797
    assert [len(images.train), len(images.val), len(images.test)] == [1_029, 258, 510]
    np.testing.assert_array_equal(images.test.y, digits.y[np.isin(writer, [10, 11, 12, 13])])
    np.testing.assert_array_equal(images.val.y, digits.y[np.isin(writer, [8, 9])])


def test_writers_bounds_are_where_handwriting_changes():
    """Neighbours in the file of one class are more alike within a block than across its border."""
    digits, writer = all_digits(), writer_of_digit()
    within, across = [], []
    for label in range(10):
        index = np.flatnonzero(digits.y == label)
        gap = np.square(np.diff(digits.x[index], axis=0)).mean(axis=(1, 2, 3))
        border = np.diff(writer[index]) > 0
        within.append(gap[~border].mean())
        across.append(gap[border].mean())
    assert np.mean(across) > 1.2 * np.mean(within)


def test_photo_crops_are_crops_of_the_photographs():
    images = load_images("photo-crops")
    assert len(images.class_names) == len(photo_crops.PHOTOS) == 10
    assert images.train.x.shape == (1_000, 3, SIDE, SIDE)
    assert np.bincount(images.test.y).tolist() == [50] * 10
    grey = images.train.x[images.train.y == images.class_names.index("brick")]
    assert np.ptp(grey, axis=1).max() < 1e-6  # a grey photograph stays grey
    colour = images.train.x[images.train.y == images.class_names.index("coffee")]
    assert np.ptp(colour, axis=1).mean() > 0.1


def test_photo_crops_of_two_splits_share_no_pixel():
    """Train and test crops come from different blocks: paint each block, and look at the crops."""
    from PIL import Image
    from skimage import data

    photo = np.zeros((384, 512, 3), np.uint8)
    for row in range(6):
        for col in range(8):
            photo[row * 64 : row * 64 + 64, col * 64 : col * 64 + 64, 0] = 5 * (8 * row + col)
    photo[::2, :, 1] = 255  # stripes: a crop of one colour would be left out
    real = Image.Image.resize
    with pytest.MonkeyPatch.context() as patch:
        for name in photo_crops.PHOTOS:
            patch.setattr(data, name, lambda: photo)
        patch.setattr(Image.Image, "resize", lambda self, size, *a: real(self, size, Image.NEAREST))
        crops = photo_crops.load()
    splits = (crops.train, crops.val, crops.test)
    blocks = [set(np.unique(np.round(s.x[:, 0] * 255 / 5))) for s in splits]
    assert sum(map(len, blocks)) == len(set.union(*blocks)) == 48


def test_faces():
    images = load_images("faces")
    assert images.class_names == ("no face", "face")
    assert len(images.train) + len(images.val) + len(images.test) == 200
    assert np.bincount(images.test.y).tolist() == [30, 30]


def test_limit():
    small = load_images("digits", limit=(100, 20, 30))
    assert [len(small.train), len(small.val), len(small.test)] == [100, 20, 30]
    again = load_images("digits", limit=(100, 20, 30))
    np.testing.assert_array_equal(small.train.x, again.train.x)
    whole = load_images("digits", limit=(10**6, 10**6, 10**6))
    assert len(whole.train) == 1_029
    everyone = {x.tobytes() for x in load_images("digits").train.x}
    assert {x.tobytes() for x in small.train.x} <= everyone


@pytest.mark.parametrize("limit", [(1, 2), (0, 1, 1), (1, 1, -1), (1.5, 1, 1)])
def test_bad_limit(limit):
    with pytest.raises(ValueError, match="limit="):
        load_images("digits", limit=limit)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"name='mnist'.*'fashion-mnist'.*folder:PATH"):
        load_images("mnist")
