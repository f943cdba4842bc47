"""Draws that every machine makes alike."""

import pytest
import torch

from embedlab.training.draws import Dropout, normal
from embedlab.training.loop import seeded


def test_normals_are_the_same_on_every_machine():
    """In what order they come; these were drawn once, on one machine."""
    drawn = normal((2, 20), torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.float32
    expected = [-0.991275, -0.222345, 0.838314, 1.890324]
    assert drawn[0, :4].tolist() == pytest.approx(expected, abs=1e-6)


def test_normals_are_normal_and_follow_the_generator():
    generator = torch.Generator().manual_seed(1)
    a, b = normal((100_000,), generator), normal((100_000,), generator)
    assert not torch.equal(a, b)
    assert torch.equal(a, normal((100_000,), torch.Generator().manual_seed(1)))
    for x in (a, b):
        assert abs(x.mean()) < 0.015
        assert x.std() == pytest.approx(1, abs=0.01)


def test_dropout_keeps_a_share_and_the_mean():
    x = torch.ones(200, 500)
    with seeded(0):
        out = Dropout(0.2)(x)
    assert (out == 0).float().mean() == pytest.approx(0.2, abs=0.005)
    assert out.max() == pytest.approx(1.25)
    assert out.mean() == pytest.approx(1, abs=0.01)
    with seeded(0):
        assert torch.equal(Dropout(0.2)(x), out)


def test_dropout_is_off_outside_training():
    x = torch.rand(3, 4)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_gradients_flow_through_what_is_kept():
    x = torch.ones(1000, requires_grad=True)
    with seeded(0):
        out = Dropout(0.5)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
