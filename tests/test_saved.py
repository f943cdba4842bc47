"""An embedder comes back from its file as it was, and a file can only give what is data."""

import copy
import json
import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

import embedlab
from embedlab import embedders
from embedlab.embedders import (
    CLIP,
    PCA,
    LeNet5,
    LetterNgrams,
    OneHot,
    Pixels,
    Pretrained,
    SimCLR,
    TextEmbedder,
    ViT,
    saved,
)
from embedlab.embedders.base import Embedder
from embedlab.embedders.catalogue import METHODS
from embedlab.embedders.pretrained_clip import PretrainedCLIP
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.training.augment import Affine, Blur
from tests.test_embedders import ALL, of, told
from tests.test_pretrained_clip import save_tiny

TEXTS = ["a cat", "two dogs", "Ärger, 'quoted'"]
OF_TEXTS = [OneHot(), LetterNgrams()]
OF_OTHERS = [Pretrained(), TextEmbedder()]
EVERY = ALL + OF_TEXTS + OF_OTHERS


def quick(embedder):
    """Unfitted, with a single epoch."""
    short = {name: 1 for name in embedder.get_params() if name.endswith("epochs")}
    return clone(embedder).set_params(**short)


@pytest.fixture(scope="module")
def x(few):
    return few.train.x[:60]


@pytest.fixture(scope="module")
def fitted(few, x):
    """Gives each embedder fitted, once for all tests, and what it embeds."""

    @cache
    def fit(embedder):
        if embedder in OF_TEXTS:
            return clone(embedder).fit(TEXTS), TEXTS
        if embedder in OF_OTHERS:
            return clone(embedder).fit(), x[:2] if isinstance(embedder, Pretrained) else TEXTS
        return quick(embedder).fit(x, told(embedder, few.train.y[:60])), few.test.x[:20]

    return fit


@pytest.fixture
def lenet(fitted):
    """A fitted LeNet-5 of the test's own."""
    return copy.deepcopy(fitted(next(e for e in ALL if isinstance(e, LeNet5)))[0])


def test_every_embedder_is_here():
    here = {type(e) for e in EVERY}
    assert {getattr(embedders, name) for name in embedders.__all__} <= here
    assert {type(method.build(0, 9)) for method in METHODS.values()} <= here


@of(EVERY)
def test_it_comes_back_with_the_same_vectors_bit_for_bit(embedder, fitted, tmp_path):
    embedder, x = fitted(embedder)
    path = tmp_path / "new" / "it.safetensors"
    assert embedder.save(str(path)) == path
    again = embedlab.load(str(path))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert type(again) is type(embedder)
    assert repr(again) == repr(embedder)
    assert vars(again).keys() == vars(embedder).keys()
    np.testing.assert_array_equal(again.transform(x), embedder.transform(x))
    before = path.read_bytes()
    assert again.save(path).read_bytes() == before  # over the first, and nothing was lost


def test_all_come_back_in_a_process_that_has_trained_nothing(fitted, tmp_path):
    for i, embedder in enumerate(ALL + OF_TEXTS):
        embedder, x = fitted(embedder)
        embedder.save(tmp_path / f"{i}.safetensors")
        np.savez(tmp_path / f"{i}.npz", x=x, v=embedder.transform(x))
    code = f"""
import numpy as np, embedlab
from embedlab.embedders.shared import network
from embedlab.training.device import set_threads
set_threads()
network.train = None
for i in range({len(ALL + OF_TEXTS)}):
    stored = np.load(f"{{i}}.npz")
    x = stored["x"].tolist() if stored["x"].dtype.kind == "U" else stored["x"]
    np.testing.assert_array_equal(embedlab.load(f"{{i}}.safetensors").transform(x), stored["v"])
print("the same")
"""
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "the same\n", done.stderr


@of(EVERY)
def test_every_byte_of_the_file_is_json_or_a_number(embedder, fitted, tmp_path):
    """Read here by hand, as safetensors are described: a length, JSON, then arrays, no gap."""
    content = fitted(embedder)[0].save(tmp_path / "it").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header.pop("__metadata__")["embedlab"])
    assert about["embedder"]["class"] == f"embedlab.{type(embedder).__name__}"
    end = 0
    for row in sorted(header.values(), key=lambda row: row["data_offsets"]):
        assert row["dtype"] in ("BOOL", "F32", "F64", "I32", "I64")
        assert row["data_offsets"][0] == end
        end = row["data_offsets"][1]
    assert len(content) == 8 + length + end


def test_what_else_it_can_do_comes_back_too(fitted, few, lenet, tmp_path):
    clip, x = fitted(next(e for e in ALL if isinstance(e, CLIP)))
    again = embedlab.load(clip.save(tmp_path / "clip"))
    words = ["a two", "a three"]
    np.testing.assert_array_equal(again.zero_shot(x, words), clip.zero_shot(x, words))
    with pytest.warns(UserWarning, match="'walrus' not in the vocabulary"):
        again.embed_text(["a walrus"])
    logits = embedlab.load(lenet.at(layer="logits").save(tmp_path / "lenet"))
    assert logits.layer == "logits"
    np.testing.assert_array_equal(logits.predict(x), lenet.predict(x))
    assert not logits.network_.training
    again = clone(logits).set_params(layer="fc84").fit(few.train.x[:60], few.train.y[:60])
    np.testing.assert_array_equal(again.transform(x), lenet.transform(x))


def test_labels_views_and_numbers_of_numpy_come_back_as_they_were(x, few, tmp_path):
    names = np.array(few.class_names, dtype=object)[few.train.y[:60]]
    for labels in (names, names.astype(str)):
        views = (Affine(degrees=3), Blur(sigma=np.float32(2)))
        seed = np.int64(3)
        lenet = LeNet5(epochs=1, seed=seed, layer=np.str_("c5"), augment=views).fit(x, labels)
        again = embedlab.load(lenet.save(tmp_path / "it"))
        assert again.classes_.dtype == lenet.classes_.dtype
        assert again.predict(x).tolist() == lenet.predict(x).tolist()
        assert again.get_params() == lenet.get_params()
        kept = {n: type(v) for n, v in again.get_params().items()}
        assert kept == {n: type(v) for n, v in lenet.get_params().items()}


def test_arrays_keep_their_order_in_memory(fitted, tmp_path):
    """A matrix product reads rows and columns in another order, and sums to other last bits."""
    lda = fitted(next(e for e in ALL if type(e).__name__ == "LDA"))[0].estimator_
    embedder = Pixels().fit(np.zeros((2, 1, 4, 4), np.float32))
    embedder.more_ = {
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "cut": lda.scalings_[:, :3],
        7: [np.float64(0.1), (), {}, np.zeros((0, 3))],
    }
    more = embedlab.load(embedder.save(tmp_path / "it")).more_
    assert more["columns"].flags.f_contiguous
    assert more["cut"].flags.f_contiguous == embedder.more_["cut"].flags.f_contiguous
    np.testing.assert_array_equal(more["cut"], embedder.more_["cut"])
    assert isinstance(more[7][0], np.float64)
    assert more[7][1:3] == [(), {}]
    assert more[7][3].shape == (0, 3)


def test_what_is_no_number_stays_none(lenet, x, tmp_path):
    """A network that went wrong is saved as it is: its vectors say so."""
    lenet.loss_curve_ = [np.inf, float("nan"), 1.0]
    nn.init.constant_(lenet.network_.fc84.bias, np.nan)
    again = embedlab.load(lenet.save(tmp_path / "it"))
    np.testing.assert_array_equal(again.loss_curve_, lenet.loss_curve_)
    assert np.isnan(again.transform(x)).all()


# --- what others trained ----------------------------------------------------------------------


@of(OF_OTHERS)
def test_a_model_of_others_is_named_by_parameters_and_hash(embedder, fitted, tmp_path):
    path = fitted(embedder)[0].save(tmp_path / "it")
    assert path.stat().st_size < 2_000
    assert load_file(path) == {}


def test_a_model_whose_weights_are_others_now_is_refused(x, tmp_path):
    folder = tmp_path / "clip"
    save_tiny(folder)
    clip = CLIP.from_pretrained(folder)
    path = clip.save(tmp_path / "it")
    again = embedlab.load(path)
    assert type(again) is PretrainedCLIP
    np.testing.assert_array_equal(again.transform(x), clip.transform(x))
    weights = {k: np.asarray(v) for k, v in load_file(folder / "model.safetensors").items()}
    weights["logit_scale"] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"weights of PretrainedCLIP\(.*clip'\) here are others"):
        embedlab.load(path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"holds no model\.safetensors"):
        embedlab.load(path)


# --- the user's own classes -------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class Centred(Embedder):
    """Pixels less the mean image."""

    factor: float = 2.0

    def _fit(self, X, y):
        self.mean_ = X.mean(axis=0)

    def _transform(self, X):
        return self.factor * (X - self.mean_).reshape(len(X), -1)


@dataclass(eq=False, repr=False)
class Own(NetworkEmbedder):
    """A network of the user's."""

    width: int = 3

    def _build(self, channels, n_out):
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * 1024, self.width))

    def _fit(self, X, y):
        self.network_ = self._new_network(X.shape[1], 5)

    def _transform(self, X):
        return self.network_(torch.from_numpy(X)).detach().numpy()


@of([Centred(factor=3.0), Own(width=4, seed=2)])
def test_a_class_of_the_users_own_is_passed(embedder, x, tmp_path):
    embedder = clone(embedder).fit(x)
    path, name = embedder.save(tmp_path / "it"), type(embedder).__name__
    again = embedlab.load(path, Pixels, type(embedder))
    np.testing.assert_array_equal(again.transform(x), embedder.transform(x))
    with pytest.raises(ValueError, match=rf"no class of embedlab's: pass it, load\(path, {name}\)"):
        embedlab.load(path)
    with pytest.raises(TypeError, match="then classes, such as MyEmbedder"):
        embedlab.load(path, embedder)


# --- what cannot be saved ---------------------------------------------------------------------


def test_what_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError, match="LeNet5 instance is not fitted"):
        LeNet5().save(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_a_view_of_the_users_own_is_no_data(lenet, x, tmp_path):
    lenet.set_params(augment=[Affine(), lambda images, generator: images])
    with pytest.raises(TypeError, match=r"LeNet5.augment\[1\] is a function, .* by set_params"):
        lenet.save(tmp_path / "it")
    again = embedlab.load(lenet.set_params(augment=True).save(tmp_path / "it"))
    np.testing.assert_array_equal(again.transform(x), lenet.transform(x))


def test_an_encoder_to_start_from_is_not_saved(x, few, tmp_path):
    first = ViT(epochs=1).fit(x, few.train.y[:60])
    tuned = ViT(epochs=1, encoder=first.network_["encoder"]).fit(x, few.train.y[:60])
    with pytest.raises(TypeError, match=r"ViT.encoder is a ViTEncoder, which cannot be saved"):
        tuned.save(tmp_path / "it")
    again = embedlab.load(tuned.set_params(encoder=None).save(tmp_path / "it"))
    np.testing.assert_array_equal(again.transform(x), tuned.transform(x))


def test_parameters_that_were_changed_after_fit_are_told(fitted, tmp_path):
    simclr = copy.copy(fitted(next(e for e in ALL if isinstance(e, SimCLR)))[0])
    simclr.set_params(projection_dim=None)
    with pytest.raises(ValueError, match="parameters of SimCLR do not build the network that it"):
        simclr.save(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["picture", "safetensors", "folder"])
def test_what_is_no_saved_embedder_is_not_replaced(there, lenet, tmp_path):
    path = tmp_path / "it"
    if there == "folder":
        path.mkdir()
    elif there == "picture":
        path.write_bytes(b"\x89PNG mine")
    else:
        save_file({"a": np.zeros(3)}, path)
    before = path.is_dir() or path.read_bytes()
    with pytest.raises(FileExistsError, match="it exists and is no saved embedder"):
        lenet.save(path)
    assert (path.is_dir() or path.read_bytes()) == before


def test_a_full_disk_leaves_the_old_one_whole(lenet, fitted, tmp_path, monkeypatch):
    path = lenet.save(tmp_path / "it")
    before = path.read_bytes()

    def write_half(file):
        os.ftruncate(file, 99)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", write_half)
        with pytest.raises(OSError, match="No space left"):
            fitted(ALL[0])[0].save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# --- what cannot be loaded --------------------------------------------------------------------


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone does not exist: embedder"):
        embedlab.load(tmp_path / "gone")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"\x80\x04K\x01.",  # a pickle of the number 1
        lambda content: content[:5],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-7] + bytes([content[-7] ^ 1]) + content[-6:],
        lambda content: content.replace(b"fc84", b"fc85", 1),
        lambda content: content.replace(rb"\"epochs\": 1", rb"\"epochs\": 2"),
    ],
    ids=["empty", "pickle", "start", "cut", "longer", "a bit", "name", "parameter"],
)
def test_a_damaged_file(spoil, lenet, tmp_path):
    path = lenet.save(tmp_path / "it")
    content = path.read_bytes()
    path.write_bytes(spoil(content))
    assert path.read_bytes() != content
    with pytest.raises(ValueError, match="it is damaged"):
        embedlab.load(path)


@pytest.mark.parametrize("there", ["folder", "other"])
def test_what_nobody_saved(there, tmp_path):
    path = tmp_path / "it"
    path.mkdir() if there == "folder" else save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"no file that embedder.save\(path\) wrote"):
        embedlab.load(path)


def forged(path, change):
    """The file with its JSON and its arrays changed, by one who knows how to sign it."""
    arrays = load_file(path)
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["embedlab"])
    change(about, about["embedder"]["state"], arrays)
    del about["sha256"]
    about["sha256"] = saved._sha256(about, arrays)
    save_file(arrays, path, {"embedlab": json.dumps(about)})
    return path


def shrink(about, state, arrays):
    arrays["LeNet5.network_.fc84.bias"] = arrays["LeNet5.network_.fc84.bias"][:5]


def lose(about, state, arrays):
    del arrays["LeNet5.network_.fc84.bias"]


def of_class(name):
    return lambda about, state, arrays: state.update(seed={"class": name, "state": {}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about, state, arrays: about.update(format=2), "has format 2; .* reads 1"),
        (lambda about, state, arrays: state.update(epochs=0), "cannot be loaded: epochs=0 must be"),
        (lambda about, state, arrays: state.pop("fit_seconds_"), "not fitted"),
        (lambda about, state, arrays: about.update(embedder=3), "cannot be loaded"),
        (lambda about, state, arrays: about.pop("embedder"), "cannot be loaded"),
        (lambda about, state, arrays: state.update(embed_dim=5), "of LeNet5 do not build"),
        (shrink, "of LeNet5 do not build"),
        (lose, "of LeNet5 do not build"),
        (of_class("this.Zen"), "this.Zen is no class of embedlab's"),
        (of_class("os.system"), "os.system is no class"),
        (of_class("sklearn.GridSearchCV"), "sklearn.GridSearchCV is no class"),
        (of_class("embedlab.train"), "embedlab.train is no class"),
    ],
)
def test_a_file_that_does_not_fit_together(change, words, lenet, tmp_path):
    path = forged(lenet.save(tmp_path / "it"), change)
    with pytest.raises(ValueError, match=words):
        embedlab.load(path)
    assert "this" not in sys.modules


def test_another_scikit_learn_is_told_where_it_counts(lenet, fitted, x, tmp_path, recwarn):
    def older(about, state, arrays):
        about["versions"]["scikit-learn"] = "1.2.2"

    embedlab.load(forged(lenet.save(tmp_path / "lenet"), older))
    assert not recwarn.list
    pca = fitted(next(e for e in ALL if isinstance(e, PCA)))[0]
    with pytest.warns(UserWarning, match=r"saved with scikit-learn 1\.2\.2, this is .* may differ"):
        again = embedlab.load(forged(pca.save(tmp_path / "pca"), older))
    np.testing.assert_array_equal(again.transform(x), pca.transform(x))
