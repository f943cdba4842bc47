"""Scenes are what their captions say, on the picture and not only in the labels."""

from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import label

from embedlab.data import captions
from embedlab.data import scenes as scenes_module
from embedlab.data.captions import RELATIONS, TEMPLATES
from embedlab.data.images import Images, Split
from embedlab.data.load import load_images
from embedlab.data.scenes import (
    KINDS,
    TABLE,
    Scenes,
    compose,
    concatenate,
    default_held_out,
    load_scenes,
)

COLORS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def discs() -> Split:
    """Red, green and blue discs that reach the border: where a thing is can be measured."""
    row, column = np.mgrid[:32, :32] - 15.5
    x = np.zeros((30, 3, 32, 32), np.float32)
    y = np.arange(30) % 3
    x[np.arange(30), y] = np.hypot(row, column) <= 15.5
    return Split(x, y)


@pytest.fixture(scope="module")
def two_discs(discs) -> Scenes:
    return compose(discs, COLORS, 600, kinds=("two",))


@pytest.fixture
def boxes(monkeypatch) -> list[np.ndarray]:
    """Where each scene composed from now on has its objects."""
    kept, original = [], scenes_module._boxes
    monkeypatch.setattr(scenes_module, "_boxes", lambda *a: kept.append(original(*a)) or kept[-1])
    return kept


@pytest.fixture(scope="module")
def nouns(digits) -> tuple[str, ...]:
    return captions.nouns(digits.class_names)


@pytest.fixture(scope="module")
def captioned(digits):
    return load_scenes(digits, n=(4_000, 500, 500, 500))


def parts(captioned):
    return [captioned.train, captioned.val, captioned.test, captioned.unseen]


def pairs_in(scenes: Scenes) -> set[tuple[int, int]]:
    two = scenes.objects[scenes.relation >= 0, :2]
    return {tuple(sorted(pair)) for pair in two.tolist()}


def counts_in(scenes: Scenes) -> set[tuple[int, int]]:
    here = scenes.kind == "several"
    return set(zip(scenes.count[here].tolist(), scenes.y[here].tolist(), strict=True))


# --- on the picture -----------------------------------------------------------------------------


def test_relations_are_seen_on_the_picture_and_no_other_is(two_discs):
    s = two_discs
    at = np.arange(32) + 0.5
    mass = s.x.sum(axis=(2, 3))
    x, y = (s.x.sum(axis=2) @ at, s.x.sum(axis=3) @ at)
    i, (first, second) = np.arange(len(s)), s.objects[:, :2].T
    with np.errstate(invalid="ignore"):
        x, y = x / mass, y / mass
    right, down = x[i, first] - x[i, second], y[i, first] - y[i, second]
    seen = np.stack([-right, right, -down, down])  # in the order of RELATIONS
    assert (seen.argmax(axis=0) == s.relation).all()
    across = np.where(s.relation < 2, np.abs(down), np.abs(right))
    assert (across < 0.6 * seen.max(axis=0)).all()
    assert (seen.max(axis=0) > 0.3 * 32).all()
    assert set(s.relation) == {0, 1, 2, 3}
    for said, k, a, b in zip(s.captions, s.relation, first, second, strict=True):
        assert said == f"a {COLORS[a]} {RELATIONS[k]} a {COLORS[b]}"


def test_objects_keep_their_light(two_discs):
    """The scene's border and the window cut nothing off: a disc has the area of its circle."""
    light = two_discs.x.sum(axis=(2, 3))
    light = light[light > 0]
    low, high = (np.pi / 4 * (share * 32) ** 2 for share in (0.32, 0.46))
    assert light.min() > 0.9 * low
    assert light.max() < 1.05 * high


def test_as_many_are_seen_as_the_caption_says(discs):
    s = compose(discs, COLORS, 500, kinds=("several",))
    seen = np.array([label(x.max(axis=0) > 0.7)[1] for x in s.x])
    assert (seen == s.count).mean() > 0.99  # a few touch
    assert (seen <= s.count).all()
    assert set(s.count) == {2, 3, 4}
    assert s.captions.tolist() == [
        f"{captions.NUMBERS[n]} {COLORS[k]}s" for n, k in zip(s.count, s.y, strict=True)
    ]
    colours = (s.x > 0.3).any(axis=(2, 3))
    assert (colours.sum(axis=1) == 1).all()
    assert colours[np.arange(len(s)), s.y].all()


def test_boxes_stay_inside_and_apart(discs, boxes):
    s = compose(discs, COLORS, 2_000, kinds=("one", "two", "several"), counts=(2, 3, 6))
    (boxes,) = boxes
    there = s.objects >= 0
    low, high = boxes[..., :2], boxes[..., :2] + boxes[..., 2:]
    assert (low[there] >= 0).all()
    assert (high[there] <= 1 + 1e-9).all()
    for i, j in combinations(range(6), 2):
        both = there[:, i] & there[:, j]
        end = np.minimum(high[both, i], high[both, j])
        start = np.maximum(low[both, i], low[both, j])
        assert ((end - start).min(axis=1) <= 1e-9).all()


def test_size_does_not_tell_the_number(digits, nouns, boxes):
    s = compose(digits.train, nouns, 3_000, kinds=("several",))
    means = [boxes[0][s.count == n, 0, 2].mean() for n in (2, 3, 4)]
    assert np.ptp(means) < 0.003


def test_full_size_an_object_is_its_image_but_for_the_turn(digits, nouns, monkeypatch):
    monkeypatch.setitem(TABLE, "one", replace(TABLE["one"], low=1.0, high=1.0))
    turned = compose(digits.test, nouns, 40, kinds=("one",)).x
    monkeypatch.setattr(scenes_module, "_TURN", 0.0)
    s = compose(digits.test, nouns, 40, kinds=("one",))
    assert np.abs(turned - s.x).mean() > 0.01
    pool = digits.test.x.reshape(len(digits.test), -1)
    for x, y in zip(s.x.reshape(40, -1), s.y, strict=True):
        off = np.abs(pool - x).max(axis=1)
        assert off.min() < 1e-4
        assert digits.test.y[off.argmin()] == y


def test_every_place_is_used(discs):
    s = compose(discs, COLORS, 800, kinds=("two", "several"))
    light = s.x.max(axis=1).mean(axis=0)
    assert (light > 0.02 * light.max()).mean() > 0.9  # a disc does not reach the corners


# --- splits and what is held out ----------------------------------------------------------------


def test_scenes_have_their_form(captioned):
    for scenes, n in zip(parts(captioned), (4_000, 500, 500, 500), strict=True):
        assert scenes.x.shape == (n, 1, 32, 32)
        assert scenes.x.dtype == np.float32
        assert scenes.x.min() == 0
        assert scenes.x.max() <= 1
        assert all(len(getattr(scenes, f.name)) == n for f in fields(Scenes))
        assert (scenes.x.max(axis=(1, 2, 3)) > 0.2).all()
    assert repr(captioned) == (
        "CaptionedImages('digits': 10 nouns, 1x32x32, train 4,000, val 500, test 500, unseen 500)"
    )
    assert (captioned.train.y == captioned.train.objects[:, 0]).all()
    some = captioned.train[captioned.train.kind == "two"]
    assert set(some.kind) == {"two"}
    assert (some.count == 2).all()


def test_kinds_classes_and_templates_are_drawn_alike(captioned):
    _, n = np.unique(captioned.train.kind, return_counts=True)
    assert len(n) == 3
    assert n.min() > 1_200
    ones = captioned.train[captioned.train.kind == "one"]
    assert np.bincount(ones.y).min() > 80
    plain = [said.startswith("a picture of") for said in captioned.train.captions]
    assert 0.2 < np.mean(plain) < 0.3


def test_what_is_held_out_is_in_unseen_only(captioned):
    held = {tuple(sorted(pair)) for pair in captioned.held_out}
    counts = set(captioned.held_out_counts)
    assert len(held) == len(counts) == 10
    for scenes in parts(captioned)[:3]:
        assert not pairs_in(scenes) & held
        assert not counts_in(scenes) & counts
    assert pairs_in(captioned.unseen) == held
    assert counts_in(captioned.unseen) == counts
    assert set(captioned.unseen.kind) == {"two", "several"}
    phrases = set(captioned.unseen.captions)
    for scenes in parts(captioned)[:3]:
        for template in TEMPLATES:
            assert not {template.replace("{}", p) for p in phrases} & set(scenes.captions)


def test_every_word_of_unseen_is_learned(captioned):
    learned = {word for said in captioned.train.captions for word in said.split()}
    assert {word for said in captioned.unseen.captions for word in said.split()} <= learned


@pytest.mark.parametrize("kind", ["sum", "without"])
def test_the_other_kinds_hold_the_same_pairs_out(kind, digits):
    captioned = load_scenes(digits, n=(2_000, 10, 10, 10), kinds=("one", kind))
    number = {noun: i for i, noun in enumerate(captioned.nouns)}
    here = captioned.train[captioned.train.kind == kind]
    held = {frozenset(pair) for pair in captioned.held_out}
    if kind == "sum":
        named = [frozenset(pair) for pair in here.objects[:, :2].tolist()]
        total = here.objects[:, :2].sum(axis=1)
        for said, n in zip(here.captions, total, strict=True):
            assert said.endswith(f"two digits that add to {captions.NUMBERS[n]}")
    else:
        named = [
            frozenset(number[w] for w in said.split() if w in number) for said in here.captions
        ]
        assert (here.count == 1).all()
        for said, y in zip(here.captions, here.y, strict=True):
            assert captions.one(captioned.nouns[y]) + " and no " in said
    assert all(len(pair) == 2 for pair in named)
    assert not held & set(named)


def test_only_train_has_templates(captioned):
    for scenes in parts(captioned)[1:]:
        starts = tuple(t.partition("{}")[0] for t in TEMPLATES if t != "{}")
        assert not [said for said in scenes.captions if said.startswith(starts)]


def test_splits_are_made_of_their_own_scans():
    """Each split's scans have a brightness of their own, and so have its scenes."""
    split = lambda v: Split(np.full((20, 1, 32, 32), v, np.float32), np.arange(20) % 10)  # noqa: E731
    images = Images("grey", tuple("0123456789"), split(0.25), split(0.5), split(1.0))
    captioned = load_scenes(images, n=(40, 40, 40, 40))
    for scenes, light in zip(parts(captioned), (0.25, 0.5, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(scenes.x.max(axis=(1, 2, 3)), light, rtol=1e-4)


def test_scans_of_a_class_are_all_used_and_no_others():
    """The scan's own brightness tells which scan a scene shows."""
    light = np.linspace(0.2, 1, 30, dtype=np.float32)
    split = Split(np.tile(light[:, None, None, None], (1, 1, 32, 32)), np.arange(30) % 3)
    s = compose(split, COLORS, 900, kinds=("one",))
    found = np.abs(s.x.max(axis=(1, 2, 3))[:, None] - light).argmin(axis=1)
    np.testing.assert_array_equal(split.y[found], s.y)
    assert len(set(found)) == 30


def test_a_class_left_out_is_in_unseen_only(digits):
    captioned = load_scenes(digits, n=(600, 100, 100, 300), without=("7",))
    for scenes in parts(captioned)[:3]:
        assert not (scenes.objects == 7).any()
        assert not [said for said in scenes.captions if "seven" in said]
    assert (captioned.unseen.objects == 7).any()


@pytest.mark.parametrize("n", [5, 6, 7, 10, 26])
def test_held_out_by_default(n):
    pairs, counted = default_held_out(n)
    assert len({frozenset(pair) for pair in pairs}) == n
    assert all(a != b for a, b in pairs)
    assert np.bincount(np.ravel(pairs)).tolist() == [2] * n  # all classes alike
    assert [c for _, c in counted] == list(range(n))
    assert {k for k, _ in counted} == {2, 3, 4}


def test_few_classes_hold_nothing_out():
    assert default_held_out(4) == ((), ())
    captioned = load_scenes(load_images("faces"), n=(40, 10, 10, 10))
    assert captioned.nouns == ("no face", "face")
    assert len(captioned.unseen) == 0
    assert captioned.unseen.x.shape == (0, 1, 32, 32)


# --- seeds, forms of input, speed ---------------------------------------------------------------


def test_a_seed_says_what_is_in_train(digits):
    a, same, other = (load_scenes(digits, n=(50, 20, 20, 20), seed=s) for s in (0, 0, 1))
    for one, two in zip(parts(a), parts(same), strict=True):
        for f in fields(Scenes):
            np.testing.assert_array_equal(getattr(one, f.name), getattr(two, f.name))
    assert not np.array_equal(a.train.x, other.train.x)
    assert a.val.captions.tolist() != a.test.captions.tolist()
    for key in ("val", "test", "unseen"):  # what is quoted is the same for every seed
        np.testing.assert_array_equal(getattr(a, key).x, getattr(other, key).x)


def test_composing_leaves_the_images_alone(digits, nouns):
    x = digits.test.x.copy()
    for write in (True, False):
        x.setflags(write=write)
        compose(Split(x, digits.test.y), nouns, 30)
    np.testing.assert_array_equal(x, digits.test.x)


def test_colour():
    crops = load_images("photo-crops", limit=(200, 50, 50))
    captioned = load_scenes(crops, n=(60, 10, 10, 10))
    assert captioned.train.x.shape == (60, 3, 32, 32)
    assert "coffee" in captioned.nouns
    assert np.abs(captioned.train.x[:, 0] - captioned.train.x[:, 2]).max() > 0.1


def test_numbers_of_scenes_may_be_zero(digits):
    captioned = load_scenes(digits, n=(0, 1, 0, 1))
    assert [len(scenes) for scenes in parts(captioned)] == [0, 1, 0, 1]
    assert captioned.train.captions.shape == (0,)


def test_concatenate(digits, nouns):
    a, b = (compose(digits.test, nouns, n, seed=n) for n in (3, 4))
    both = concatenate(a, b)
    assert len(both) == 7
    np.testing.assert_array_equal(both[3:].x, b.x)
    assert both.captions.tolist() == [*a.captions, *b.captions]


def test_only_these(digits, nouns):
    s = compose(digits.test, nouns, 60, kinds=("two",), pairs=((1, 2), (3, 3)))
    assert {tuple(pair) for pair in s.objects[:, :2].tolist()} == {(1, 2), (2, 1)}
    s = compose(digits.test, nouns, 60, kinds=("several",), counts=((6, 1), (2, 8), (3, 77)))
    assert counts_in(s) == {(6, 1), (2, 8)}
    some = digits.test[np.isin(digits.test.y, (4, 9))]
    s = compose(some, nouns, 60, kinds=KINDS[:3])
    assert set(s.objects.ravel()) == {-1, 4, 9}
    s = compose(digits.test, nouns, 20, kinds=("several",), counts=(1,))
    assert set(s.captions) <= {captions.one(noun) for noun in nouns}


SEVENS = Split(np.zeros((2, 1, 32, 32), np.float32), np.array([7, 7]))
SMALL = Split(SEVENS.x[..., 2:30, 2:30], SEVENS.y)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"n": -1}, "n=-1"),
        ({"n": 2.0}, r"n=2\.0"),
        ({"n": True}, "n=True"),
        ({"kinds": ()}, r"kinds=\(\)"),
        ({"kinds": ("three",)}, "kinds=.*one, two, several, sum, without"),
        ({"kinds": "two"}, "kinds="),
        ({"counts": (0,)}, "counts=.*from 1 to 6"),
        ({"counts": (7,)}, "counts="),
        ({"counts": ()}, "counts="),
        ({"counts": 3}, "counts="),
        ({"counts": ((9, 1),)}, "counts="),
        ({"split": SMALL}, "32x32"),
        ({"split": SEVENS[:0]}, "split holds no images"),
        ({"split": SEVENS, "kinds": ("two",)}, "need two classes"),
        ({"nouns": ("zero", "one")}, "nouns has 2 words"),
        ({"templates": ("a picture",)}, "templates="),
        ({"templates": ()}, "templates="),
        ({"kinds": ("sum",), "nouns": tuple("abcdefghij")}, "'sum' needs classes that are digits"),
        ({"kinds": ("two",), "pairs": ((1, 1),)}, "no pair of classes is left"),
        ({"kinds": ("two",), "pairs": ((0, 3),), "avoid": ((3, 0),)}, "no pair of classes is left"),
        ({"kinds": ("several",), "counts": ((2, 77),)}, "no count of any class is left"),
    ],
)
def test_bad_parameters(kwargs, words, digits, nouns):
    kwargs = {"split": digits.test, "nouns": nouns, "n": 4, **kwargs}
    with pytest.raises(ValueError, match=words):
        compose(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"without": "7"}, "without='7' must be a list"),
        ({"without": ("seven",)}, "without='seven' is no class: use 0, 1"),
        ({"n": (1, 2, 3)}, "n=.*four numbers"),
        ({"n": (5.0, 1, 1, 1)}, r"n=5\.0"),
        ({"without": tuple("12456789")}, "no pair of classes is left"),
    ],
)
def test_bad_sets(kwargs, words, digits):
    with pytest.raises(ValueError, match=words):
        load_scenes(digits, **{"n": (4, 4, 4, 4), **kwargs})


def test_a_class_that_a_split_lacks(digits):
    with pytest.raises(ValueError, match=r"val of .digits. holds no 3"):
        load_scenes(replace(digits, val=digits.val[digits.val.y != 3]), n=(4, 4, 4, 4))
