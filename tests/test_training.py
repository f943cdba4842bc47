from itertools import chain, repeat

import numpy as np
import pytest
import torch
from torch import nn

from embedlab.data.images import as_tensor
from embedlab.embedders import LeNet5
from embedlab.embedders.lenet import LeNet5Network
from embedlab.training.augment import Affine
from embedlab.training.device import own_threads, pick_budget, pick_device, set_threads
from embedlab.training.loop import TrainingDiverged, in_batches, seeded, train


def fit_line(slope=lambda: 3):
    with seeded(0):
        network = nn.Linear(1, 1)
    x = torch.linspace(-1, 1, 64)[:, None]

    def loss(network, index, generator):
        return (network(x[index]) - slope() * x[index] - 1).square().mean()

    return network, train(network, loss, len(x), epochs=60, batch_size=16, lr=0.1, seed=0)


def test_training_finds_a_line():
    network, curve = fit_line()
    assert network.weight.item() == pytest.approx(3, abs=0.05)
    assert network.bias.item() == pytest.approx(1, abs=0.05)
    assert len(curve) == 60
    assert curve[-1] < 0.01 * curve[0]
    assert not network.training


def test_a_loss_that_is_not_a_number_stops_with_step_and_learning_rate():
    with pytest.raises(TrainingDiverged, match=r"nan at step 6, learning rate 0\.\d+"):
        fit_line(chain([3] * 5, repeat(float("nan"))).__next__)


def test_the_gpu_path_runs_on_the_cpu():
    """bf16 autocast and channels-last, one tiny step, so that it is never unrun code."""
    with seeded(0):
        network = LeNet5Network(3, 4)
    x, y = torch.rand(8, 3, 32, 32), torch.arange(8) % 4
    seen = []

    def loss(network, index, generator):
        logits = network(Affine()(x[index], generator).to(memory_format=torch.channels_last))
        seen.append(
            (logits.dtype, network.c1.weight.is_contiguous(memory_format=torch.channels_last))
        )
        return nn.functional.cross_entropy(logits, y[index])

    before = network.c1.weight.clone()
    train(network, loss, 8, epochs=1, batch_size=8, lr=1e-3, seed=0, fast=True)
    assert seen == [(torch.bfloat16, True)]
    assert not torch.equal(network.c1.weight, before)
    assert network.c1.weight.dtype == torch.float32


def test_read_only_arrays_are_copied(rng):
    x = rng.random((4, 2)).astype(np.float32)
    x.flags.writeable = False
    tensor = as_tensor(x)
    tensor += 1  # would be undefined on the read-only memory
    assert x.max() < 1


def test_in_batches_is_the_whole_at_once(rng):
    x = rng.random((10, 3)).astype(np.float32)
    network = nn.Identity()
    whole = in_batches(network, lambda b: network(b) * 2, x, batch_size=3)
    np.testing.assert_array_equal(whole, x * 2)
    twice = in_batches(network, lambda a, b: a + b, x, x, batch_size=3)
    np.testing.assert_array_equal(twice, x * 2)


@pytest.mark.parametrize("axis", [0, 1])
def test_affine_shifts_by_its_share(axis):
    x = torch.zeros(200, 1, 32, 32)
    x[:, :, 16, 16] = 1
    out = Affine(0, 0, 0, translate=0.25)(x, torch.Generator().manual_seed(0))
    place = torch.arange(32.0)
    centre = (out.sum(dim=(1, 3 - axis)) * place).sum(dim=1)
    assert 6.5 < (centre - 16).abs().max() <= 8.01


def test_device_override(monkeypatch):
    monkeypatch.setenv("EMBEDLAB_DEVICE", "cpu")
    assert pick_device().type == "cpu"
    monkeypatch.setenv("EMBEDLAB_DEVICE", "quantum")
    with pytest.raises(ValueError, match="EMBEDLAB_DEVICE='quantum'"):
        pick_device()


def test_threads(monkeypatch):
    for wrong in ("0", "many", "²"):
        monkeypatch.setenv("EMBEDLAB_THREADS", wrong)
        with pytest.raises(ValueError, match="EMBEDLAB_THREADS"):
            set_threads()
    monkeypatch.delenv("EMBEDLAB_THREADS")
    assert set_threads() == 1
    assert torch.get_num_threads() == 1


def test_networks_train_on_their_own_threads_and_leave_the_users(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for wanted, found in (("", 1), ("3", 3)):
            monkeypatch.setenv("EMBEDLAB_THREADS", wanted)
            with own_threads():
                assert torch.get_num_threads() == found
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_gpu_takes_the_larger_budget(few, monkeypatch):
    cpu, gpu = pick_budget(torch.device("cpu")), pick_budget(torch.device("cuda"))
    assert gpu.limit is None
    assert cpu.limit is not None
    assert gpu.epochs > cpu.epochs
    epochs = []
    for budget in (cpu, gpu):
        monkeypatch.setattr(
            "embedlab.embedders.shared.network.pick_budget", lambda device, b=budget: b
        )
        monkeypatch.setattr(
            "embedlab.embedders.shared.network.train", lambda *a, **k: epochs.append(k["epochs"])
        )
        LeNet5().fit(few.train.x, few.train.y)
    assert epochs == [30, 60]
