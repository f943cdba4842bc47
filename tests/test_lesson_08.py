import numpy as np
import pytest
import torch
from torch import nn

from embedlab.data.images import Images, Split
from embedlab.embedders import Pretrained
from embedlab.lessons.exercises import exercise
from embedlab.lessons.lesson_08.experiments import SmallNet, layer_row, nine_numbers, untrained
from embedlab.lessons.lesson_08.layers import (
    LAYERS,
    all_layers,
    beside_its_class,
    enlarged,
    looks,
    read_layers,
)
from embedlab.lessons.lesson_08.marks import CHANGES, draw_marks, found_first, recoloured, small


@pytest.fixture(scope="module")
def real():
    return Pretrained().fit()


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).random((5, 3, 32, 32), dtype=np.float32)


@pytest.fixture(scope="module")
def marks():
    return draw_marks()[0]


# --- layers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["bn1", "blocks.3", "bn2"])
def test_layers_read_together_are_those_read_alone(real, crops, layer):
    batch = enlarged(torch.from_numpy(crops), real)
    with torch.inference_mode():
        together = all_layers(real.network_, batch)[LAYERS.index(layer)]
    alone = real.at(layer=layer).embed_tensors(batch)
    torch.testing.assert_close(together, alone)


def test_the_last_layer_is_what_the_classifier_is_given(real, crops):
    vectors = read_layers(real, crops, ["bn2"])["bn2"]
    ready = real.embed_tensors(enlarged(torch.from_numpy(crops), real))
    np.testing.assert_allclose(vectors, ready, atol=1e-5)


def test_listening_leaves_no_hook_behind_even_where_the_network_fails(real):
    def hooks():
        return sum(len(m._forward_hooks) for m in real.network_.modules())

    with pytest.raises(RuntimeError):
        all_layers(real.network_, torch.zeros(1, 7, 64, 64))
    assert hooks() == 0


def test_images_in_other_batches_give_the_same_vectors(real, crops):
    whole = read_layers(real, crops)
    one = read_layers(real, crops[:1])
    for layer in LAYERS:
        np.testing.assert_allclose(one[layer], whole[layer][:1], rtol=1e-3, atol=1e-5)


def test_grey_images_are_read_as_grey_colours(real, crops):
    grey = crops[:, :1]
    three = np.repeat(grey, 3, axis=1)
    one = enlarged(torch.from_numpy(grey), real, 64)
    assert torch.equal(one, enlarged(torch.from_numpy(three), real, 64))


def test_enlarged_to_its_own_size_an_image_is_only_normalised(real, crops):
    same = enlarged(torch.from_numpy(crops), real, 32)
    torch.testing.assert_close(same, torch.from_numpy(crops) * 2 - 1)


def test_the_untrained_network_has_other_weights_and_the_same_ones_each_time(real):
    first, again = (untrained().network_.state_dict() for _ in range(2))
    trained = real.network_.state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["conv_stem.weight"], trained["conv_stem.weight"])


# --- looks --------------------------------------------------------------------------------------


def test_looks_of_plain_pictures():
    red = np.zeros((1, 3, 32, 32))
    red[:, 0] = 0.6
    seen = looks(red)
    assert seen["light"] == pytest.approx(0.2)
    assert seen["colour"] == pytest.approx(0.6)
    assert seen["direction"] == pytest.approx(0)


def test_upright_lines_are_told_from_lying_ones_and_rough_from_smooth():
    upright = np.zeros((1, 3, 32, 32))
    upright[..., ::2] = 1
    lying = upright.transpose(0, 1, 3, 2)
    assert looks(upright)["direction"] > 0.99
    assert looks(lying)["direction"] < -0.99
    assert looks(upright)["texture"] > looks(upright / 4)["texture"]


def test_beside_its_class_what_a_class_has_in_common_is_gone():
    rng = np.random.default_rng(0)
    y = {key: rng.integers(0, 3, n) for key, n in (("train", 90), ("test", 60))}
    own = {key: rng.normal(size=len(v)) for key, v in y.items()}
    with_class = {key: own[key] + 10 * y[key] for key in y}
    without = beside_its_class(with_class, y)
    for c in range(3):
        assert without["train"][y["train"] == c].mean() == pytest.approx(0, abs=1e-9)
    plain = beside_its_class(own, y)
    np.testing.assert_allclose(without["test"], plain["test"], atol=1e-9)


# --- rows ---------------------------------------------------------------------------------------


def toy_images(n=30):
    rng = np.random.default_rng(0)
    splits = {}
    for key in ("train", "val", "test"):
        y = np.arange(n) % 3
        splits[key] = Split(rng.random((n, 3, 32, 32), dtype=np.float32), y)
    return Images("toy", ("a", "b", "c"), **splits)


def test_a_layer_that_holds_a_property_is_found_to_hold_it():
    images = toy_images(60)
    vectors = {}
    for key in ("train", "val", "test"):
        split = getattr(images, key)
        noise = 1e-3 * np.random.default_rng(1).normal(size=(len(split), 20))
        vectors[key] = noise
        vectors[key][:, 0] += looks(split.x)["light"]
        vectors[key][:, 1] += split.y
    row = layer_row(vectors, images, "made up")
    assert row.measures["light"].value > 0.9
    assert row.measures["direction"].value < 0.3
    assert row.measures["class"].value == 1


def test_nine_numbers_are_one_less_than_the_classes():
    images = toy_images()
    vectors = {key: getattr(images, key).x[:, :, 0, 0] for key in ("train", "val", "test")}
    short = nine_numbers(vectors, images)
    assert {v.shape for v in short.values()} == {(30, 2)}
    assert short["test"].dtype == np.float32


def test_the_small_network_learns_to_tell_light_from_dark():
    y = np.arange(40) % 2
    x = np.random.default_rng(0).random((40, 3, 32, 32), dtype=np.float32) / 2
    x[y == 1] += 0.5
    network = SmallNet(epochs=5).fit(x, y)
    assert (network.predict(x) == y).mean() > 0.9
    assert network.transform(x).shape == (40, 128)


# --- marks --------------------------------------------------------------------------------------


def test_there_are_fifty_marks_and_no_two_are_alike(marks):
    names = draw_marks()[1]
    assert marks.shape == (50, 3, 96, 96)
    assert len(set(names)) == 50
    flat = marks.reshape(50, -1)
    apart = np.abs(flat[:, None, ::7] - flat[None, :, ::7]).max(axis=2)
    assert (apart[~np.eye(50, dtype=bool)] > 0.5).all()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_keeps_form_and_range_and_the_marks_themselves(marks, name):
    before = marks.copy()
    after = CHANGES[name](marks)
    assert after.shape == marks.shape
    assert after.dtype == marks.dtype
    assert after.min() >= -1e-6
    assert after.max() <= 1 + 1e-6
    assert np.array_equal(marks, before)
    assert not np.array_equal(after, before)


def test_a_mark_stays_within_what_a_centre_crop_keeps(marks):
    """The usual preprocessing cuts a sixteenth off each side."""
    rim = np.ones((96, 96), bool)
    rim[6:-6, 6:-6] = False
    assert (marks[:, :, rim] == 1).all()


def test_a_small_mark_has_a_quarter_of_the_ink(marks):
    ink = (1 - marks).sum(axis=(1, 2, 3))
    np.testing.assert_allclose((1 - small(marks)).sum(axis=(1, 2, 3)), ink / 4, rtol=1e-4)


def test_other_colours_are_the_same_shapes(marks):
    np.testing.assert_allclose(recoloured(marks).sum(axis=1), marks.sum(axis=1), rtol=1e-6)


def test_found_first_counts_marks_that_find_themselves():
    vectors = np.eye(6, dtype=np.float32)
    assert found_first(vectors, vectors).value == 1
    assert found_first(np.roll(vectors, 1, axis=0), vectors).value == 0
    swapped = vectors[[1, 0, 2, 3, 4, 5]]
    assert found_first(swapped, vectors).value == pytest.approx(4 / 6)


# --- exercises ----------------------------------------------------------------------------------


def by_dictionary(network, layer, x):
    found = {}
    parts = dict(network.named_modules())
    handle = parts[layer].register_forward_hook(
        lambda m, i, o: found.update({layer: o.detach().clone()})
    )
    try:
        with torch.no_grad():
            network(x)
    finally:
        handle.remove()
    return found[layer]


def by_what_comes_next(network, layer, x):
    """What the next layer is given would be changed by now; so copy in a pre-hook of the layer."""
    kept = []
    module = network.get_submodule(layer)
    handle = module.register_forward_pre_hook(lambda m, i: kept.append(i[0].clone()))
    network(x)
    handle.remove()
    return module(kept[0])


@pytest.mark.parametrize("answer", [by_dictionary, by_what_comes_next])
def test_other_ways_to_listen_are_right(answer):
    assert exercise("08-hook").explain(answer) is None


def by_hand(vectors):
    out = torch.zeros(vectors.shape, dtype=torch.int8)
    for i, row in enumerate(vectors):
        out[i] = torch.round(127 * row / row.abs().max()).to(torch.int8)
    return out


def by_numpy(vectors):
    v = vectors.numpy()
    return np.rint(v * (127 / np.abs(v).max(axis=1, keepdims=True))).astype(np.int8)


def by_norm(vectors):
    unit = nn.functional.normalize(vectors, p=float("inf"), dim=1)
    return (unit * 127).round().clamp(-127, 127).char()


@pytest.mark.parametrize("answer", [by_hand, by_numpy, by_norm])
def test_other_ways_to_int8_are_right(answer):
    assert exercise("08-int8").explain(answer) is None


def test_a_crash_is_told_as_it_is():
    said = exercise("08-hook").explain(lambda network, layer, x: network[layer](x))
    assert "TypeError" in said
