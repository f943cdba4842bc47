"""The one training loop: seed, device, precision, progress; and the pass that embeds."""

from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from embedlab.data.images import as_tensor
from embedlab.training.device import own_threads, pick_device


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number; the message gives the step and the learning rate."""


@contextmanager
def seeded(seed: int):
    """Everything torch draws inside comes from `seed`; the generators outside are left alone."""
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(int(seed))  # torch refuses NumPy's
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
        Default: :func:`embedlab.training.device.pick_device`.
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
        Where the loss is not finite; the network is then of no use.
    """
    epochs, batch_size, seed = int(epochs), int(batch_size), int(seed)  # torch refuses NumPy's
    device = device or pick_device()
    fast = device.type == "cuda" if fast is None else fast
    to_device(network, device, fast).train()
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, n // batch_size)  # a last, smaller batch would be noise: it is left out
    # Fused: the plain one takes square roots that differ from one processor to another.
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=lr, weight_decay=weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * steps)
    curve = []
    with own_threads(), seeded(seed):  # dropout draws from the global generator
        for epoch in tqdm(range(epochs), desc=label, unit="epoch", delay=1, leave=False):
            order = torch.randperm(n, generator=generator)
            losses, rates = [], []
            for index in order[: steps * batch_size].chunk(steps):
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                    value = loss(network, index.to(device), generator)
                value.backward()
                optimizer.step()
                losses.append(value.detach())
                rates.append(schedule.get_last_lr()[0])
                schedule.step()
            losses = torch.stack(losses).cpu()  # the one place that waits for the device
            _check_finite(losses, rates, epoch * steps, label)
            curve.append(losses.mean().item())
    network.to("cpu", memory_format=torch.contiguous_format).eval()
    return curve


def _check_finite(losses: torch.Tensor, rates: list[float], done: int, label: str) -> None:
    """Stop at an epoch's first loss that is not finite; `done` steps came before the epoch."""
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        i = int(bad[0])
        raise TrainingDiverged(
            f"{label}: the loss became {losses[i]:.0f} at step {done + i + 1}, "
            f"learning rate {rates[i]:.2g}: try a smaller lr."
        )


def in_batches(
    network: nn.Module,
    function: Callable[[torch.Tensor], torch.Tensor],
    *arrays: np.ndarray,
    batch_size: int = 1024,
) -> np.ndarray:
    """Apply `function` to arrays (N, ...), a batch of each at a time, on the best device: (N, ...).

    The network is on the device while this runs, and on the CPU again when it returns: so a fitted
    embedder can be saved and loaded anywhere.
    """
    device = pick_device()
    network.to(device)
    try:
        batches = zip(*(as_tensor(a).split(batch_size) for a in arrays), strict=True)
        # Not round the moves: weights moved in inference mode take no gradient.
        with own_threads(), torch.inference_mode():
            done = [function(*(b.to(device) for b in batch)).float().cpu() for batch in batches]
        return torch.cat(done).numpy()
    finally:
        network.cpu()
