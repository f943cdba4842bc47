"""What holds for every embedder; and the traditional ones, and LeNet-5."""

import copy
import pickle
import re
from functools import cache
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from embedlab.data import captions
from embedlab.embedders import (
    CLIP,
    LDA,
    MAE,
    PCA,
    Autoencoder,
    Data2Vec,
    KernelLDA,
    KernelPCA,
    LeNet5,
    Pixels,
    SimCLR,
    Triplet,
    Untrained,
    ViT,
)
from embedlab.embedders.base import Embedder
from embedlab.embedders.lenet import C3_TABLE, LAYERS, LeNet5Network
from embedlab.embedders.pretrained_clip import PretrainedCLIP
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.training.augment import Affine, Blur, ResizedCrop
from embedlab.training.loop import train

LENET = LeNet5(epochs=2)
ALL = [
    Pixels(),
    Untrained(LeNet5()),
    PCA(8),
    LDA(),
    KernelPCA(8),
    KernelLDA(n_landmarks=100),
    LENET,
    Untrained(SimCLR()),
    Autoencoder(8, epochs=2),
    SimCLR(epochs=2),
    Triplet(epochs=2),
    Untrained(ViT()),
    ViT(epochs=4),
    MAE(epochs=2),
    Data2Vec(epochs=2),
    CLIP(epochs=4),
]
TRAINED = [e for e in ALL if isinstance(e, NetworkEmbedder)]
SEEDED = [e for e in ALL if isinstance(e, NetworkEmbedder | Untrained)]
LABELLED = [e for e in ALL if e.supervision == "labels"]
NETWORKS = tuple(type(e) for e in TRAINED)
PATCHED = (ViT, MAE, Data2Vec)
CONTRASTIVE = (SimCLR, Triplet)


def of(embedders):
    """A test for each of them."""
    return pytest.mark.parametrize("embedder", embedders, ids=lambda e: type(e).__name__)


def told(embedder, y):
    """What `embedder` is fitted with: labels, or captions that say the same."""
    if embedder.supervision != "captions":
        return y
    return np.array([captions.one(captions.NUMBERS[label]) for label in y])


def fit(embedder, split):
    return embedder.fit(split.x, told(embedder, split.y))


def read(embedder, split):
    """The vectors that it has for a split: of images and, where it reads them, of texts."""
    yield embedder.transform(split.x)
    if hasattr(embedder, "embed_text"):
        yield embedder.embed_text(told(embedder, split.y))


@pytest.fixture(scope="module")
def fitted(few):
    """Gives each embedder fitted, and fits it once for all tests."""
    return cache(lambda embedder: fit(clone(embedder), few.train))


def test_who_is_told_what():
    assert {type(e) for e in LABELLED} == {LDA, KernelLDA, LeNet5, ViT}
    assert {type(e) for e in ALL if e.supervision == "captions"} == {CLIP}


@of(ALL)
def test_vectors_are_float32_one_an_image(embedder, fitted, few):
    v = fitted(embedder).transform(few.test.x)
    assert v.dtype == np.float32
    assert v.shape[0] == len(few.test)
    assert v.ndim == 2
    assert np.isfinite(v).all()


@of(ALL)
def test_same_seed_same_vectors_bit_for_bit(embedder, fitted, few):
    """Whoever needs no labels is given none the second time."""
    y = None if embedder.supervision == "none" else told(embedder, few.train.y)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    again = clone(embedder).fit(few.train.x, y)
    assert torch.equal(torch.rand(3), expected)  # torch's own generator is left alone
    for a, b in zip(read(fitted(embedder), few.test), read(again, few.test), strict=True):
        np.testing.assert_array_equal(a, b)


@of(SEEDED)
def test_another_seed_other_vectors(embedder, fitted, few):
    name = next(n for n in ("seed", "embedder__seed") if n in embedder.get_params())
    other = fit(clone(embedder).set_params(**{name: 1}), few.train)
    a, b = (e.transform(few.test.x) for e in (fitted(embedder), other))
    assert np.abs(a - b).max() > min(0.05, a.std())  # CLIP's are small after an epoch


DEFAULTS = {kind: kind(epochs=2) for kind in NETWORKS}


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (LeNet5, {"augment": [ResizedCrop(0.3)]}),
        (SimCLR, {"views": Affine()}),
        (Autoencoder, {"noise": 0}),
        (ViT, {"augment": False}),
        (ViT, {"augment": ResizedCrop(0.3)}),
        (ViT, {"pos_embed": "sincos"}),
        (ViT, {"global_pool": "cls"}),
        (ViT, {"num_heads": 2}),
        (MAE, {"augment": False}),
        (MAE, {"mask_ratio": 0.5}),
        (Data2Vec, {"augment": False}),
        (Data2Vec, {"mask_ratio": 0.75}),
        (Data2Vec, {"masks": "blocks"}),
        (Data2Vec, {"ema_decay": (0.0, 0.0)}),
        (Data2Vec, {"top_layers": 1}),
        (Data2Vec, {"normalize": False}),
        (Data2Vec, {"beta": 0.1}),
        (CLIP, {"augment": True}),
        (CLIP, {"augment": ResizedCrop(0.3)}),
        (CLIP, {"temperature": 0.02}),
        (CLIP, {"learn_temperature": False}),
    ],
    ids=lambda v: v.__name__ if isinstance(v, type) else next(iter(v)),
)
def test_every_parameter_reaches_the_training(kind, changed, fitted, few):
    usual = fitted(DEFAULTS[kind]).loss_curve_
    other = fit(kind(epochs=2, **changed), few.train).loss_curve_
    assert max(abs(a - b) for a, b in zip(usual, other, strict=True)) > 1e-5


def test_augment_is_by_default_a_mild_affine_view(fitted, few):
    own = fit(LeNet5(epochs=2, augment=[Affine()]), few.train)
    np.testing.assert_array_equal(own.transform(few.test.x), fitted(LENET).transform(few.test.x))


def probed(embedder):
    return make_pipeline(embedder, StandardScaler(), LogisticRegression(max_iter=1_000))


@of(ALL)
def test_scikit_learns_interface(embedder, few):
    copied = clone(embedder)
    flat = lambda e: {k: v for k, v in e.get_params().items() if not isinstance(v, Embedder)}  # noqa: E731
    assert flat(copied) == flat(embedder)
    assert not hasattr(copied, "fit_seconds_")
    pipe = probed(copied).fit(few.train.x, told(embedder, few.train.y))
    assert pipe.score(few.test.x, told(embedder, few.test.y)) > 0.5
    assert copied.set_params(**copied.get_params()) is copied


@pytest.mark.parametrize(
    ("embedder", "name", "values"),
    [
        (PCA(), "n_components", [2, 16]),
        (LDA(), "n_components", [2, 9]),
        (KernelPCA(), "n_components", [2, 16]),
        (KernelLDA(n_landmarks=100), "n_components", [2, 9]),
        (LeNet5(epochs=8), "embed_dim", [1, 84]),
        (Autoencoder(epochs=8), "n_components", [1, 16]),
        (SimCLR(epochs=4), "embed_dim", [1, 32]),
        (Triplet(epochs=4), "embed_dim", [1, 32]),
        (ViT(epochs=8), "embed_dim", [4, 64]),
        (MAE(epochs=8), "embed_dim", [4, 64]),
        (Data2Vec(epochs=8), "embed_dim", [4, 64]),
        (CLIP(epochs=8), "embed_dim", [1, 64]),
    ],
    ids=lambda p: type(p).__name__ if isinstance(p, Embedder) else "",
)
def test_grid_search(embedder, name, values, few):
    name = f"{type(embedder).__name__.lower()}__{name}"
    search = GridSearchCV(probed(embedder), {name: values}, cv=2, error_score="raise")
    search.fit(few.train.x, told(embedder, few.train.y))
    assert search.best_params_[name] == values[1]


@of(ALL)
def test_pickles_when_fitted(embedder, fitted, few):
    again = pickle.loads(pickle.dumps(fitted(embedder)))
    for a, b in zip(read(fitted(embedder), few.test), read(again, few.test), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def assert_not_fitted(embedder, x):
    asked = {
        "transform": (x,),
        "at": (),
        "tokens": (x,),
        "attention": (x,),
        "rebuild": (x,),
        "reconstruct": (x,),
        "predict": (x,),
        "decode": (np.zeros((2, 8)),),
        "embed_text": (["a two"],),
        "zero_shot": (x, ["a two"]),
        "class_vectors": (["a two"],),
        "retrieve": (["a two"], x),
    }
    for name, args in asked.items():
        if hasattr(embedder, name):
            with pytest.raises(NotFittedError):
                getattr(embedder, name)(*args)


@of(ALL)
def test_what_is_asked_before_fit(embedder, few):
    assert_not_fitted(clone(embedder), few.test.x)


@of(TRAINED)
def test_a_fit_that_is_broken_off_leaves_nothing_that_looks_fitted(
    embedder, fitted, few, monkeypatch
):
    """At the second step, of a first fit and of a second one."""
    fits = clone(embedder), copy.copy(fitted(embedder))

    def interrupted(network, loss, *args, **kwargs):
        steps = []

        def once(*batch):
            steps.append(1)
            if len(steps) == 2:
                raise KeyboardInterrupt
            return loss(*batch)

        return train(network, once, *args, **kwargs)

    monkeypatch.setattr("embedlab.embedders.shared.network.train", interrupted)
    for again in fits:
        with pytest.raises(KeyboardInterrupt):
            fit(again, few.train)
        assert vars(again).keys() == vars(clone(embedder)).keys()
        assert_not_fitted(again, few.test.x)


@of(TRAINED)
def test_the_gpu_path_runs_on_the_cpu(embedder, few, fast_path):
    """bf16 autocast and channels-last memory, through views, network and loss."""
    fast = fit(clone(embedder).set_params(epochs=1), few.train)
    assert np.isfinite(fast.loss_curve_).all()
    v = fast.transform(few.test.x)
    assert np.isfinite(v).all()
    first = fit(Untrained(clone(embedder)), few.train).transform(few.test.x)
    assert np.abs(v - first).max() > 0.01


@pytest.mark.parametrize(
    ("embedder", "name"),
    [
        (SimCLR(epochs=1), "simclr.nt_xent"),
        (Triplet(epochs=1), "triplet.triplet_loss"),
        (CLIP(epochs=1), "clip.clip_loss"),
    ],
    ids=["SimCLR", "Triplet", "CLIP"],
)
def test_a_loss_of_cosines_is_never_computed_in_bf16(embedder, name, few, monkeypatch, fast_path):
    name = f"embedlab.embedders.{name}"
    real, seen = resolve_name(name), []

    def loss(a, b, *more):
        seen.extend([a.dtype, b.dtype, (a @ b.T).dtype])
        for vectors in (a, b):
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
        return real(a, b, *more)

    monkeypatch.setattr(name, loss)
    fit(embedder, few.train)
    assert set(seen) == {torch.float32}


@of(SEEDED)
def test_colour_images(embedder, fitted, few):
    x = np.random.default_rng(0).random((8, 3, 32, 32), np.float32)
    v = clone(embedder).fit(x, told(embedder, np.arange(8) % 2)).transform(x)
    assert v.shape == (8, fitted(embedder).transform(few.test.x[:1]).shape[1])


@of(ALL)
@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda x: np.where(x > 2, x, np.nan), ValueError, "X contains NaN"),
        (lambda x: x.reshape(len(x), -1), ValueError, "X must have shape"),
        (lambda x: np.repeat(x, 2, axis=1), ValueError, "X must have shape"),
        (lambda x: (x * 255).astype(np.uint8), TypeError, "X must hold floats"),
        (lambda x: x.astype(str), TypeError, "X must hold floats"),
        (lambda x: x * 255, ValueError, "X must lie in"),
        (lambda x: x[:0], ValueError, "minimum of 1"),
    ],
    ids=["nan", "flat", "channels", "uint8", "text", "range", "empty"],
)
def test_bad_images(embedder, spoil, error, words, fitted, few):
    x = spoil(few.train.x[:20])
    with pytest.raises(error, match=words):
        clone(embedder).fit(x, told(embedder, few.train.y[: len(x)]))
    with pytest.raises(error, match=words):
        fitted(embedder).transform(x)


@of(ALL)
def test_images_of_another_shape_than_in_fit(embedder, fitted, few):
    colour, words = np.repeat(few.test.x, 3, axis=1), r"shape \(3, 32, 32\), .* fitted with"
    for read in ("transform", "tokens", "attention"):
        if hasattr(embedder, read):
            with pytest.raises(ValueError, match=f"X has images of {words}"):
                getattr(fitted(embedder), read)(colour)


@of(SEEDED)
def test_networks_need_32x32(embedder, few):
    with pytest.raises(ValueError, match="X must hold 32x32 images, got 28x28"):
        clone(embedder).fit(few.train.x[:, :, 2:30, 2:30], told(embedder, few.train.y))


@of([e for e in TRAINED if e.alone])
def test_one_image_is_too_few(embedder, few):
    with pytest.raises(ValueError, match="X holds a single image"):
        clone(embedder).fit(few.train.x[:1], told(embedder, few.train.y[:1]))


@of(LABELLED)
@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (lambda y: None, "requires y"),
        (lambda y: np.zeros_like(y), "y has a single class"),
        (lambda y: y[:-1], "inconsistent numbers of samples"),
        (lambda y: y + 0.5, "Unknown label type"),
    ],
    ids=["none", "single", "short", "continuous"],
)
def test_bad_labels(embedder, labels, words, few):
    with pytest.raises(ValueError, match=words):
        clone(embedder).fit(few.train.x, labels(few.train.y))


NAN, INF = float("nan"), float("inf")
REFUSED = [  # kinds; parameters, of which the error names the first; and what else it says
    (NETWORKS, {"epochs": 0}, ""),
    (NETWORKS, {"batch_size": 0}, ""),
    (NETWORKS, {"batch_size": 1.5}, ""),
    ((PretrainedCLIP,), {"batch_size": 0}, ""),
    ((LeNet5, *CONTRASTIVE, CLIP), {"embed_dim": 0}, ""),
    (PATCHED, {"embed_dim": 2.5}, ""),
    ((LeNet5,), {"layer": "fc"}, ""),
    ((Autoencoder,), {"n_components": 0}, ""),
    ((Autoencoder,), {"noise": -0.1}, ""),
    ((Autoencoder,), {"noise": NAN}, ""),
    ((Autoencoder,), {"batch_size": 1}, " is too small"),
    (CONTRASTIVE, {"batch_size": 1}, " has nothing to contrast with"),
    (CONTRASTIVE, {"views": ()}, ""),
    (CONTRASTIVE, {"views": "blur"}, ""),
    (CONTRASTIVE, {"views": (Blur(), 3)}, ""),
    (CONTRASTIVE, {"views": [Blur]}, ""),
    (CONTRASTIVE, {"layer": "head"}, ""),
    (CONTRASTIVE, {"layer": "projection", "projection_dim": None}, " needs a projection_dim"),
    (CONTRASTIVE, {"projection_dim": 0}, ""),
    *(((SimCLR,), {"temperature": t}, "") for t in (0, -0.5, NAN, INF, "low", None, True)),
    *(((Triplet,), {"margin": margin}, "") for margin in (0, -1, 5)),
    (PATCHED, {"patch_size": 5}, " does not divide .* use 4, 8"),
    (PATCHED, {"patch_size": 0}, ""),
    (PATCHED, {"num_heads": 3}, " must divide embed_dim=64"),
    (PATCHED, {"depth": 0}, ""),
    (PATCHED, {"global_pool": "max"}, " must be one of cls, mean"),
    ((ViT,), {"augment": 1}, " must hold views"),
    ((ViT,), {"pos_embed": "up"}, " must be one of learned, sincos, none"),
    ((ViT,), {"embed_dim": 6, "num_heads": 2, "pos_embed": "sincos"}, ": sincos"),
    ((MAE,), {"embed_dim": 6, "num_heads": 2}, ": the predictor"),
    ((MAE,), {"patch_size": 32}, " makes one patch"),
    *(
        ((MAE, Data2Vec), {"mask_ratio": r}, r".* of the 16 patches .* 0\.0625 to 0\.938")
        for r in (0, 1, 0.01, 0.99, -1, NAN, "most", None)
    ),
    ((Data2Vec,), {"masks": ["random"]}, " must be one of random, blocks"),
    ((Data2Vec,), {"masks": "stripes"}, " must be one of random, blocks"),
    ((Data2Vec,), {"top_layers": 5}, " must be at most the depth, 4"),
    ((Data2Vec,), {"beta": 0}, ""),
    ((Data2Vec,), {"ema_decay": 0.9}, " must be two numbers"),
    ((Data2Vec,), {"ema_decay": (0.9, 1.5)}, " .* from 0 to 1"),
    ((CLIP,), {"word_dim": 1.5}, ""),
    ((CLIP,), {"depth": 0}, ""),
    ((CLIP,), {"num_heads": 3}, " must divide word_dim=64"),
    ((CLIP,), {"context_length": 0}, ""),
    ((CLIP,), {"temperature": 0}, " "),
    ((CLIP,), {"temperature": 0.005}, r" must be at least 0\.01"),
    ((CLIP,), {"temperature": NAN}, ""),
    ((CLIP,), {"batch_size": 1}, " has no wrong answers"),
    ((CLIP,), {"augment": "flip"}, ""),
]


@pytest.mark.parametrize(
    ("embedder", "words"),
    [
        pytest.param(
            kind(**params),
            re.escape("{}={!r}".format(*next(iter(params.items())))) + words,
            id=f"{kind.__name__}-{next(iter(params))}",
        )
        for kinds, params, words in REFUSED
        for kind in kinds
    ],
)
def test_bad_parameters(embedder, words, few):
    with pytest.raises(ValueError, match=words):
        fit(embedder, few.train)


def test_pca_is_scikit_learns(few):
    ours = PCA(5).fit(few.train.x)
    flat = few.train.x.reshape(len(few.train), -1)
    theirs = SklearnPCA(5, random_state=0).fit(flat)
    np.testing.assert_allclose(
        ours.transform(few.train.x), theirs.transform(flat), rtol=1e-4, atol=1e-4
    )
    back = ours.reconstruct(few.test.x)
    assert back.shape == few.test.x.shape
    better = np.square(PCA(20).fit(few.train.x).reconstruct(few.test.x) - few.test.x).mean()
    assert better < np.square(back - few.test.x).mean()


def test_kernel_lda_takes_fewer_images_than_landmarks(few):
    v = KernelLDA().fit(few.train.x, few.train.y).transform(few.test.x)
    assert v.shape == (len(few.test), 9)


# --- LeNet-5 ----------------------------------------------------------------------------------


def test_layers_have_the_papers_shapes():
    network = LeNet5Network(1, 10)
    shapes = {k: tuple(v.shape[1:]) for k, v in network.layers(torch.zeros(2, 1, 32, 32)).items()}
    assert shapes == {
        "c1": (6, 28, 28),
        "s2": (6, 14, 14),
        "c3": (16, 10, 10),
        "s4": (16, 5, 5),
        "c5": (120,),
        "fc84": (84,),
        "logits": (10,),
    }


def test_trainable_numbers_of_each_layer_are_the_papers():
    network = LeNet5Network(1, 10)
    count = {
        name: sum(p.numel() for p in getattr(network, name).parameters())
        for name in ("c1", "s2", "s4", "c5", "fc84")
    }
    assert count == {"c1": 156, "s2": 12, "s4": 32, "c5": 48_120, "fc84": 10_164}
    # C3 has 1,516: 60 of the 96 pairs of maps are connected, and each map has a bias.
    assert int(network.c3_mask.sum()) * 25 + 16 == 1_516


def test_c3_sees_the_maps_of_the_table_only():
    network = LeNet5Network(1, 10)
    x = torch.randn(1, 6, 14, 14, requires_grad=True)
    out = torch.nn.functional.conv2d(x, network.c3.weight * network.c3_mask)
    for k, row in enumerate(C3_TABLE):
        (grad,) = torch.autograd.grad(out[0, k].sum(), x, retain_graph=True)
        seen = {str(i) for i in range(6) if grad[0, i].abs().sum() > 0}
        assert seen == set(row)


def test_at_gives_each_layer_of_the_same_training(fitted, few):
    lenet = fitted(LENET)
    lengths = {layer: lenet.at(layer=layer).transform(few.test.x[:3]).shape[1] for layer in LAYERS}
    assert lengths["fc84"] == 84
    assert lengths["logits"] == lengths["softmax"] == 10
    assert lengths["c3"] == 1_600
    np.testing.assert_allclose(
        lenet.at(layer="softmax").transform(few.test.x).sum(axis=1), 1, rtol=1e-5
    )
    assert lenet.layer == "fc84"
    with pytest.raises(ValueError, match="layer='fc85'"):
        lenet.at(layer="fc85")


def test_predict_gives_the_labels_it_was_taught(few):
    names = np.array([f"digit {c}" for c in few.class_names])
    lenet = LeNet5(epochs=12).fit(few.train.x, names[few.train.y])
    assert (lenet.predict(few.train.x) == names[few.train.y]).mean() > 0.8
