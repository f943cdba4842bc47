"""Puzzles, matching, and what lesson 06 measures; its cells on a real CLIP, run with a tiny one."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from embedlab import show_source
from embedlab.data import captions
from embedlab.data.captions import RELATIONS
from embedlab.data.load import load_images
from embedlab.data.scenes import compose, load_scenes
from embedlab.embedders import CLIP
from embedlab.lessons.lesson_06.experiments import (
    evaluate_clip,
    in_templates,
    scans_named,
    single,
    withheld,
    withheld_row,
    words_shuffled,
)
from embedlab.lessons.lesson_06.matching import close_gap, modality_gap, recall_at, recalls
from embedlab.lessons.lesson_06.puzzles import (
    choice_accuracy,
    puzzles,
    zero_shot_accuracy,
)
from embedlab.search.exact import nearest, top_k
from embedlab.show.plots import show
from tests.test_pretrained_clip import save_tiny

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "06_clip.ipynb"


@pytest.fixture(scope="module")
def scenes(digits):
    return load_scenes(digits, n=(3_000, 20, 400, 300))


# --- puzzles ------------------------------------------------------------------------------------


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


# --- matching -----------------------------------------------------------------------------------


def test_of_equals_the_first_comes_first_and_none_finds_itself():
    gallery = np.array([[0, 1], [2, 2], [1, 1], [3, 3], [1, 0.9]])
    assert top_k(gallery[2:3], gallery, 4).tolist() == [[1, 2, 3, 4]]
    assert nearest(gallery, 3, [2]).tolist() == [[1, 3, 4]]
    np.testing.assert_array_equal(nearest(gallery, 2)[[0, 2]], nearest(gallery, 2, [0, 2]))


def test_recall_counts_queries_with_a_match():
    gallery = np.eye(4)
    queries = np.array([[1, 0.5, 0, 0], [0, 0.4, 1, 0.6], [0.1, 0.2, 0.3, 1]])
    same = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]], bool)
    assert recall_at(1, queries, gallery, same).tolist() == [1, 0, 0]
    assert recall_at(2, queries, gallery, same).tolist() == [1, 1, 0]
    assert recall_at(4, queries, gallery, same).tolist() == [1, 1, 1]


def test_lengths_do_not_matter(rng):
    a, b = rng.normal(size=(2, 30, 5))
    same = np.eye(30, dtype=bool)
    longer = a * rng.uniform(0.1, 9, (30, 1))
    np.testing.assert_array_equal(recall_at(3, a, b, same), recall_at(3, longer, b, same))


def test_equal_captions_are_matches_and_pools_are_separate(rng):
    image = np.tile(np.eye(10), (2, 1))
    text = image[::-1]  # the partner is never the nearest but for captions that are equal
    same_caption = np.array(["x"] * 20)
    out = recalls(image, text, same_caption, ks=(1,), pool=10)
    assert out["image to text @1"].value == out["text to image @1"].value == 1
    other = np.array([str(i) for i in range(20)])
    assert recalls(image, text, other, ks=(1,), pool=10)["image to text @1"].value == 0
    # In one pool of twenty each vector is there twice: its copy is found, not its partner.
    assert (
        len(recalls(image, text, other, ks=(1,), pool=7)["text to image @1"].effects["image"]) == 14
    )


def test_chance_is_the_share_looked_at(rng):
    image, text = rng.normal(size=(2, 2_000, 16))
    out = recalls(image, text, np.arange(2_000).astype(str), ks=(1, 5))
    assert out["image to text @1"].value == pytest.approx(0.01, abs=0.01)
    assert out["text to image @5"].value == pytest.approx(0.05, abs=0.02)


def test_the_gap_is_the_distance_of_the_means_and_closes(rng):
    a, b = rng.normal(size=(2, 500, 8)) * 0.3
    a[:, 0] += 1
    b[:, 0] -= 1
    a, b = close_gap(a, np.zeros(8)), close_gap(b, np.zeros(8))
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1, rtol=1e-5)
    assert 1.5 < modality_gap(a, b) < 2
    assert modality_gap(close_gap(a, a.mean(0)), close_gap(b, b.mean(0))) < 0.2


def test_bad_input_is_named(rng):
    v = rng.normal(size=(4, 3))
    with pytest.raises(ValueError, match=r"same has shape \(4, 3\)"):
        recall_at(1, v, v, np.ones((4, 3), bool))
    with pytest.raises(ValueError, match="k=5 is more than the 4"):
        recall_at(5, v, v, np.eye(4, dtype=bool))
    with pytest.raises(ValueError, match="k=0"):
        recall_at(0, v, v, np.eye(4, dtype=bool))
    with pytest.raises(ValueError, match="there are only 4 pairs"):
        recalls(v, v, np.array(list("abcd")))


# --- what the lesson measures -------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(scenes):
    return CLIP(epochs=15).fit(scenes.train.x, scenes.train.captions)


def test_every_puzzle_is_in_the_row(clip, scenes, digits):
    with pytest.warns(UserWarning, match="'add'"):
        row = evaluate_clip(clip, digits, scenes, "x")
    assert row.measures["scans"].value > 0.5
    assert row.measures["a wrong object named"].value > 0.6
    assert len(row.measures["scans"].effects["image"]) == len(digits.test)
    assert {"unseen pairs", "seen counts", "image to text @5", "no ..."} <= set(row.measures)


def test_prompts_in_another_order_name_other_classes(clip, digits, scenes):
    """The control: with each class's prompt given to the next, nearly nothing is right."""
    prompts = single(scenes.nouns)
    right = scans_named(clip, digits, prompts).value
    assert scans_named(clip, digits, prompts[1:] + prompts[:1]).value < 0.2 < right


def test_only_images_of_the_withheld_classes_count(clip, digits, scenes):
    pair = withheld(1, digits)
    row = withheld_row(clip, digits, scenes.nouns, pair, "x")
    assert pair == (2, 3)
    assert row.measures["two words"].effects == {}
    assert row.measures["two words"].value >= row.measures["all words"].value


def test_the_cells_on_a_real_clip(digits, empty_cache, monkeypatch, capsys):
    """Through the same call, from the cache that a download fills, with no network."""
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, 4).cells}
    names = globals() | dict(plt=plt, show=show, show_source=show_source)
    names |= dict(images=digits, nouns=captions.nouns(digits.class_names))
    exec(cells["real"], names)
    assert names["real"] is None
    assert "embedlab fetch clip:openai/clip-vit-base-patch32" in capsys.readouterr().out

    folder = empty_cache / "models--openai--clip-vit-base-patch32"
    save_tiny(folder / "snapshots" / ("0" * 40), longest=77)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    exec(cells["real"], names)
    exec(cells["real-show"], names)
    said = capsys.readouterr().out
    assert "photographs with their own caption" in said
    assert "one to four cats, counted as" in said
