"""Random views of a whole batch at once, as tensor operations on the batch's device.

Each view is an object called with a batch and a seeded generator, ``view(x, generator)``: images
(N, C, H, W) in [0, 1] come in, as many of the same shape go out. No image is touched on its own.
:class:`Compose` puts views in a row.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import ClassVar

import torch
import torch.nn.functional as F

View = Callable[[torch.Tensor, torch.Generator], torch.Tensor]

# The luma of a colour (ITU-R BT.601): what remains of it in a black-and-white photograph.
LUMA = (0.299, 0.587, 0.114)
# Luma and two colour axes, the YIQ of American television: turning the latter turns the hue.
YIQ = (LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


class _View:
    """A view whose strengths are finite numbers, none negative, and within `limits`."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {}

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = self.limits.get(field.name, (0, math.inf))
            kind = Integral if isinstance(field.default, int) else Real
            if not isinstance(value, kind) or not low <= value <= high or value == math.inf:
                what = "whole number" if kind is Integral else "number"
                limit = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
                raise ValueError(
                    f"{type(self).__name__}: {field.name}={value!r} must be a {what} {limit}."
                )

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The images `x`, (N, C, H, W) in [0, 1], changed as drawn from the generator."""
        return self._changed(x, generator)


def _draw(x: torch.Tensor, generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Uniform numbers in [-1, 1), (*shape, N): drawn where the generator lives, the CPU.

    So a seed gives the same views on every device.
    """
    return (2 * torch.rand(*shape, len(x), generator=generator) - 1).to(x.device, torch.float32)


def _an_image(numbers: torch.Tensor) -> torch.Tensor:
    """(N,) to (N, 1, 1, 1), to act on images."""
    return numbers[:, None, None, None]


def _sample(x: torch.Tensor, grid: torch.Tensor, outside: str = "zeros") -> torch.Tensor:
    """`x` where `grid` says, bilinear; outside is black, or as the nearest pixel on the border."""
    # Not in bf16, where a place in the image would be known to a tenth of a pixel only.
    with torch.autocast(x.device.type, enabled=False):
        return F.grid_sample(x, grid.to(x.dtype), padding_mode=outside, align_corners=False)


def _affine_grid(matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The places (N, H, W, 2) that the pixels of `x` come from, for matrices (N, 2, 3).

    What ``F.affine_grid`` gives, in a third of the time on a CPU.
    """
    row, column = (_centres(side, x.device)[:, None] for side in x.shape[2:])
    across, down, shift = matrix[:, None, None].unbind(dim=4)  # each (N, 1, 1, 2)
    return column * across + (row[:, None] * down + shift)


def _centres(side: int, device: torch.device) -> torch.Tensor:
    """Where the pixels of a side lie in grid_sample's coordinates, which span [-1, 1]."""
    return (2 * torch.arange(side, device=device) + 1) / side - 1


# --- where things are -------------------------------------------------------------------------


@dataclass(frozen=True)
class Affine(_View):
    """Rotate, scale, shear and translate each image by its own amount; outside is black.

    Parameters
    ----------
    degrees : float
        Largest rotation either way, in degrees.
    scale : float
        Largest change of size, as a share below 1: 0.1 is 90% to 110%.
    shear : float
        Largest horizontal shear either way, in degrees, below 90.
    translate : float
        Largest shift either way along each axis, as a share of the image's side.
    """

    degrees: float = 10.0
    scale: float = 0.1
    shear: float = 10.0
    translate: float = 0.06

    # Beyond, images would turn upside down.
    limits: ClassVar = {"scale": (0, 0.99), "shear": (0, 89)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        u = _draw(x, generator, 5)
        angle = u[0] * math.radians(self.degrees)
        shear = torch.tan(u[1] * math.radians(self.shear))
        size = 1 / (1 + u[2] * self.scale)  # grid_sample asks where each pixel comes from
        cos, sin = size * torch.cos(angle), size * torch.sin(angle)
        shift = 2 * self.translate * u[3:]  # grid_sample's coordinates span 2
        rows = torch.stack([cos, shear * cos - sin, shift[0], sin, shear * sin + cos, shift[1]])
        return _sample(x, _affine_grid(rows.T.reshape(-1, 2, 3), x))


@dataclass(frozen=True)
class Elastic(_View):
    """Warp each image smoothly, as if drawn on rubber, a bicubic surface; outside is black.

    Simard, Steinkraus and Platt (2003), Best practices for convolutional neural networks applied
    to visual document analysis.
    """

    strength: float = 0.06  # largest move of a point along each axis, as a share of the side
    points: int = 4  # along each side
    limits: ClassVar = {"points": (2, math.inf)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        coarse = 2 * self.strength * _draw(x, generator, self.points, self.points, 2)
        rows, columns = (self._surface(side, x.device) for side in x.shape[2:])
        with torch.autocast(x.device.type, enabled=False):
            move = torch.einsum("hp,pqcn,wq->nhwc", rows, coarse, columns)
        still = torch.eye(2, 3, device=x.device)[None]
        return _sample(x, _affine_grid(still, x) + move)

    def _surface(self, side: int, device: torch.device) -> torch.Tensor:
        """How much each control point moves each pixel of a side, (side, points).

        Bicubic interpolation is linear: these are its answers to each control point on its own.
        """
        alone = torch.eye(self.points, device=device)[None, None]
        size = (side, self.points)
        return F.interpolate(alone, size, mode="bicubic", align_corners=True)[0, 0]


@dataclass(frozen=True)
class ResizedCrop(_View):
    """Cut a random rectangle out of each image and enlarge it to the whole.

    A rectangle that keeps nearly all of the image is nearly as square as the image.
    """

    area: float = 0.4  # smallest share of the image's area that is kept; the largest is all of it
    ratio: float = 4 / 3  # largest ratio of the rectangle's sides, either way
    limits: ClassVar = {"area": (0.001, 1), "ratio": (1, math.inf)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        u = _draw(x, generator, 4)
        area = self.area + (1 - self.area) * (u[0] + 1) / 2
        log_side = area.log() / 2
        side = log_side.exp()  # sqrt differs in the last bit from one processor to another
        # No side may be longer than the image's: the less is cut away, the less the stretch.
        stretch = torch.exp(u[1] * (-log_side).clamp(max=math.log(self.ratio) / 2))
        width, height = side * stretch, side / stretch
        zero = torch.zeros_like(width)
        left, top = u[2] * (1 - width), u[3] * (1 - height)
        rows = torch.stack([width, zero, left, zero, height, top])
        return _sample(x, _affine_grid(rows.T.reshape(-1, 2, 3), x), outside="border")


@dataclass(frozen=True)
class Flip(_View):
    """Mirror some of the images, left for right."""

    p: float = 0.5  # probability for each image
    limits: ClassVar = {"p": (0, 1)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return _some(lambda images: images.flip(3), x, self.p, generator)


# --- light and colour -------------------------------------------------------------------------


@dataclass(frozen=True)
class Brightness(_View):
    """Multiply each image by a number of its own, then cut at 1."""

    strength: float = 0.4  # the factor lies in 1 ± strength, and is never negative

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return _blend(x, x.new_zeros(()), self.strength, generator)


@dataclass(frozen=True)
class Contrast(_View):
    """Move each image away from its mean brightness or towards it."""

    strength: float = 0.4  # the factor lies in 1 ± strength, and is never negative

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        mean = _gray(x.mean(dim=(2, 3), keepdim=True))
        return _blend(x, mean, self.strength, generator)


@dataclass(frozen=True)
class Saturation(_View):
    """Move each image away from its black-and-white version or towards it."""

    strength: float = 0.4  # the factor lies in 1 ± strength, and is never negative

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return _blend(x, _gray(x), self.strength, generator)


@dataclass(frozen=True)
class Hue(_View):
    """Turn the colours of each image round the colour circle.

    A rotation in the YIQ colour space: its luma stays as it is, which HSV's would not.
    """

    strength: float = 0.1  # largest turn either way, as a share of the circle
    limits: ClassVar = {"strength": (0, 0.5)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        angle = 2 * math.pi * self.strength * _draw(x, generator)
        if x.shape[1] == 1:
            return x
        with torch.autocast(x.device.type, enabled=False):
            return (_hue_turn(angle).to(x.dtype) @ x.flatten(2)).view_as(x).clamp_(0, 1)


@dataclass(frozen=True)
class Grayscale(_View):
    """Take the colour out of some of the images."""

    p: float = 0.2  # probability for each image
    limits: ClassVar = {"p": (0, 1)}

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return _some(_gray, x, self.p, generator)


# --- detail -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blur(_View):
    """Blur each image by a Gaussian of its own width; at the border it is cut and made whole."""

    sigma: float = 1.0  # largest standard deviation, in pixels

    def _changed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        sigma = (self.sigma * (_draw(x, generator) + 1) / 2).clamp(min=0.1)[:, None, None, None]
        rows = _gaussian(x.shape[2], sigma).to(x.dtype)
        square = x.shape[2] == x.shape[3]
        columns = rows if square else _gaussian(x.shape[3], sigma).to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return rows @ x @ columns.mT


# --- putting views together -------------------------------------------------------------------


@dataclass(frozen=True)
class Compose:
    """Several views, one after the other."""

    views: tuple[View, ...]

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Pass `x`, (N, C, H, W), through each view in turn."""
        for view in self.views:
            x = view(x, generator)
        return x


def _some(
    change: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    p: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """`x` with each image changed with probability `p`; only those are computed."""
    u = torch.rand(len(x), generator=generator)
    chosen = (u < p).nonzero()[:, 0].to(x.device)  # found on the CPU, so no GPU has to wait
    out = x.clone()
    if len(chosen):
        out[chosen] = change(x[chosen]).expand(len(chosen), *x.shape[1:])
    return out


def _gray(x: torch.Tensor) -> torch.Tensor:
    """The luma of images (N, C, H, W), (N, 1, H, W)."""
    if x.shape[1] == 1:
        return x
    red, green, blue = x.split(1, dim=1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _blend(x: torch.Tensor, other: torch.Tensor, strength: float, generator) -> torch.Tensor:
    """``other + factor * (x - other)``, the factor of each image in 1 ± strength, cut to [0, 1]."""
    factor = _an_image((1 + strength * _draw(x, generator)).clamp(min=0))
    return torch.lerp(other, x, factor.to(x.dtype)).clamp_(0, 1)


def _hue_turn(angle: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 3, 3) that turn the hue of a colour by angles (N,), in radians."""
    to_yiq = torch.tensor(YIQ, device=angle.device)
    turn = torch.eye(3, device=angle.device).repeat(len(angle), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angle)
    turn[:, 2, 1] = torch.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    with torch.autocast(angle.device.type, enabled=False):
        return torch.linalg.inv(to_yiq) @ turn @ to_yiq


def _gaussian(side: int, sigma: torch.Tensor) -> torch.Tensor:
    """Matrices (N, 1, side, side) that blur along a side as a convolution would."""
    place = torch.arange(side, device=sigma.device, dtype=torch.float32)
    return torch.softmax(-(place[:, None] - place).square() / (2 * sigma.square()), dim=3)
