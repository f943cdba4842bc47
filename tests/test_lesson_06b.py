"""Flow matching, the painter and the prior, the file they lie in, and what lesson 06b measures."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone

from embedlab.data.download import DataUnavailable
from embedlab.data.scenes import compose, load_scenes
from embedlab.embedders import CLIP
from embedlab.embedders.shared import network
from embedlab.lessons.lesson_06b import checkpoint
from embedlab.lessons.lesson_06b.checkpoint import load_drawing, save_drawing
from embedlab.lessons.lesson_06b.drawing import Painter, Prior
from embedlab.lessons.lesson_06b.experiments import (
    CHECKPOINT,
    asked,
    draw_captions,
    drawing_accuracy,
)
from embedlab.lessons.lesson_06b.flow import flow_loss, sample
from embedlab.lessons.lesson_06b.judges import QUESTIONS, train_classifier
from embedlab.search.exact import normalize
from embedlab.training.augment import Affine
from embedlab.training.draws import normal

SMALL = dict(width=8, batch_size=16, epochs=25, lr=1e-2)

# --- flow matching ------------------------------------------------------------------------------


def seed(n: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(n)


def to_point(point: torch.Tensor):
    """The exact velocity where every x is the same point: (point - x_t) / (1 - t)."""

    def velocity(x, t, condition):
        return (point - x) / (1 - t).reshape(-1, *[1] * (x.ndim - 1))

    return velocity


@pytest.mark.parametrize("shape", [(5,), (2, 4, 4)])
def test_the_exact_velocity_has_no_loss_and_another_has(shape):
    point = torch.randn(shape, generator=seed(1))
    x, condition = point.expand(64, *shape), torch.ones(64, 3)
    assert flow_loss(to_point(point), x, condition, seed()) < 1e-4
    assert flow_loss(to_point(point + 1), x, condition, seed()) > 0.5


def test_the_way_starts_at_noise_and_ends_at_x():
    seen = {}

    def watch(x_t, t, condition):
        seen.update(x=x_t, t=t)
        return torch.zeros_like(x_t)

    x = torch.full((4_000, 3), 7.0)
    loss = flow_loss(watch, x, torch.ones(4_000, 1), seed())
    late, early = seen["t"] > 0.99, seen["t"] < 0.05
    assert seen["x"][late].mean() == pytest.approx(7, abs=0.2)
    assert seen["x"][early].mean() == pytest.approx(0.175, abs=0.2)
    assert seen["x"][early].std() == pytest.approx(1, abs=0.2)
    # Of no velocity at all the error is that of x - noise: 7 ** 2 + 1.
    assert loss == pytest.approx(50, abs=1)
    assert seen["t"].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("drop", [0.0, 0.3, 1.0])
def test_so_many_conditions_are_dropped_and_the_others_left(drop):
    seen = []

    def watch(x_t, t, condition):
        seen.append(condition)
        return x_t

    given = torch.randn(2_000, 4, generator=seed(2))
    flow_loss(watch, torch.zeros(2_000, 3), given, seed(), drop=drop)
    dropped = (seen[0] == 0).all(dim=1)
    assert dropped.float().mean() == pytest.approx(drop, abs=0.03)
    assert torch.equal(seen[0][~dropped], given[~dropped])


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4)])
@pytest.mark.parametrize("steps", [1, 7])
def test_sampling_arrives_at_the_point(shape, steps):
    """The ways to one point are straight: however few the steps, and never asked at t = 1."""
    point = torch.randn(shape, generator=seed(1))
    made = sample(to_point(point), torch.ones(6, 3), shape, steps, 1.0, seed())
    assert torch.allclose(made, point.expand(6, *shape), atol=1e-4)


@pytest.mark.parametrize(
    ("velocity", "steps", "made_of"),
    [
        (lambda x, t, c: 2 * t[:, None].expand_as(x), 4, lambda noise: noise + 1),
        (lambda x, t, c: x, 1, lambda noise: 2.5 * noise),  # x (1 + 1 + 1/2)
    ],
    ids=["dx/dt = 2t", "dx/dt = x"],
)
def test_a_step_goes_by_what_is_seen_half_a_step_ahead(velocity, steps, made_of):
    """The velocity at the beginning of each step would fall short."""
    made = sample(velocity, torch.ones(3, 1), (2,), steps, 1, seed())
    assert torch.allclose(made, made_of(normal((3, 2), seed())), atol=1e-5)


@pytest.mark.parametrize(("guidance", "moved"), [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)])
def test_guidance_goes_from_without_the_condition_through_with_it_beyond(guidance, moved):
    def velocity(x, t, condition):  # 1 without the condition, 3 with it
        return torch.ones_like(x) + condition

    made = sample(velocity, torch.full((3, 1), 2.0), (2,), 3, guidance, seed())
    noise = normal((3, 2), seed())
    assert torch.allclose(made, noise + moved, atol=1e-5)


# --- painter and prior -------------------------------------------------------------------------


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
    painter = Painter(epochs=1).fit(v, x)
    save_drawing(path, clip, Prior(epochs=1).fit(v, v), painter)
    assert path.stat().st_size <= 2_000_000
    assert sum(p.numel() for p in painter.network_.parameters()) <= 500_000


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


VECTORS, IMAGES, _ = two_pictures(8)
OTHERS = np.eye(4, dtype=np.float32)[[0] * 8]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: Painter().fit(2 * VECTORS, IMAGES), "vectors must have length one, found 2 to 2"),
        (lambda: Painter().fit(VECTORS, IMAGES[:7]), "images are 7, vectors 8"),
        (lambda: Painter().fit(VECTORS, IMAGES * 255), "images must lie in"),
        (lambda: Painter().fit(VECTORS, IMAGES[..., :16, :16]), "32x32"),
        (lambda: Painter(width=12).fit(VECTORS, IMAGES), "width=12 must be a multiple of 8"),
        (lambda: Painter(epochs=0).fit(VECTORS, IMAGES), "epochs=0 must be"),
        (lambda: Prior(lr=-1).fit(VECTORS, VECTORS), "lr=-1 must be"),
        (lambda: Prior().fit(VECTORS, OTHERS), "image_vectors have 4 numbers each, 8 are needed"),
    ],
)
def test_bad_input_is_named(ask, words):
    with pytest.raises(ValueError, match=words):
        ask()


def test_bad_questions_are_named(painter, prior):
    with pytest.raises(ValueError, match="steps=0 must be"):
        painter.draw(VECTORS, steps=0)
    with pytest.raises(ValueError, match="guidance=-1 must be"):
        prior.imagine(VECTORS, guidance=-1)
    with pytest.raises(ValueError, match="vectors have 4 numbers each, 8 are needed"):
        painter.draw(OTHERS)
    with pytest.raises(ValueError, match="text_vectors must have length one"):
        prior.imagine(3 * VECTORS)


def test_the_order_and_the_noise_come_from_the_seed_too(monkeypatch):
    """Not only the first weights, which alone make two seeds differ."""
    seen = []
    monkeypatch.setattr(network, "train", lambda *args, seed, **kwargs: seen.append(seed) or [0.0])
    Prior(seed=5).fit(VECTORS, VECTORS)
    assert seen == [5]


def test_an_interrupted_refit_looks_unfitted(painter, monkeypatch):
    again = copy.copy(painter)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(network, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        again.fit(VECTORS, IMAGES)
    with pytest.raises(ValueError, match="not fitted"):
        again.draw(VECTORS)


# --- what the lesson measures -------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes(digits):
    return load_scenes(digits, n=(20, 20, 300, 20))


@pytest.fixture(scope="module")
def judge(digits):
    return train_classifier(digits, n=2_000, epochs=3)


@pytest.mark.parametrize("kind", list(QUESTIONS))
def test_a_judge_is_asked_what_a_scene_shows(kind, digits, scenes):
    some = compose(digits.test, scenes.nouns, 200, kinds=(kind,), seed=3)
    answer = QUESTIONS[kind](some)
    assert len(answer) == 200
    if kind == "two":
        tens, ones = divmod(answer, 10)
        assert (tens < ones).all()
    else:
        assert answer.max() == (9 if kind == "one" else 4)


def test_a_judge_tells_real_pictures_from_others(judge, scenes):
    assert 0.5 < judge.ceiling.value < 1
    part = asked(scenes, "one", 80)
    assert judge.right(part.x, part.y).value > 0.5
    assert judge.right(part.x, (part.y + 1) % 10).value < 0.3
    noise = np.random.default_rng(0).random((80, 1, 32, 32), dtype=np.float32)
    assert judge.right(noise, part.y).value < 0.4


def test_the_stored_painter_draws_what_is_asked(judge, digits):
    clip, prior, painter = load_drawing(CHECKPOINT)
    said = ["a seven", "three fours"]
    x = draw_captions(clip, prior, painter, said)
    assert x.shape == (2, 1, 32, 32)
    assert 0 <= x.min() < x.max() <= 1
    np.testing.assert_array_equal(x, draw_captions(clip, prior, painter, said))
    assert drawing_accuracy(judge, clip, prior, painter, digits).value > 0.5
    assert drawing_accuracy(judge, clip, prior, painter, digits, guidance=0).value < 0.3


def test_the_checkpoint_is_small():
    assert CHECKPOINT.stat().st_size <= 2_000_000
