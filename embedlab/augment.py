"""Random views of a whole batch at once, as tensor operations on the batch's device.

Each view is an object called with a batch and a seeded generator; no image is touched on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Affine:
    """Rotate, scale, shear and shift each image of a batch by its own random amount.

    Parameters
    ----------
    degrees : float
        Largest rotation either way, in degrees.
    scale : float
        Largest change of size, as a share: 0.1 is 90% to 110%.
    shear : float
        Largest horizontal shear either way, in degrees.
    shift : float
        Largest shift either way along each axis, as a share of the image's side.
    """

    degrees: float = 10.0
    scale: float = 0.1
    shear: float = 10.0
    shift: float = 0.06

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Warp every image of `x`, (N, C, H, W), with bilinear sampling; outside is black."""
        # Drawn on the CPU, so that a seed gives the same views on every device.
        u = 2 * torch.rand(5, len(x), generator=generator) - 1
        angle = u[0] * math.radians(self.degrees)
        shear = torch.tan(u[1] * math.radians(self.shear))
        size = 1 / (1 + u[2] * self.scale)  # grid_sample asks where each pixel comes from
        cos, sin = size * torch.cos(angle), size * torch.sin(angle)
        shift = 2 * self.shift * u[3:]  # grid_sample's coordinates span 2
        rows = torch.stack([cos, shear * cos - sin, shift[0], sin, shear * sin + cos, shift[1]])
        matrix = rows.T.reshape(-1, 2, 3).to(x.device, x.dtype)
        # Not in bf16, where a place in the image would be known to a tenth of a pixel only.
        with torch.autocast(x.device.type, enabled=False):
            grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
            return F.grid_sample(x, grid, align_corners=False)
