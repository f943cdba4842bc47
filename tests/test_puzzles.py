import numpy as np
import pytest

from embedlab.data import captions
from embedlab.data.captions import RELATIONS
from embedlab.data.load import load_images
from embedlab.data.scenes import compose, load_scenes
from embedlab.lessons.lesson_06.experiments import in_templates, withheld, words_shuffled
from embedlab.lessons.lesson_06.puzzles import (
    Puzzle,
    choice_accuracy,
    puzzles,
    zero_shot_accuracy,
)


@pytest.fixture(scope="module")
def scenes(digits):
    return load_scenes(digits, n=(50, 50, 400, 300))


@pytest.fixture(scope="module")
def lab(digits, scenes):
    return {p.about: p for p in puzzles(digits.test, scenes, n=120)}


class Oracle:
    """Knows each picture's caption: its space has an axis for each text."""

    def __init__(self, scenes, said):
        self.texts = {}
        self.said = {x.tobytes(): text for x, text in zip(scenes.x, said, strict=True)}

    def _vectors(self, texts):
        index = [self.texts.setdefault(t, len(self.texts)) for t in texts]
        return np.eye(5_000, dtype=np.float32)[index]

    def embed_text(self, texts):
        return self._vectors(texts)

    def embed_images(self, x):
        return self._vectors([self.said[picture.tobytes()] for picture in x])


class Blind(Oracle):
    """Sees no difference between any two things."""

    def _vectors(self, texts):
        return np.ones((len(texts), 2), np.float32)


def test_an_oracle_is_always_right_and_the_blind_at_chance(lab):
    assert len(lab) == 10
    for p in lab.values():
        true = [options[0] for options in p.options]
        assert choice_accuracy(Oracle(p.scenes, true), p).value == 1
        assert choice_accuracy(Blind(p.scenes, true), p).value == pytest.approx(p.chance)
        wrong = [options[-1] for options in p.options]
        assert choice_accuracy(Oracle(p.scenes, wrong), p).value == 0


def test_exactly_one_caption_is_true(lab):
    """As many captions each, all different, and the true one is the scene's own."""
    for p in lab.values():
        assert len({len(options) for options in p.options}) == 1
        assert all(len(set(options)) == len(options) for options in p.options)
        if p.about != "no ...":
            assert [options[0] for options in p.options] == p.scenes.captions.tolist()


def test_what_each_puzzle_asks(lab):
    def options(about):
        return lab[about].options[0], lab[about].scenes[:1]

    (true, false), _ = options("objects swapped")
    assert sorted(true.split()) == sorted(false.split()) or "an" in true + false
    relation, _ = options("which relation")
    assert {r for said in relation for r in RELATIONS if f" {r} " in said} == set(RELATIONS)
    (true, false), scene = options("a wrong object named")
    assert true.rsplit(" ", 2)[0] == false.rsplit(" ", 2)[0]
    assert lab["counts beyond"].scenes.count.min() == 5
    assert lab["counts as taught"].scenes.count.max() == 4
    (true, false), scene = options("no ...")
    assert captions.NUMBERS[scene.y[0]] in false
    assert captions.NUMBERS[scene.y[0]] not in true


def test_a_liking_for_one_sum_is_of_no_use(lab):
    """Each sum is as often the true caption as the wrong one."""
    for about in ("sums of pairs seen", "sums of unseen pairs"):
        true, false = np.array(lab[about].options).T
        np.testing.assert_array_equal(np.sort(true), np.sort(false))
        assert (true != false).all()


def test_unseen_puzzles_show_held_out_pairs_and_the_others_none(lab, scenes):
    held_out = {frozenset(p) for p in scenes.held_out}
    for about, p in lab.items():
        pairs = {frozenset(pair) for pair in p.scenes.objects[p.scenes.relation >= 0, :2].tolist()}
        assert pairs <= held_out if "unseen" in about else not pairs & held_out


def test_classes_that_are_no_numbers_have_no_sums():
    images = load_images("photo-crops")
    few = load_scenes(images, n=(20, 20, 20, 20))
    abouts = [p.about for p in puzzles(images.test, few, n=10)]
    assert "objects swapped" in abouts
    assert not any("sums" in about for about in abouts)


def test_zero_shot_accuracy_judges_the_two_and_the_count(digits, scenes):
    part = scenes.test
    out = zero_shot_accuracy(Oracle(part, part.captions), part, scenes.nouns)
    assert out["pairs"].value == out["counts"].value == 1
    swap = [
        captions.two(scenes.nouns[b], RELATIONS[r], scenes.nouns[a]) if k == "two" else said
        for k, (a, b), r, said in zip(
            part.kind, part.objects[:, :2], part.relation, part.captions, strict=True
        )
    ]
    assert zero_shot_accuracy(Oracle(part, swap), part, scenes.nouns)["pairs"].value == 1
    counted = compose(digits.test, scenes.nouns, 60, kinds=("several",))
    more = [
        captions.several(2 + n % 3, scenes.nouns[y])
        for n, y in zip(counted.count, counted.y, strict=True)
    ]
    assert zero_shot_accuracy(Oracle(counted, more), counted, scenes.nouns)["counts"].value == 0


def test_chance_is_one_over_the_number_of_captions(scenes):
    assert Puzzle("x", scenes.test[:1], (("a", "b", "c", "d"),)).chance == 0.25


def test_shuffled_words_are_the_same_words():
    said = np.array(["a seven left of a three", "two fives"] * 20)
    mixed = words_shuffled(said, 0)
    assert all(sorted(a.split()) == sorted(b.split()) for a, b in zip(said, mixed, strict=True))
    assert (mixed != said).mean() > 0.5
    np.testing.assert_array_equal(mixed, words_shuffled(said, 0))


def test_every_class_is_withheld_once(digits):
    pairs = [withheld(seed, digits) for seed in range(5)]
    assert sorted(c for pair in pairs for c in pair) == list(range(10))


def test_templates_of_a_class():
    assert in_templates(["eight"])[0] == [
        "an eight",
        "a picture of an eight",
        "this shows an eight",
        "i see an eight",
    ]
