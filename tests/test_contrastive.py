"""SimCLR, the triplet loss, and what they share."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from embedlab.embedders import SimCLR, Triplet
from embedlab.embedders.shared.contrastive import (
    COLOR_VIEWS,
    GRAY_VIEWS,
    alignment,
    default_views,
    uniformity,
)
from embedlab.embedders.simclr import nt_xent
from embedlab.embedders.triplet import triplet_loss
from embedlab.training.augment import Affine, ResizedCrop

both = pytest.mark.parametrize("embedder", [SimCLR, Triplet], ids=lambda e: e.__name__)


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(7, 5, generator=generator)
    return a, a + 0.5 * torch.randn(7, 5, generator=generator)


@pytest.fixture(scope="module")
def fitted(few):
    return SimCLR(epochs=1, projection_dim=24).fit(few.train.x)


# --- NT-Xent ----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_nt_xent_is_the_papers_formula_term_by_term(views, temperature):
    a, b = views
    z = F.normalize(torch.cat([a, b]), dim=1).double().numpy()
    n, total = len(a), 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = sum(math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i)
        total -= math.log(math.exp(z[i] @ z[j] / temperature) / others)
    assert nt_xent(a, b, temperature).item() == pytest.approx(total / (2 * n), rel=1e-5)


def test_alignment_and_uniformity(views):
    a, b = (F.normalize(v, dim=1) for v in views)
    by_hand = np.mean([np.square((x - y).numpy()).sum() for x, y in zip(a, b, strict=True)])
    assert alignment(a, b).item() == pytest.approx(by_hand, rel=1e-5)
    assert alignment(a, a) == 0
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    by_hand = math.log(np.mean([math.exp(-2 * (a[i] - a[j]).square().sum()) for i, j in pairs]))
    assert uniformity(a).item() == pytest.approx(by_hand, rel=1e-4)
    assert uniformity(torch.eye(3)[[0, 0, 0, 0]]) == 0


# --- the triplet loss ---------------------------------------------------------------------------


def by_hand(a, b, margin):
    """The semi-hard triplet loss, anchor by anchor."""
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    losses = []
    for i in range(len(a)):
        positive = (a[i] - b[i]).square().sum()
        others = [(a[i] - b[k]).square().sum() for k in range(len(a)) if k != i]
        farther = [d for d in others if d > positive]
        losses.append(
            max(0.0, float(positive - (min(farther) if farther else max(others)) + margin))
        )
    return np.mean(losses)


@pytest.mark.parametrize("margin", [0.2, 1.0, 4.0])
def test_triplet_loss_is_the_semi_hard_one(views, margin):
    a, b = views
    assert triplet_loss(a, b, margin).item() == pytest.approx(by_hand(a, b, margin), rel=1e-4)
    # No negative is farther than the positive: the farthest is taken.
    assert triplet_loss(a, -a, margin).item() == pytest.approx(by_hand(a, -a, margin), rel=1e-4)


# --- the embedders ------------------------------------------------------------------------------


def test_layers_of_one_training(fitted, few):
    vectors = fitted.transform(few.test.x)
    assert vectors.shape == (len(few.test), 128)
    projection = fitted.at(layer="projection")
    projected = projection.transform(few.test.x)
    assert projected.shape == (len(few.test), 24)
    np.testing.assert_array_equal(projection.at(layer="encoder").transform(few.test.x), vectors)
    assert fitted.layer == "encoder"
    direct = SimCLR(epochs=1, projection_dim=24, layer="projection").fit(few.train.x)
    np.testing.assert_array_equal(direct.transform(few.test.x), projected)


def test_no_head(few):
    triplet = Triplet(epochs=1).fit(few.train.x)
    assert triplet.transform(few.test.x[:3]).shape == (3, 128)
    for projection_dim in (None, 64):  # what was fitted counts, not what was set afterwards
        triplet.set_params(projection_dim=projection_dim)
        with pytest.raises(ValueError, match="needs a projection_dim in fit"):
            triplet.at(layer="projection")
    with pytest.raises(ValueError, match="layer='head'"):
        triplet.set_params(layer="head").transform(few.test.x)


@both
def test_training_aligns_views_and_watches_itself(embedder, few):
    fitted = embedder(epochs=25, batch_size=64).fit(few.train.x)
    curves = (fitted.loss_curve_, fitted.alignment_curve_, fitted.uniformity_curve_)
    assert [len(curve) for curve in curves] == [25] * 3
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert fitted.alignment_curve_[-1] < 0.7 * fitted.alignment_curve_[0]
    assert fitted.uniformity_curve_[-1] < -1


def test_default_views_by_channels():
    assert default_views(1) == GRAY_VIEWS
    assert default_views(3) == COLOR_VIEWS


def test_the_views_reach_the_encoder(few):
    """With views that change nothing both views are one image, and alignment is perfect."""
    same, apart = (
        SimCLR(epochs=1, views=[view]).fit(few.train.x).alignment_curve_[0]
        for view in (Affine(0, 0, 0, 0), ResizedCrop(0.3))
    )
    assert same < 1e-6
    assert apart > 0.1


@both
def test_views_that_lose_images(embedder, few):
    with pytest.raises(ValueError, match="views made 254 images of 256"):
        embedder(views=[lambda x, generator: x[:-2]]).fit(few.train.x)
