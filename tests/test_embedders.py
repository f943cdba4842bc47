from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
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
from embedlab.embedders.shared.network import NetworkEmbedder

ALL = [
    Pixels(),
    Untrained(LeNet5()),
    PCA(8),
    LDA(),
    KernelPCA(8),
    KernelLDA(n_landmarks=100),
    LeNet5(epochs=2),
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
NAMES = [type(e).__name__ for e in ALL]
NETWORKS = (NetworkEmbedder, Untrained)
SEEDED = [e for e in ALL if isinstance(e, NETWORKS)]
LABELLED = [e for e in ALL if e.supervision == "labels"]
each = pytest.mark.parametrize("embedder", ALL, ids=NAMES)


def told(embedder, y):
    """What `embedder` is fitted with: labels, or captions that say the same."""
    if embedder.supervision != "captions":
        return y
    return np.array([captions.one(captions.NUMBERS[label]) for label in y])


@each
def test_vectors_are_float32_one_an_image(embedder, few):
    v = clone(embedder).fit(few.train.x, told(embedder, few.train.y)).transform(few.test.x)
    assert v.dtype == np.float32
    assert v.shape[0] == len(few.test)
    assert v.ndim == 2
    assert np.isfinite(v).all()


@each
def test_same_seed_same_vectors_bit_for_bit(embedder, few):
    x, y = few.train.x, told(embedder, few.train.y)
    a, b = (clone(embedder).fit(x, y).transform(few.test.x) for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("embedder", SEEDED, ids=lambda e: type(e).__name__)
def test_another_seed_other_vectors(embedder, few):
    name = next(n for n in ("seed", "embedder__seed") if n in embedder.get_params())
    x, y = few.train.x, told(embedder, few.train.y)
    a, b = (clone(embedder).set_params(**{name: s}).fit(x, y).transform(few.test.x) for s in (0, 1))
    assert np.abs(a - b).max() > min(0.05, a.std())  # CLIP's are small after an epoch


@each
def test_a_fit_leaves_torchs_generator_alone(embedder, few):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    clone(embedder).fit(few.train.x, told(embedder, few.train.y))
    assert torch.equal(torch.rand(3), expected)


@each
def test_scikit_learns_interface(embedder, few):
    copy = clone(embedder)
    flat = lambda e: {k: v for k, v in e.get_params().items() if not isinstance(v, Embedder)}  # noqa: E731
    assert flat(copy) == flat(embedder)
    assert not hasattr(copy, "fit_seconds_")
    pipe = Pipeline(
        [
            ("embed", copy),
            ("scale", StandardScaler()),
            ("probe", LogisticRegression(max_iter=1_000)),
        ]
    )
    pipe.fit(few.train.x, told(embedder, few.train.y))
    assert pipe.score(few.test.x, told(embedder, few.test.y)) > 0.5
    assert copy.set_params(**copy.get_params()) is copy


@pytest.mark.parametrize(
    ("embedder", "grid"),
    [
        (PCA(), {"embed__n_components": [2, 16]}),
        (LDA(), {"embed__n_components": [2, 9]}),
        (KernelPCA(), {"embed__n_components": [2, 16]}),
        (KernelLDA(n_landmarks=100), {"embed__n_components": [2, 9]}),
        (LeNet5(epochs=8), {"embed__embed_dim": [1, 84]}),
        (Autoencoder(epochs=8), {"embed__n_components": [1, 16]}),
        (SimCLR(epochs=4), {"embed__embed_dim": [1, 32]}),
        (Triplet(epochs=4), {"embed__embed_dim": [1, 32]}),
        (ViT(epochs=8), {"embed__embed_dim": [4, 64]}),
        (MAE(epochs=8), {"embed__embed_dim": [4, 64]}),
        (Data2Vec(epochs=8), {"embed__embed_dim": [4, 64]}),
        (CLIP(epochs=8), {"embed__embed_dim": [1, 64]}),
    ],
    ids=lambda p: type(p).__name__ if isinstance(p, Embedder) else "",
)
def test_grid_search(embedder, grid, few):
    pipe = Pipeline(
        [
            ("embed", embedder),
            ("scale", StandardScaler()),
            ("probe", LogisticRegression(max_iter=1_000)),
        ]
    )
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise")
    search.fit(few.train.x, told(embedder, few.train.y))
    (name, values) = next(iter(grid.items()))
    assert search.best_params_[name] == values[1]


@each
def test_pickles_when_fitted(embedder, few):
    fitted = clone(embedder).fit(few.train.x, told(embedder, few.train.y))
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.transform(few.test.x), fitted.transform(few.test.x), atol=1e-4)


@each
def test_transform_before_fit(embedder, few):
    with pytest.raises(NotFittedError):
        clone(embedder).transform(few.test.x)


@each
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
def test_bad_images(embedder, spoil, error, words, few):
    x = few.train.x[:20]
    with pytest.raises(error, match=words):
        clone(embedder).fit(spoil(x), told(embedder, few.train.y[: len(spoil(x))]))
    fitted = clone(embedder).fit(few.train.x, told(embedder, few.train.y))
    with pytest.raises(error, match=words):
        fitted.transform(spoil(x))


@each
def test_images_of_another_shape_than_in_fit(embedder, few):
    fitted = clone(embedder).fit(few.train.x, told(embedder, few.train.y))
    with pytest.raises(ValueError, match=r"X has images of shape \(3, 32, 32\)"):
        fitted.transform(np.repeat(few.test.x, 3, axis=1))


@pytest.mark.parametrize("embedder", LABELLED, ids=lambda e: type(e).__name__)
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


def test_a_failed_refit_does_not_look_fitted(few, monkeypatch):
    lenet = LeNet5(epochs=1).fit(few.train.x, few.train.y)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("embedlab.embedders.shared.network.train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lenet.fit(few.train.x, few.train.y)
    with pytest.raises(NotFittedError):
        lenet.transform(few.test.x)


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


def test_at_gives_each_layer_of_the_same_training(few):
    lenet = LeNet5(epochs=1).fit(few.train.x, few.train.y)
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


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"embed_dim": 0}, "embed_dim=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 1.5}, "batch_size=1.5"),
        ({"layer": "fc"}, "layer='fc'"),
    ],
)
def test_bad_parameters(kwargs, words, few):
    with pytest.raises(ValueError, match=words):
        LeNet5(**kwargs).fit(few.train.x, few.train.y)


def test_lenet_takes_views_of_the_users_own(few):
    from embedlab.training.augment import Affine, ResizedCrop

    fit = lambda augment: LeNet5(epochs=2, augment=augment).fit(few.train.x, few.train.y)  # noqa: E731
    plain, mild, strong = (
        fit(a).transform(few.test.x) for a in (True, [Affine()], [ResizedCrop(0.3)])
    )
    np.testing.assert_array_equal(plain, mild)
    assert not np.allclose(plain, strong)


def test_lenet_needs_32x32():
    with pytest.raises(ValueError, match="32x32"):
        LeNet5().fit(np.zeros((4, 1, 28, 28), np.float32), [0, 1, 0, 1])


def test_shuffled_labels_are_learned_and_do_not_help(few):
    """The control must fail: trained on nonsense, the vectors retrieve worse than pixels."""
    from embedlab.data.labels import shuffled
    from embedlab.measure.retrieval import mean_average_precision

    right = LeNet5(epochs=15).fit(few.train.x, few.train.y)
    deaf = LeNet5(epochs=15).fit(few.train.x, shuffled(few.train.y))
    value = {
        name: mean_average_precision(e.transform(few.test.x), few.test.y).mean()
        for name, e in (("right", right), ("deaf", deaf), ("pixels", Pixels().fit(few.train.x)))
    }
    assert value["deaf"] < value["pixels"] < value["right"]
