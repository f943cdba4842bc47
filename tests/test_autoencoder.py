import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone

from embedlab.embedders import PCA, Autoencoder
from embedlab.embedders.autoencoder import AutoencoderNetwork
from embedlab.lessons.lesson_03.reconstruction import reconstruction_error


@pytest.fixture(scope="module")
def fitted(few):
    return Autoencoder(8, epochs=60).fit(few.train.x)


def test_shapes(fitted, few):
    assert fitted.transform(few.test.x).shape == (len(few.test), 8)
    rebuilt = fitted.reconstruct(few.test.x)
    assert rebuilt.shape == few.test.x.shape
    assert rebuilt.dtype == np.float32
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= 1
    assert AutoencoderNetwork(3, 5)(torch.zeros(2, 3, 32, 32)).shape == (2, 3, 32, 32)


def test_training_rebuilds_better_than_the_mean_image_by_far(fitted, few):
    missed = np.square(fitted.reconstruct(few.test.x) - few.test.x).mean()
    mean = np.square(few.train.x.mean(axis=0) - few.test.x).mean()
    assert missed < 0.5 * mean
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]


def test_decode_is_the_way_back(fitted, few):
    vectors, rebuilt = fitted.transform(few.test.x[:5]), fitted.reconstruct(few.test.x[:5])
    for given in (vectors, vectors.tolist()):
        np.testing.assert_allclose(fitted.decode(given), rebuilt, atol=1e-6)


def test_noise_is_on_the_input_only(few, monkeypatch):
    """The target of the loss stays clean: it has as many black pixels as the images."""
    seen = []
    real = F.binary_cross_entropy_with_logits

    def watched(logits, target):
        seen.append(target)
        return real(logits, target)

    monkeypatch.setattr(F, "binary_cross_entropy_with_logits", watched)
    noisy = Autoencoder(4, noise=0.5, epochs=1, batch_size=100).fit(few.train.x)
    target = torch.cat(seen)
    assert target.min() >= 0
    assert target.max() <= 1
    black = (few.train.x == 0).mean()
    assert (target == 0).float().mean().item() == pytest.approx(black, abs=0.05)
    clean = clone(noisy).set_params(noise=0).fit(few.train.x)
    assert not np.allclose(clean.transform(few.test.x), noisy.transform(few.test.x))


def test_bad_vectors(fitted):
    with pytest.raises(ValueError, match="vectors must have 8 numbers each, got 5"):
        fitted.decode(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="vectors contains NaN"):
        fitted.decode(np.full((2, 8), np.nan))


# --- the error ------------------------------------------------------------------------------------


def test_reconstruction_error_is_the_log_of_the_mean_squared_error(few):
    pca = PCA(4).fit(few.train.x)
    rebuilt = pca.reconstruct(few.test.x)
    error = reconstruction_error(few.test.x, rebuilt, "digits")
    assert np.exp(error.value) == pytest.approx(np.square(rebuilt - few.test.x).mean(), rel=1e-5)
    assert error.effects["image"].sum() == pytest.approx(0, abs=1e-8)
    where = np.zeros((32, 32), bool)
    where[10:20, 5:9] = True
    part = reconstruction_error(few.test.x, rebuilt, where=where)
    by_hand = np.square(rebuilt - few.test.x)[:, :, 10:20, 5:9].mean()
    assert np.exp(part.value) == pytest.approx(by_hand, rel=1e-5)


def test_reconstruction_error_refuses_what_does_not_go_together(few):
    x = few.test.x
    with pytest.raises(ValueError, match="x and rebuilt must be"):
        reconstruction_error(x, x[:, 0])
    for where in (np.eye(32), np.zeros((32, 32), bool), np.ones((8, 8), bool)):
        with pytest.raises(ValueError, match="where must hold"):
            reconstruction_error(x, 1 - x, where=where)
    with pytest.raises(ValueError, match="rebuilt is x itself"):
        reconstruction_error(x, x)


def test_the_interval_of_a_ratio_is_that_of_a_bootstrap(few):
    """The first-order influence against resampling the images themselves."""
    x = few.test.x
    a, b = (PCA(n).fit(few.train.x).reconstruct(x) for n in (4, 12))
    ratio = reconstruction_error(x, a, "d") - reconstruction_error(x, b, "d")
    missed = [np.square(r - x).mean(axis=(1, 2, 3)) for r in (a, b)]
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(x), (4_000, len(x)))
    logs = np.log(missed[0][draws].mean(axis=1) / missed[1][draws].mean(axis=1))
    low, high = np.percentile(logs, [2.5, 97.5])
    assert ratio.low == pytest.approx(low, abs=0.02)
    assert ratio.high == pytest.approx(high, abs=0.02)
