"""The measurements of lessons 05 and 05b."""

import numpy as np

from embedlab.data.images import Split
from embedlab.embedders import Untrained, ViT
from embedlab.lessons.lesson_05.experiments import (
    accuracy,
    both_poolings,
    cluttered,
    finders,
    found_row,
    shuffled_patches,
)
from embedlab.lessons.lesson_05b.experiments import fine_tuning


def test_shuffled_patches_are_the_same_patches_in_another_order(few):
    x = few.test.x
    mixed = shuffled_patches(x, 8)
    assert mixed.shape == x.shape
    np.testing.assert_allclose(np.sort(mixed.reshape(len(x), -1)), np.sort(x.reshape(len(x), -1)))
    assert (mixed != x).any(axis=(1, 2, 3)).mean() > 0.9
    np.testing.assert_array_equal(mixed, shuffled_patches(x, 8))


def test_the_whole_image_is_where_the_answer_says():
    x = np.zeros((3, 1, 32, 32), np.float32)
    x[:, :, 14:18, 14:18] = np.array([0.5, 0.75, 1.0], np.float32)[:, None, None, None]
    fields, place = cluttered(Split(x, np.arange(3)), 30, seed=0, pieces=0)
    assert fields.shape == (30, 1, 32, 32)
    rows, columns = np.indices((32, 32))
    mass = fields[:, 0].sum(axis=(1, 2))
    for k, index in enumerate((rows, columns)):
        np.testing.assert_allclose((fields[:, 0] * index).sum(axis=(1, 2)) / mass, place[:, k])
    np.testing.assert_allclose(fields.max(axis=(1, 2, 3)), np.tile([0.5, 0.75, 1.0], 10))
    more, same_place = cluttered(Split(x, np.arange(3)), 30, seed=0, pieces=4)
    np.testing.assert_array_equal(place, same_place)
    assert (more >= fields).all()
    assert more.sum() > fields.sum()


def test_a_two_layer_network_finds_what_is_easy_to_find(few):
    known, asked = cluttered(few.train, 600, 0, pieces=0), cluttered(few.test, 100, 1, pieces=0)
    flat = lambda x: x.reshape(len(x), -1)  # noqa: E731
    row = found_row(flat, known, asked, "pixels", "digits")
    blind = found_row(lambda x: np.ones((len(x), 2)), known, asked, "nothing", "digits")
    assert row.measures["distance"].value < 3 < blind.measures["distance"].value
    assert row.measures["accuracy"].value > 0.7
    assert len(row.measures["accuracy"].effects["image"]) == 100


def test_rows_of_a_choice_name_both_poolings(few):
    vit = ViT(epochs=1, global_pool="cls").fit(few.train.x, few.train.y)
    taught, other = both_poolings(vit, few, "CLS")
    assert (taught.name, other.name) == ("CLS", "CLS, read by mean")
    assert taught.measures["accuracy"].value == accuracy(vit, few.test, "digits").value
    assert taught.measures["accuracy_shuffled"].value < 1
    untrained = Untrained(ViT()).fit(few.train.x)
    lengths = [see(few.test.x[:2]).shape[1] for see in finders(vit, untrained).values()]
    assert lengths == [16 * 64, 64, 16 * 64, 32 * 32]


def test_fine_tuning_begins_where_it_says(few, monkeypatch):
    begun = []
    monkeypatch.setattr("embedlab.lessons.lesson_05b.experiments.FEW_EPOCHS", 1)
    monkeypatch.setattr("embedlab.lessons.lesson_05b.experiments.EPOCHS", 1)
    fit = ViT.fit

    def remember(self, *args):
        begun.append(self.encoder)
        return fit(self, *args)

    monkeypatch.setattr(ViT, "fit", remember)
    rows = fine_tuning.conditions["untrained"](4, few)
    assert [row.name for row in rows] == [
        "untrained: five labels a class",
        "untrained: all labels",
    ]
    expected = Untrained(ViT(seed=4)).fit(few.train.x).network_["encoder"].pos_embed
    assert len(begun) == 11
    assert all((encoder.pos_embed == expected).all() for encoder in begun)
