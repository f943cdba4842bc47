from functools import cache

import numpy as np
import pytest
import timm
import torch

from embedlab.embedders import MAE, Data2Vec, Untrained, ViT
from embedlab.embedders.data2vec import Teacher
from embedlab.embedders.shared.masking import Predictor, block_masks, predicted, random_masks
from embedlab.embedders.shared.patches import from_patches, pick, sincos_positions, to_patches
from embedlab.embedders.shared.transformer import ViTEncoder
from embedlab.lessons.lesson_05.experiments import shuffled_patches
from embedlab.training.loop import seeded

KINDS = [ViT, MAE, Data2Vec]
each = pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)


@pytest.fixture(scope="module")
def fitted(few):
    """Gives each kind fitted for an epoch, and fits it once for all tests."""
    return cache(lambda kind: kind(epochs=1, depth=3).fit(few.train.x, few.train.y))


def encoder(channels=1, **kwargs) -> ViTEncoder:
    with seeded(0):
        network = ViTEncoder(channels, **kwargs)
        for parameter in network.parameters():  # the zeros and ones of the start hide mistakes
            parameter.data += 0.1 * torch.randn_like(parameter)
    return network.eval()


# --- patches ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "patch_size"), [(1, 8), (3, 4), (3, 16)])
def test_patches_go_back_to_the_image(channels, patch_size):
    x = torch.rand(5, channels, 32, 32)
    patches = to_patches(x, patch_size)
    assert patches.shape == (5, (32 // patch_size) ** 2, channels * patch_size**2)
    assert torch.equal(from_patches(patches, patch_size), x)
    second = x[:, :, :patch_size, patch_size : 2 * patch_size]
    assert torch.equal(patches[:, 1], second.flatten(1))


def test_pick_takes_each_images_own_tokens():
    tokens = torch.arange(24.0).reshape(2, 4, 3)
    out = pick(tokens, torch.tensor([[3, 0], [1, 1]]))
    assert torch.equal(out[0], tokens[0, [3, 0]])
    assert torch.equal(out[1], tokens[1, [1, 1]])


def test_sincos_positions_differ_and_near_ones_are_alike():
    positions = sincos_positions(8, 64)
    assert torch.cdist(positions, positions).add(torch.eye(64)).min() > 0.1
    cosine = torch.nn.functional.cosine_similarity(positions[:1], positions).reshape(8, 8)
    assert cosine[0, 0] > cosine[0, 1] > cosine[0, 3]
    torch.testing.assert_close(cosine, cosine.T)


# --- the encoder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "shape"),
    [
        (1, dict(patch_size=8, embed_dim=64, depth=4, num_heads=4)),
        (3, dict(patch_size=4, embed_dim=48, depth=2, num_heads=3)),
    ],
    ids=["grey", "colour"],
)
def test_the_encoder_is_timms_vision_transformer(channels, shape):
    ours = encoder(channels, **shape)
    theirs = timm.models.VisionTransformer(
        img_size=32, in_chans=channels, num_classes=0, **shape
    ).eval()
    names = {"patch_embed.": "patch_embed.proj.", "mlp.0.": "mlp.fc1.", "mlp.2.": "mlp.fc2."}
    weights = {}
    for key, value in ours.state_dict().items():
        for old, new in names.items():
            key = key.replace(old, new)
        weights[key] = value
    theirs.load_state_dict(weights, strict=True)
    x = torch.rand(6, channels, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs.forward_features(x), rtol=0, atol=1e-5)
        layers = ours.layers(ours.place(ours.embed(x)))[0]
        between = theirs.forward_intermediates(x, intermediates_only=True, output_fmt="NLC")
        for mine, other in zip(layers[1:], between, strict=True):
            torch.testing.assert_close(mine[:, 1:], other, rtol=0, atol=1e-5)


@each
def test_what_can_be_read_from_it(kind, fitted, few):
    embedder, x = fitted(kind), few.test.x[:7]
    tokens = embedder.tokens(x)
    assert tokens.shape == (7, 17, 64)
    attention = embedder.attention(x)
    assert attention.shape == (7, 3, 4, 17, 17)
    np.testing.assert_allclose(attention.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(tokens[:, 1:].mean(axis=1), embedder.transform(x), atol=1e-5)
    cls = embedder.at(global_pool="cls").transform(x)
    np.testing.assert_allclose(tokens[:, 0], cls, atol=1e-5)
    assert embedder.global_pool == "mean"
    encoder = embedder.network_["encoder"]
    with torch.inference_mode():
        patches = encoder.embed(torch.from_numpy(x))
        layers = encoder.layers(encoder.place(patches))[0]
        last, placed = encoder.norm(layers[3]).numpy(), (layers[0][:, 1:] - patches).numpy()
    np.testing.assert_allclose(last, tokens, atol=1e-5)
    np.testing.assert_allclose(placed, np.broadcast_to(placed[:1], placed.shape), atol=1e-5)


def test_the_same_seed_starts_from_the_same_encoder(few, monkeypatch):
    """So 'against the same network untrained' is true to the last weight."""
    begun = []

    def no_training(network, *args, **kwargs):
        begun.append(network["encoder"].state_dict())
        raise KeyboardInterrupt

    monkeypatch.setattr("embedlab.embedders.shared.network.train", no_training)
    untrained = Untrained(ViT(seed=3)).fit(few.train.x).network_["encoder"].state_dict()
    for kind in KINDS:
        with pytest.raises(KeyboardInterrupt):
            kind(seed=3).fit(few.train.x, few.train.y)
        assert all(torch.equal(value, begun[-1][name]) for name, value in untrained.items())


@each
def test_the_second_network_is_no_copy_of_the_first(kind, few):
    network = kind(epochs=1, lr=1e-12, weight_decay=0.0).fit(few.train.x, few.train.y).network_
    second = network["head"].weight if kind is ViT else network["predictor"].enter.weight
    first = network["encoder"].patch_embed.weight.flatten(1)
    assert (second.flatten()[:64] - first.flatten()[:64]).abs().max() > 0.01


def test_a_vit_begins_from_the_encoder_it_is_given(few):
    mae = MAE(epochs=2).fit(few.train.x)
    encoder = mae.network_["encoder"]
    before = encoder.pos_embed.detach().clone()
    barely = ViT(encoder=encoder, epochs=1, lr=1e-12, weight_decay=0.0)
    vectors = barely.fit(few.train.x, few.train.y).transform(few.test.x)
    np.testing.assert_allclose(vectors, mae.transform(few.test.x), atol=1e-5)
    ViT(encoder=encoder, epochs=2).fit(few.train.x, few.train.y)
    assert torch.equal(encoder.pos_embed, before)  # a copy is tuned, not the encoder itself


@pytest.mark.parametrize(
    "kwargs", [{"pos_embed": "none"}, {"pos_embed": "sincos"}, {"num_heads": 2}, {"depth": 3}]
)
def test_an_encoder_of_another_shape_is_refused(kwargs, few):
    with pytest.raises(ValueError, match=r"encoder must be a ViTEncoder of \(channels"):
        ViT(encoder=encoder(), **kwargs).fit(few.train.x, few.train.y)
    with pytest.raises(ValueError, match="got None"):
        ViT(encoder=MAE()).fit(few.train.x, few.train.y)


def test_the_predictor_is_told_where_the_seen_patches_are():
    with seeded(0):
        predictor = Predictor(64, 4, side=4, n_out=3).eval()
    tokens, hidden = torch.rand(1, 5, 64), torch.tensor([[9, 10]])
    with torch.inference_mode():
        here, there = (
            predictor(tokens, torch.tensor([seen]), hidden) for seen in ([0, 1, 2, 3], [4, 5, 6, 7])
        )
    assert (here - there).abs().max() > 1e-3


# --- positions --------------------------------------------------------------------------------


def test_without_positions_an_image_is_a_bag_of_patches(few):
    x, mixed = few.test.x, shuffled_patches(few.test.x, 8)
    for position, same in (("none", True), ("learned", False), ("sincos", False)):
        vit = ViT(pos_embed=position, epochs=2).fit(few.train.x, few.train.y)
        for pool in ("mean", "cls"):
            a, b = (vit.at(global_pool=pool).transform(images) for images in (x, mixed))
            assert np.allclose(a, b, atol=1e-5) == same, (position, pool)


def test_predict_reads_the_pool_it_was_taught_with(few):
    names = np.array([f"digit {c}" for c in few.class_names])
    vit = ViT(global_pool="cls", epochs=15, batch_size=16).fit(few.train.x, names[few.train.y])
    assert (vit.predict(few.train.x) == names[few.train.y]).mean() > 0.7
    np.testing.assert_array_equal(
        vit.at(global_pool="mean").predict(few.test.x), vit.predict(few.test.x)
    )


# --- masking ----------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", [random_masks, block_masks])
def test_each_patch_is_seen_or_hidden(masks):
    generator = torch.Generator().manual_seed(0)
    seen, hidden = masks(50, 16, 10, generator)
    assert (seen.shape, hidden.shape) == ((50, 6), (50, 10))
    both = torch.cat([seen, hidden], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(16).expand(50, 16))
    assert len({tuple(sorted(row)) for row in hidden.tolist()}) > 25
    share = torch.bincount(hidden.flatten(), minlength=16) / 50
    assert share.min() > 0.3


def test_block_masks_lie_together():
    def neighbours(masks) -> float:
        _, hidden = masks(200, 64, 16, torch.Generator().manual_seed(0))
        grid = torch.zeros(200, 64).scatter(1, hidden, 1).reshape(200, 8, 8)
        return (grid[:, 1:] * grid[:, :-1]).sum().item() + (grid[:, :, 1:] * grid[:, :, :-1]).sum()

    assert neighbours(block_masks) > 1.5 * neighbours(random_masks)


def test_what_is_hidden_cannot_be_seen(fitted, few):
    """Other pixels in the hidden patches: the same guess for them."""
    mae, x = fitted(MAE), few.test.x[:20]
    rebuilt, hidden = mae.rebuild(x, seed=3)
    assert hidden.shape == (20, 1, 32, 32)
    assert hidden.mean() == pytest.approx(0.75)
    np.testing.assert_array_equal(rebuilt[~hidden], x[~hidden])
    other = np.where(hidden, 1 - x, x).astype(np.float32)
    np.testing.assert_array_equal(mae.rebuild(other, seed=3)[0], rebuilt)
    assert not np.array_equal(mae.rebuild(x, seed=np.int64(4))[1], hidden)
    assert mae.rebuild(x, mask_ratio=0.25)[1].mean() == pytest.approx(0.25)
    with pytest.raises(ValueError, match="mask_ratio=1"):
        mae.rebuild(x, mask_ratio=1)


def test_the_order_of_the_seen_patches_does_not_matter(fitted):
    network = fitted(MAE).network_
    x = torch.rand(3, 1, 32, 32)
    seen, hidden = random_masks(3, 16, 12, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        a = predicted(network, x, seen, hidden)
        b = predicted(network, x, seen.flip(1), hidden.flip(1)).flip(1)
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_mae_learns_to_rebuild(few):
    error = []
    for epochs in (1, 40):
        mae = MAE(epochs=epochs).fit(few.train.x)
        rebuilt, hidden = mae.rebuild(few.test.x)
        error.append(np.square(rebuilt - few.test.x)[hidden].mean())
    assert error[1] < 0.6 * error[0]
    assert mae.loss_curve_[-1] < mae.loss_curve_[0]


@pytest.mark.parametrize("ratio", [0.0625, 0.938])
def test_the_mask_ratios_that_the_message_names_work(ratio, few):
    assert MAE(mask_ratio=ratio, epochs=1).fit(few.train.x[:64]).transform(few.test.x).any()


# --- the teacher ------------------------------------------------------------------------------


def test_the_teacher_follows_by_its_decay():
    student = encoder()
    teacher = Teacher(student, steps=4, decay=(0.5, 1.0), top_layers=2, normalize=True)
    start = student.pos_embed.detach().clone()
    student.pos_embed.data += 1
    x = torch.rand(4, 1, 32, 32)
    ways = []
    for _ in range(4):
        teacher(x)
        ways.append((teacher.encoder.pos_embed - start).mean().item())
    # Decays of .5 and .75, then 1 from half way on: the teacher stands still.
    assert ways == pytest.approx([0.5, 0.625, 0.625, 0.625], abs=1e-4)
    assert not any(p.requires_grad for p in teacher.encoder.parameters())


def test_targets_are_normalised_over_the_patches_and_averaged_over_layers():
    teacher = Teacher(encoder(), steps=9, decay=(1.0, 1.0), top_layers=2, normalize=True)
    x = torch.rand(3, 1, 32, 32)
    target = teacher(x)
    assert target.shape == (3, 16, 64)
    assert not target.requires_grad
    net = teacher.encoder
    with torch.inference_mode():
        layers = [t[:, 1:] for t in net.layers(net.place(net.embed(x)))[0][-2:]]
    expected = sum(
        (t - t.mean(1, keepdim=True)) / (t.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
        for t in layers
    )
    expected = torch.nn.functional.layer_norm(expected / 2, (64,))
    torch.testing.assert_close(target, expected, rtol=1e-4, atol=1e-4)
    plain = Teacher(net, 9, (1.0, 1.0), 1, normalize=False)(x)
    torch.testing.assert_close(plain, layers[-1])


def test_the_spread_is_nought_where_all_images_are_the_same():
    teacher = Teacher(encoder(), steps=9, decay=(1.0, 1.0), top_layers=2, normalize=True)
    teacher(torch.rand(1, 1, 32, 32).expand(5, -1, -1, -1))
    teacher(torch.rand(5, 1, 32, 32))
    assert teacher.spread[0] < 1e-5 < 0.01 < teacher.spread[1]


def test_one_image_a_batch_makes_no_nan(few):
    fitted = Data2Vec(epochs=3, batch_size=1).fit(few.train.x[:8])
    assert fitted.spread_curve_ == [0.0] * 3
