"""Random draws that are the same on every machine.

torch's uniform numbers are; its normals and its dropout come in another order on another kind of
processor. NumPy's normals come in one order everywhere; only their far tail asks the C library.
"""

import numpy as np
import torch
from torch import nn


def normal(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Standard normals, float32, on the CPU: NumPy's, from a seed that `generator` gives."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


class Dropout(nn.Module):
    """Set a share `p` of the inputs to zero in training, and scale up the others (any shape).

    Hinton et al. (2012), https://arxiv.org/abs/1207.0580
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The inputs, in training with some of them gone."""
        if not self.training:
            return x
        kept = (torch.rand(x.shape) >= self.p).to(x.device)
        return x * kept / (1 - self.p)
