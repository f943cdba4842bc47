"""The one training loop: seed, device, precision, progress; and the pass that embeds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from embedlab.device import pick_device


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the message gives the step and the learning rate."""


@contextmanager
def seeded(seed: int):
    """Everything torch draws inside comes from `seed`; the generator outside is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def to_device(network: nn.Module, device: torch.device, fast: bool) -> nn.Module:
    """Move a network; on the fast path also into the channels-last layout that GPUs like."""
    return network.to(device, memory_format=torch.channels_last if fast else torch.preserve_format)


def train(
    network: nn.Module,
    loss: Callable[[nn.Module, torch.Tensor, torch.Generator], torch.Tensor],
    n: int,
    *,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    weight_decay: float = 1e-4,
    device: torch.device | None = None,
    fast: bool | None = None,
    label: str = "training",
) -> list[float]:
    """Train `network` in place with AdamW and a one-cycle learning rate.

    Parameters
    ----------
    network : torch.nn.Module
    loss : callable
        ``loss(network, index, generator)`` gives the scalar loss of the training examples
        `index`, an int64 tensor; whatever it draws at random it draws from `generator`.
    n : int
        Number of training examples.
    epochs, batch_size : int
    lr : float
        Highest learning rate of the cycle.
    seed : int
        Of the order of examples and of whatever the loss draws.
    weight_decay : float
    device : torch.device, optional
        Default: :func:`embedlab.device.pick_device`.
    fast : bool, optional
        bf16 autocast and channels-last memory. Default: on CUDA only.
    label : str
        Name on the progress bar.

    Returns
    -------
    list of float
        Mean loss of each epoch.

    Raises
    ------
    TrainingDiverged
        At the first epoch whose loss is not finite.
    """
    epochs, batch_size, seed = int(epochs), int(batch_size), int(seed)  # torch refuses NumPy's
    device = device or pick_device()
    fast = device.type == "cuda" if fast is None else fast
    to_device(network, device, fast).train()
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, n // batch_size)  # a last, smaller batch would be noise: it is left out
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * steps)
    curve = []
    for epoch in tqdm(range(epochs), desc=label, unit="epoch", delay=1, leave=False):
        order = torch.randperm(n, generator=generator)
        total = torch.zeros((), device=device)
        for index in order[: steps * batch_size].chunk(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                value = loss(network, index.to(device), generator)
            value.backward()
            optimizer.step()
            total += value.detach()
            used_lr = schedule.get_last_lr()[0]
            schedule.step()
        curve.append(total.item() / steps)  # the one place that waits for the device
        if not np.isfinite(curve[-1]):
            raise TrainingDiverged(
                f"{label}: the loss became {curve[-1]} by step {(epoch + 1) * steps} "
                f"at learning rate {used_lr:.2g}: try a smaller lr."
            )
    network.to("cpu", memory_format=torch.contiguous_format).eval()
    return curve


def as_tensor(x: np.ndarray) -> torch.Tensor:
    """`x` as a tensor, sharing its memory where torch can: it cannot where `x` is read-only.

    Parameters
    ----------
    x : ndarray

    Returns
    -------
    torch.Tensor
    """
    return torch.from_numpy(np.require(x, requirements=["C", "W"]))


@torch.inference_mode()
def in_batches(
    function: Callable[[torch.Tensor], torch.Tensor],
    x: np.ndarray,
    batch_size: int = 1024,
    device: torch.device | None = None,
) -> np.ndarray:
    """Apply a function of tensors to an array, a batch at a time.

    Parameters
    ----------
    function : callable
        Tensor (B, ...) on `device` to tensor (B, D).
    x : ndarray of float32, shape (N, ...)
    batch_size : int
    device : torch.device, optional

    Returns
    -------
    ndarray of float32, shape (N, D)
    """
    device = device or pick_device()
    batches = as_tensor(x).split(batch_size)
    return np.concatenate([function(b.to(device)).float().cpu().numpy() for b in batches])
