"""The one place that decides where and on how many threads things run, and how much is run."""

from contextlib import contextmanager
from dataclasses import dataclass

import torch

from embedlab.settings import wanted_device, wanted_threads


def pick_device() -> torch.device:
    """CUDA, then MPS, then CPU; ``EMBEDLAB_DEVICE`` overrides."""
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
    """How much a lesson runs on this machine."""

    name: str
    limit: tuple[int, int, int] | None  # of train, val, test images of a downloaded set or folder
    epochs: float  # factor on every training's number of epochs

    def epochs_for(self, n: int, most: int, images: int) -> int:
        """How long to train on `n` images where nobody says: `most` epochs where they are few.

        Where they are many, until about `images` are seen in all, in at least five epochs.
        """
        return round(self.epochs * max(5, min(most, images // n)))


def pick_budget(device: torch.device) -> Budget:
    """The larger budget on a GPU: every image and twice the epochs."""
    if device.type == "cuda":
        return Budget("GPU", None, 2.0)
    return Budget("CPU", (10_000, 1_000, 2_000), 1.0)
