"""The fingerprint sees an operation that computes otherwise, and names it."""

import re

import pytest
import torch

from embedlab.training import fingerprint as module


@pytest.fixture
def fresh():
    module.operations.cache_clear()
    yield
    module.operations.cache_clear()


def test_twice_the_same(fresh):
    first = module.fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", first)
    module.operations.cache_clear()
    assert module.fingerprint() == first


def test_one_bit_of_one_operation_is_seen(fresh, monkeypatch):
    before = module.operations()
    module.operations.cache_clear()

    def off(a, b, x):
        out = module._resampling(a, b, x)
        out[0].view(-1)[7] = torch.nextafter(out[0].view(-1)[7], torch.tensor(9.0))
        return out

    monkeypatch.setitem(module.OPERATIONS, "resampling", off)
    after = module.operations()
    assert [name for name in before if before[name] != after[name]] == ["resampling"]
    monkeypatch.setattr(module, "stored", lambda: {"operations": before})
    assert module.differing() == ["resampling"]


def test_draws_outside_are_left_alone(fresh):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    module.operations()
    assert torch.equal(torch.rand(2), expected)


def test_the_stored_one_has_every_operation():
    book = module.stored()
    assert list(book["operations"]) == list(module.OPERATIONS)
    assert set(book["software"]) == set(module.software())
