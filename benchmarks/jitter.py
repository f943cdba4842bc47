"""Two views that only the comparison with lightly needs: its colour jitter, and its chances."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch

from embedlab.training.augment import LUMA, View, _draw, _gray, _hue_turn, _some, _View


@dataclass(frozen=True)
class ColorJitter(_View):
    """Brightness, contrast, saturation and hue, in this order, as one matrix an image.

    The same as the four views in a row, cut to [0, 1] at the end only, in a third of the time.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    limits: ClassVar = {"hue": (0, 0.5)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        strengths = torch.tensor([self.brightness, self.contrast, self.saturation])
        factors = _draw(x, generator, 3) * strengths[:, None].to(x.device)
        light, contrast, color = (1 + factors).clamp(min=0)
        angle = 2 * math.pi * self.hue * _draw(x, generator)
        mean = _gray(x.mean(dim=(2, 3), keepdim=True)).flatten(1)  # (N, 1)
        gray_stays = ((1 - contrast) * light)[:, None] * mean
        with torch.autocast(x.device.type, enabled=False):
            matrix = (light * contrast)[:, None, None]
            if x.shape[1] == 3:
                luma = torch.tensor(LUMA, device=x.device).expand(3, 3)
                one = torch.eye(3, device=x.device)
                matrix = matrix * (_hue_turn(angle) @ torch.lerp(luma, one, color[:, None, None]))
            out = torch.baddbmm(
                gray_stays[:, :, None].to(x.dtype), matrix.to(x.dtype), x.flatten(2)
            )
        return out.view_as(x).clamp_(0, 1)


@dataclass(frozen=True)
class Sometimes:
    """A view that each image gets with probability `p`."""

    view: View
    p: float = 0.8

    def __post_init__(self):
        if not isinstance(self.p, Real) or not 0 <= self.p <= 1:
            raise ValueError(f"Sometimes: p={self.p!r} must be a number from 0 to 1.")

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Pass images of `x`, (N, C, H, W), through the view."""
        return _some(lambda images: self.view(images, generator), x, self.p, generator)
