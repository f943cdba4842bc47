import numpy as np
import pytest

from embedlab.lessons.lesson_06.matching import close_gap, modality_gap, recall_at, recalls
from embedlab.search.exact import nearest, top_k


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
