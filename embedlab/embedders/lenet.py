"""LeNet-5 of 1998, its layers, and the embedding before the last one."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from embedlab.data.checks import check_positive, one_of
from embedlab.data.images import as_tensor
from embedlab.embedders.shared.network import LabelledNetwork
from embedlab.training.augment import View
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches

LAYERS = ("c1", "s2", "c3", "s4", "c5", "fc84", "logits", "softmax")

# Table I of the paper: which of the six maps of S2 each of the sixteen maps of C3 looks at.
C3_TABLE = "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345".split()


def squash(a: torch.Tensor) -> torch.Tensor:
    """The paper's activation, ``1.7159 tanh(2a/3)``, chosen so that f(1) = 1 and f(-1) = -1."""
    return 1.7159 * torch.tanh(2 / 3 * a)


class Subsample(nn.Module):
    """Mean of each 2x2 square, times one learned weight a map, plus one learned bias a map."""

    def __init__(self, maps: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, maps, H, W) to (N, maps, H/2, W/2)."""
        return F.avg_pool2d(x, 2) * self.weight + self.bias


class LeNet5Network(nn.Module):
    """The network, layer by layer, with the paper's names."""

    def __init__(self, channels: int, n_classes: int, embed_dim: int = 84):
        super().__init__()
        self.c1 = nn.Conv2d(channels, 6, 5)
        self.s2 = Subsample(6)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = Subsample(16)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.fc84 = nn.Linear(120, embed_dim)
        self.output = nn.Linear(embed_dim, n_classes)
        mask = torch.tensor([[float(str(i) in row) for i in range(6)] for row in C3_TABLE])
        self.register_buffer("c3_mask", mask[:, :, None, None])

    def layers(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Activations of every layer for images (N, C, 32, 32)."""
        out = {}
        x = 1.275 * x - 0.1  # the paper's range: paper white is -0.1, ink is 1.175
        out["c1"] = squash(self.c1(x))  # (N, 6, 28, 28)
        out["s2"] = squash(self.s2(out["c1"]))  # (N, 6, 14, 14)
        c3 = F.conv2d(out["s2"], self.c3.weight * self.c3_mask, self.c3.bias)
        out["c3"] = squash(c3)  # (N, 16, 10, 10)
        out["s4"] = squash(self.s4(out["c3"]))  # (N, 16, 5, 5)
        out["c5"] = squash(self.c5(out["s4"])).flatten(1)  # (N, 120)
        out["fc84"] = squash(self.fc84(out["c5"]))  # (N, 84)
        out["logits"] = self.output(out["fc84"])  # (N, classes)
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, 32, 32) to logits (N, classes)."""
        return self.layers(x)["logits"]


@dataclass(eq=False, repr=False)
class LeNet5(LabelledNetwork):
    """LeNet-5 trained to name the classes, cut at one of its layers.

    Convolutions, trainable subsampling, the partial connections of C3, the scaled tanh and the
    pixel range are the paper's. Two things are today's: a softmax over plain output units in
    place of the radial basis functions, and AdamW in place of the diagonal second-order method.

    Parameters
    ----------
    embed_dim : int
        Units of the layer before the last; 84 in the paper.
    layer : str
        Whose activations ``transform`` gives, flattened: one of ``LAYERS``.
    augment : bool or sequence of views
        Show each training image a little turned, scaled, sheared and shifted, anew each time; or
        as these views of :mod:`embedlab.training.augment` change it.
    epochs : int, optional
        Default: 30, fewer where there are many images: about 160,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

    Attributes
    ----------
    network_ : LeNet5Network
    classes_ : ndarray
        Labels in the order of the output units.
    loss_curve_ : list of float
        Mean cross-entropy of each epoch, in nats.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document
    recognition.
    """

    embed_dim: int = 84
    layer: str = "fc84"
    augment: bool | tuple[View, ...] = True
    _: KW_ONLY
    lr: float = 5e-3
    weight_decay: float = 0.3

    limits: ClassVar = {"embed_dim": check_positive, "layer": one_of(*LAYERS)}

    def _build(self, channels, n_out):
        return LeNet5Network(channels, n_out, self.embed_dim)

    def _fit(self, X, y):
        classes, target = np.unique(y, return_inverse=True)
        network = self._new_network(X.shape[1], len(classes))
        device = pick_device()
        images, target = as_tensor(X).to(device), as_tensor(target).to(device)
        view = self._view()

        def loss(network, index, generator):
            batch = view(images[index], generator)
            return F.cross_entropy(network(batch), target[index])

        self._train(network, loss, len(X), self._epochs(len(X), most=30, images=160_000))
        self.classes_ = classes

    def _transform(self, X):
        def activations(batch):
            layers = self.network_.layers(batch)
            layers["softmax"] = layers["logits"].softmax(dim=1)
            return layers[self.layer].flatten(1)

        return in_batches(self.network_, activations, X)

    def _logits(self, X):
        return self.at(layer="logits").transform(X)
