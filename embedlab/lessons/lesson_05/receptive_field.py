"""What a unit of a convolutional network can see, and what it listens to."""

from collections.abc import Callable

import numpy as np
import torch

from embedlab.data.images import as_tensor


def receptive_field(
    function: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray
) -> tuple[int, np.ndarray]:
    """The receptive field of a layer's middle unit, whole and effective.

    Parameters
    ----------
    function : callable
        Images (N, C, H, W) to maps (N, K, h, w), such as a layer of a convolutional network. The
        unit is the middle of all K maps; how strongly a pixel acts on it is the absolute gradient
        of its sum of squares.
    x : ndarray of float, shape (N, C, H, W)

    Returns
    -------
    (int, ndarray of float, shape (N,))
        Side of the square of pixels that can act on the unit. And for each image the mean distance
        of pixels from the middle of that square, weighted by how strongly they act, in pixels.

    Raises
    ------
    ValueError
        Where what comes out are no maps, or an image does not move the unit.

    References
    ----------
    Luo et al. (2016), Understanding the effective receptive field in deep convolutional networks.
    """
    images = as_tensor(np.asarray(x, np.float32)).clone().requires_grad_()
    maps = function(images)
    if maps.ndim != 4:
        raise ValueError(f"function must give maps (N, K, h, w), got {tuple(maps.shape)}.")
    middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
    (gradient,) = torch.autograd.grad(middle.square().sum(), images)
    strength = gradient.abs().sum(dim=1).numpy()  # (N, H, W)
    if not strength.any(axis=(1, 2)).all():
        raise ValueError("x holds images that do not move the unit at all: choose others.")
    corners = [(index.min(), index.max()) for index in np.nonzero(strength.sum(axis=0))]
    (row, column) = (sum(ends) / 2 for ends in corners)
    h, w = np.indices(strength.shape[1:])
    distance = np.hypot(h - row, w - column)
    weighted = (strength * distance).sum(axis=(1, 2)) / strength.sum(axis=(1, 2))
    return int(max(last - first + 1 for first, last in corners)), weighted
