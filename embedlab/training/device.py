"""The one place that decides where and on how many threads things run, and how much is run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import torch

from embedlab.settings import wanted_device, wanted_threads


def pick_device() -> torch.device:
    """CUDA, then MPS, then CPU; ``EMBEDLAB_DEVICE`` overrides.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        Where ``EMBEDLAB_DEVICE`` names a device that this machine does not have.
    """
    wanted = wanted_device()
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted:
        kind = wanted.partition(":")[0]
        if kind != "cpu" and not here.get(kind):
            raise ValueError(f"EMBEDLAB_DEVICE={wanted!r}: this machine has no such device.")
        return torch.device(wanted)
    return torch.device(next((kind for kind, present in here.items() if present), "cpu"))


def set_threads() -> int:
    """Limit torch and BLAS to ``EMBEDLAB_THREADS`` threads, one where that is not set.

    Lessons run beside each other instead of each on every core: two threads beside another job
    on two cores can take ten times as long as one.

    Returns
    -------
    int
        The number of threads.
    """
    from threadpoolctl import threadpool_limits

    threads = wanted_threads()
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    return threads


@contextmanager
def own_threads():
    """Networks train on ``EMBEDLAB_THREADS`` threads in a user's program too.

    torch's threads wait for each other by spinning: where another job has one of the cores, each
    of a small network's thousands of steps waits for a turn of the scheduler's.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(wanted_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Budget:
    """How much a lesson runs on this machine.

    Attributes
    ----------
    name : str
    limit : (int, int, int) or None
        At most so many train, val and test images of a downloaded set or a folder.
    epochs : float
        Factor on every training's number of epochs.
    """

    name: str
    limit: tuple[int, int, int] | None
    epochs: float

    def epochs_for(self, n: int, most: int, images: int) -> int:
        """How long to train where the user does not say.

        Parameters
        ----------
        n : int
            Training images.
        most : int
            Epochs where they are few.
        images : int
            Where they are many: about so many are seen in all, in at least five epochs.

        Returns
        -------
        int
        """
        return round(self.epochs * max(5, min(most, images // n)))


def pick_budget(device: torch.device) -> Budget:
    """The larger budget on a GPU: every image and twice the epochs.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    Budget
    """
    if device.type == "cuda":
        return Budget("GPU", None, 2.0)
    return Budget("CPU", (10_000, 1_000, 2_000), 1.0)
