"""Attention and receptive fields, and what lessons 05 and 05b measure."""

import numpy as np
import pytest
import torch
from torch import nn

from embedlab.data.images import Split
from embedlab.embedders import LeNet5, Untrained, ViT
from embedlab.lessons.lesson_05.attention import (
    attention_distance,
    attention_rollout,
    patch_distances,
)
from embedlab.lessons.lesson_05.experiments import (
    accuracy,
    both_poolings,
    cluttered,
    finders,
    found_row,
    shuffled_patches,
)
from embedlab.lessons.lesson_05.receptive_field import receptive_field
from embedlab.lessons.lesson_05b.experiments import fine_tuning


def weights(n=2, layers=3, heads=2, tokens=5, seed=0) -> np.ndarray:
    w = np.random.default_rng(seed).random((n, layers, heads, tokens, tokens))
    return w / w.sum(axis=-1, keepdims=True)


def test_rollout_multiplies_layers_in_order():
    w = weights()
    rolled = attention_rollout(w)
    np.testing.assert_allclose(rolled.sum(axis=-1), 1)
    first, second, third = ((w[0, i].mean(axis=0) + np.eye(5)) / 2 for i in range(3))
    np.testing.assert_allclose(rolled[0], third @ second @ first)
    assert not np.allclose(rolled[0], first @ second @ third)


def test_distances_are_in_pixels():
    d = patch_distances(4, 8)
    assert d.shape == (16, 16)
    assert d[0, 1] == d[0, 4] == 8
    assert d[0, 15] == pytest.approx(24 * 2**0.5)


def test_attention_distance_without_cls():
    w = np.zeros((1, 2, 1, 5, 5))
    w[:, 0, :, :, 0] = 0.5  # half goes to CLS, which is nowhere
    w[:, 0] += 0.5 * np.eye(5)
    w[:, 1, :, :, 0] = 0.2
    w[:, 1, :, :, 1] = 0.8  # all look at the first patch
    d = attention_distance(w, patch_size=16)
    assert d.shape == (1, 2, 1)
    assert d[0, 0, 0] == 0
    assert d[0, 1, 0] == pytest.approx((0 + 16 + 16 + 16 * 2**0.5) / 4)
    of_two = attention_distance(w, 16, patches=[0, 3])
    assert of_two[0, 1, 0] == pytest.approx((0 + 16 * 2**0.5) / 2)


def test_receptive_field_of_convolutions():
    x = np.random.default_rng(0).random((3, 1, 32, 32)).astype(np.float32)
    one = nn.Conv2d(1, 2, 5)
    two = nn.Sequential(one, nn.AvgPool2d(2), nn.Conv2d(2, 4, 5))
    for network, side in ((one, 5), (two, 14)):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(0.1)
        width, distance = receptive_field(network, x)
        assert width == side
        assert distance.shape == (3,)
        assert (distance > 0).all()
        assert (distance < side / 2**0.5).all()
    flat = np.indices((5, 5)) - 2
    mean = np.hypot(*flat).mean()
    np.testing.assert_allclose(receptive_field(one, x)[1], mean, rtol=1e-5)


def test_receptive_field_after_a_transform_that_moved_the_network(few):
    """Weights that are moved in inference mode could take no gradient."""
    lenet = LeNet5(epochs=1).fit(few.train.x, few.train.y)
    lenet.network_.double().float()
    lenet.transform(few.test.x)
    assert receptive_field(lambda x: lenet.network_.layers(x)["c3"], few.test.x)[0] == 14


def test_units_that_cannot_be_moved_are_named():
    x = np.zeros((2, 1, 32, 32))
    with pytest.raises(ValueError, match="do not move the unit"):
        receptive_field(lambda images: images * 0, x)
    with pytest.raises(ValueError, match=r"maps \(N, K, h, w\)"):
        receptive_field(lambda images: images.flatten(1), x)


def test_bad_shapes():
    with pytest.raises(ValueError, match="attention must have shape"):
        attention_rollout(np.ones((2, 3, 5, 5)))
    with pytest.raises(ValueError, match="a square of patches"):
        attention_distance(weights(tokens=4), 8)


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
