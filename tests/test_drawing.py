import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone

from embedlab.data.download import DataUnavailable
from embedlab.embedders import CLIP
from embedlab.lessons.lesson_06b import checkpoint, drawing
from embedlab.lessons.lesson_06b.checkpoint import load_drawing, save_drawing
from embedlab.lessons.lesson_06b.drawing import Painter, Prior
from embedlab.search.exact import normalize
from embedlab.training.augment import Affine

SMALL = dict(width=8, batch_size=16, epochs=25, lr=1e-2)


def two_pictures(n: int = 64):
    """Vectors of two directions, images white on the left or on the right, grey elsewhere."""
    y = np.arange(n) % 2
    vectors = np.eye(8, dtype=np.float32)[y]
    images = np.full((n, 1, 32, 32), 0.4, np.float32)
    images[y == 0, :, :, :16] = 1
    images[y == 1, :, :, 16:] = 1
    return vectors, images, y


@pytest.fixture(scope="module")
def painter():
    vectors, images, _ = two_pictures()
    return Painter(**SMALL, seed=0).fit(vectors, images)


@pytest.fixture(scope="module")
def prior():
    """Learns to turn each vector by one place."""
    rng = np.random.default_rng(0)
    texts = np.eye(8, dtype=np.float32)[rng.integers(8, size=1_000)]
    noisy = np.roll(texts, 1, axis=1) + 0.05 * rng.normal(size=texts.shape)
    return Prior(width=64, epochs=30, batch_size=50).fit(texts, normalize(noisy))


@pytest.fixture(scope="module")
def clip():
    _, images, y = two_pictures()
    said = np.where(y == 0, "a left", "a right")
    return CLIP(embed_dim=8, word_dim=8, num_heads=2, epochs=3, batch_size=16).fit(images, said)


def test_the_painter_draws_what_the_vector_says(painter):
    vectors, _, y = two_pictures(20)
    drawn = painter.draw(vectors)
    assert drawn.shape == (20, 1, 32, 32)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    left, right = drawn[..., :16].mean(axis=(1, 2, 3)), drawn[..., 16:].mean(axis=(1, 2, 3))
    assert np.mean((left < right) == (y == 1)) >= 0.9
    assert np.median(np.maximum(left, right)) == pytest.approx(1, abs=0.1)
    assert np.median(np.minimum(left, right)) == pytest.approx(0.4, abs=0.1)


def test_without_guidance_the_vector_is_not_heard(painter):
    vectors, *_ = two_pictures(2)
    a, b = painter.draw(vectors, guidance=0), painter.draw(vectors[::-1], guidance=0)
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_prior_learns_a_map(prior):
    texts = np.repeat(np.eye(8, dtype=np.float32), 5, axis=0)
    imagined = prior.imagine(texts)
    assert imagined.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(imagined, axis=1), 1, atol=1e-5)
    cosine = (imagined * np.roll(texts, 1, axis=1)).sum(axis=1)
    assert cosine.min() > 0.8
    assert len(np.unique(imagined.round(4), axis=0)) == len(texts)  # each made anew


def test_a_seed_gives_the_same_drawing_and_another_another(painter, prior):
    vectors, images, _ = two_pictures()
    again = clone(painter).fit(vectors, images)
    few = vectors[:4]
    assert np.array_equal(painter.draw(few, seed=3), again.draw(few, seed=3))
    assert not np.allclose(painter.draw(few, seed=3), painter.draw(few, seed=4), atol=1e-2)
    assert np.array_equal(prior.imagine(few, seed=3), prior.imagine(few, seed=3))
    assert not np.allclose(prior.imagine(few, seed=3), prior.imagine(few, seed=4), atol=1e-2)
    other = clone(painter).set_params(seed=1, epochs=1).fit(vectors, images)
    same = clone(painter).set_params(seed=0, epochs=1).fit(vectors, images)
    assert other.loss_curve_ != same.loss_curve_


def test_the_files_three_are_the_three_that_went_in(tmp_path, clip, prior, painter):
    path = tmp_path / "new" / "drawing.safetensors"
    save_drawing(path, clip, prior, painter)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    vectors, images, _ = two_pictures(6)
    clip2, prior2, painter2 = load_drawing(path)
    said = ["a left", "right", "a right left"]
    np.testing.assert_allclose(clip2.embed_text(said), clip.embed_text(said), atol=1e-2)
    np.testing.assert_allclose(clip2.embed_images(images), clip.embed_images(images), atol=1e-2)
    np.testing.assert_allclose(prior2.imagine(vectors), prior.imagine(vectors), atol=1e-2)
    np.testing.assert_allclose(painter2.draw(vectors), painter.draw(vectors), atol=1e-2)
    for old, new in zip((clip, prior, painter), (clip2, prior2, painter2), strict=True):
        assert new.get_params() == old.get_params()
        assert new.fit_seconds_ == old.fit_seconds_
        assert new.loss_curve_ == old.loss_curve_
        assert not new.network_.training
    assert clip2.scale_ == clip.scale_
    assert clip2.tokenizer_.vocabulary == clip.tokenizer_.vocabulary
    assert clip2.image_shape_ == painter2.image_shape_ == (1, 32, 32)


def test_statistics_are_kept_in_full(tmp_path, clip, prior, painter):
    save_drawing(tmp_path / "d", clip, prior, painter)
    stored = load_file(tmp_path / "d")
    full = clip.network_.state_dict()
    for name, weight in full.items():
        if "running" in name:
            assert torch.equal(stored[f"clip.{name}"], weight)
        elif weight.ndim > 1:
            assert stored[f"clip.{name}"].dtype == torch.float16


def test_numbers_of_numpy_and_views_can_be_kept(tmp_path, clip, prior, painter):
    """A seed from np.arange; views, of which is kept that there were any."""
    odd = copy.copy(painter).set_params(seed=np.int64(3))
    seen = copy.copy(clip).set_params(augment=(Affine(),), vocabulary=("up", "down"))
    save_drawing(tmp_path / "d", seen, prior, odd)
    clip2, _, painter2 = load_drawing(tmp_path / "d")
    assert painter2.seed == 3
    assert clip2.augment is True
    assert clip2.vocabulary == ("up", "down")


def test_the_three_of_the_course_fit_into_two_megabytes(tmp_path):
    """At the sizes that the classes have by default, whatever they have learned."""
    x = np.random.default_rng(0).uniform(size=(4, 1, 32, 32)).astype(np.float32)
    clip = CLIP(epochs=1).fit(x, ["a b", "c d", "e f", "g h"])
    v = clip.embed_images(x)
    path = tmp_path / "drawing.safetensors"
    save_drawing(path, clip, Prior(epochs=1).fit(v, v), Painter(epochs=1).fit(v, x))
    assert path.stat().st_size <= 2_000_000
    size = sum(p.numel() for p in Painter(epochs=1).fit(v, x).network_.parameters())
    assert size <= 500_000


def test_a_missing_a_broken_and_an_old_file_say_so(tmp_path, clip, prior, painter, monkeypatch):
    path = tmp_path / "d"
    with pytest.raises(DataUnavailable, match="does not exist"):
        load_drawing(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(DataUnavailable, match="cannot be read"):
        load_drawing(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(DataUnavailable, match="version None, not 1"):
        load_drawing(path)
    save_drawing(path, clip, prior, painter)
    monkeypatch.setattr(checkpoint, "VERSION", "2")
    with pytest.raises(DataUnavailable, match="version 1, not 2: embedlab checkpoint makes one"):
        load_drawing(path)


def test_three_that_do_not_belong_together_are_refused(tmp_path, clip, painter):
    v = normalize(np.random.default_rng(0).normal(size=(20, 4)))
    with pytest.raises(ValueError, match="8, 4 and 8 numbers: use one CLIP"):
        save_drawing(tmp_path / "d", clip, Prior(width=8, epochs=1).fit(v, v), painter)
    with pytest.raises(ValueError, match="not fitted"):
        save_drawing(tmp_path / "d", clip, Prior(), painter)


def test_bad_input_is_named():
    vectors, images, _ = two_pictures(8)
    with pytest.raises(ValueError, match="vectors must have length one, found 2 to 2"):
        Painter().fit(2 * vectors, images)
    with pytest.raises(ValueError, match="images are 7, vectors 8"):
        Painter().fit(vectors, images[:7])
    with pytest.raises(ValueError, match="images must lie in"):
        Painter().fit(vectors, images * 255)
    with pytest.raises(ValueError, match="32x32"):
        Painter().fit(vectors, images[..., :16, :16])
    with pytest.raises(ValueError, match="width=12 must be a multiple of 8"):
        Painter(width=12).fit(vectors, images)
    with pytest.raises(ValueError, match="epochs=0 must be"):
        Painter(epochs=0).fit(vectors, images)
    with pytest.raises(ValueError, match="lr=-1 must be"):
        Prior(lr=-1).fit(vectors, vectors)
    with pytest.raises(ValueError, match="image_vectors have 4 numbers each, 8 are needed"):
        Prior().fit(vectors, np.eye(4, dtype=np.float32)[[0] * 8])


def test_bad_questions_are_named(painter, prior):
    vectors, *_ = two_pictures(2)
    with pytest.raises(ValueError, match="steps=0 must be"):
        painter.draw(vectors, steps=0)
    with pytest.raises(ValueError, match="guidance=-1 must be"):
        prior.imagine(vectors, guidance=-1)
    with pytest.raises(ValueError, match="vectors have 4 numbers each, 8 are needed"):
        painter.draw(np.eye(4, dtype=np.float32))
    with pytest.raises(ValueError, match="text_vectors must have length one"):
        prior.imagine(3 * vectors)


def test_the_order_and_the_noise_come_from_the_seed_too(monkeypatch):
    """Not only the first weights, which alone make two seeds differ."""
    vectors, *_ = two_pictures(8)
    seen = []
    monkeypatch.setattr(drawing, "train", lambda *args, seed, **kwargs: seen.append(seed) or [0.0])
    Prior(seed=5).fit(vectors, vectors)
    assert seen == [5]


def test_an_interrupted_refit_looks_unfitted(painter, monkeypatch):
    vectors, images, _ = two_pictures(8)
    again = clone(painter).set_params(epochs=1).fit(vectors, images)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(drawing, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        again.fit(vectors, images)
    with pytest.raises(ValueError, match="not fitted"):
        again.draw(vectors)
