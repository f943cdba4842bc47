"""Every layer of a network in one pass, and what can be seen in an image without knowing its class.

A pass through all layers costs no more than one through the last, so here the layers are read
together, where ``Pretrained(layer=...)`` reads one.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from embedlab.embedders.pretrained import Pretrained
from embedlab.training.loop import in_batches

# EfficientNet-Lite0's, first to last: the stem, seven stages, and what its classifier is given.
LAYERS = ("bn1", *(f"blocks.{i}" for i in range(7)), "bn2")
SIDE = 96  # pixels that a crop is enlarged to: three times its own side


def enlarged(x: torch.Tensor, like: Pretrained, side: int = SIDE) -> torch.Tensor:
    """Images (N, C, H, W) in [0, 1] as the network `like` takes them, (N, 3, side, side).

    Bicubic and normalised as in its own preprocessing, but whole, with no rim cut off.
    """
    normalise = getattr(like.preprocess_, "transforms", [like.preprocess_])[-1]
    mean, std = (
        torch.tensor(list(v), device=x.device)[:, None, None]
        for v in (normalise.mean, normalise.std)
    )
    x = x.expand(-1, 3, -1, -1)
    x = F.interpolate(x, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    return (x - mean) / std


def all_layers(
    network: nn.Module, batch: torch.Tensor, layers: Sequence[str] = LAYERS
) -> list[torch.Tensor]:
    """What several layers give in one pass, their maps averaged over the places: (N, C) each."""
    seen = {}

    def keep(name):
        return lambda module, inputs, output: seen.__setitem__(name, output.mean(dim=(2, 3)))

    hooks = [network.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    try:
        network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[name] for name in layers]


def read_layers(
    pretrained: Pretrained, x: np.ndarray, layers: Sequence[str] = LAYERS, side: int = SIDE
) -> dict[str, np.ndarray]:
    """What each layer makes of images (N, C, H, W) in [0, 1]: (N, D) by the layer's name."""
    network = pretrained.network_

    widths = []

    def read(batch):
        found = all_layers(
            network, enlarged(batch.cpu(), pretrained, side).to(batch.device), layers
        )
        widths[:] = [vectors.shape[1] for vectors in found]
        return torch.cat(found, dim=1)

    joined = in_batches(network, read, x, batch_size=32)
    parts = np.split(joined, np.cumsum(widths)[:-1], axis=1)
    return {name: np.ascontiguousarray(part) for name, part in zip(layers, parts, strict=True)}


def looks(x: np.ndarray) -> dict[str, np.ndarray]:
    """What an image looks like, whatever it shows; of images (N, 3, H, W), (N,) of float64 each.

    ``light`` is the mean brightness, ``colour`` red less blue, ``texture`` the log of the mean
    squared step from pixel to pixel, and ``direction`` tells upright lines from lying ones.
    """
    x = x.astype(np.float64)
    grey = x.mean(axis=1)
    across = np.square(np.diff(grey, axis=2)).mean(axis=(1, 2))
    down = np.square(np.diff(grey, axis=1)).mean(axis=(1, 2))
    steps = across + down + 1e-6  # a sky without any
    return {
        "light": grey.mean(axis=(1, 2)),
        "colour": (x[:, 0] - x[:, -1]).mean(axis=(1, 2)),
        "texture": np.log(steps),
        "direction": (across - down) / steps,
    }


def beside_its_class(values: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> dict:
    """Values (N,) of each split less the mean of their class in train, labels `y` (N,).

    Else who knows the class knows the usual colour of it.
    """
    classes = np.unique(y["train"])
    mean = np.array([values["train"][y["train"] == c].mean() for c in classes])
    return {key: v - mean[np.searchsorted(classes, y[key])] for key, v in values.items()}
