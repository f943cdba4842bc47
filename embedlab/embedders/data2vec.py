"""data2vec: hide most of an image, and predict what a slow copy of oneself makes of all of it."""

import copy
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from embedlab.data.checks import above, check_positive, one_of
from embedlab.data.images import as_tensor
from embedlab.embedders.shared.masking import (
    Predictor,
    block_masks,
    check_masking,
    count_hidden,
    predicted,
    random_masks,
)
from embedlab.embedders.shared.patch_embedder import PatchEmbedder
from embedlab.embedders.shared.patches import pick
from embedlab.embedders.shared.transformer import ViTEncoder
from embedlab.training.device import pick_device

MASKS = {"random": random_masks, "blocks": block_masks}


class Teacher:
    """A slow copy of an encoder, and what it makes of whole images.

    Parameters
    ----------
    student : ViTEncoder
        The encoder in training, wherever it is moved to.
    steps : int
        Of the training.
    decay : (float, float)
        Share of itself that the copy keeps at each step, at the start and from half way on.
    top_layers : int
        Blocks, from the last one down, whose features are averaged.
    normalize : bool
        Bring each feature of each layer to mean 0 and deviation 1 over the patches of an image,
        and the average of the layers to the same over the features of a patch.

    Attributes
    ----------
    spread : list of torch.Tensor
        Of each step, how much the last layer's features, brought to deviation 1 within a patch,
        differ from image to image at the same place: their standard deviation over the batch.
        0 is collapse.
    """

    def __init__(
        self,
        student: ViTEncoder,
        steps: int,
        decay: tuple[float, float],
        top_layers: int,
        normalize: bool,
    ):
        self.student, self.steps, self.decay = student, steps, decay
        self.top_layers, self.normalize = top_layers, normalize
        self.encoder = copy.deepcopy(student).requires_grad_(False).to(pick_device()).eval()
        self.step = 0
        self.spread: list[torch.Tensor] = []

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Follow the student a step; images (N, C, H, W) to their patches' features (N, T, D)."""
        self._follow()
        layers = self.encoder.layers(self.encoder.place(self.encoder.embed(x)))[0]
        features = [tokens[:, 1:] for tokens in layers[-self.top_layers :]]
        plain = F.layer_norm(features[-1], features[-1].shape[2:])
        self.spread.append(plain.std(dim=0, correction=0).mean())
        if self.normalize:
            # Over the patches of an image: a feature that is the same everywhere says nothing.
            features = [F.instance_norm(f.transpose(1, 2)).transpose(1, 2) for f in features]
        target = torch.stack(features).mean(dim=0)
        return F.layer_norm(target, target.shape[2:]) if self.normalize else target

    def _follow(self) -> None:
        first, last = self.decay
        decay = first + (last - first) * min(1, 2 * self.step / self.steps)
        self.step += 1
        pairs = zip(self.encoder.parameters(), self.student.parameters(), strict=True)
        for mine, theirs in pairs:
            mine.lerp_(theirs, 1 - decay)


@dataclass(eq=False, repr=False)
class Data2Vec(PatchEmbedder):
    """data2vec: from a few patches, the features that a slow copy sees in the whole image.

    As in the second version of the method, the encoder sees only the patches that are left, and a
    predictor is asked for the others. So it is :class:`embedlab.embedders.MAE` but for what is
    predicted, for its loss, and for the share that is hidden.

    Parameters
    ----------
    mask_ratio : float
        Share of the patches that is hidden; at least one is and one is not.
    masks : str
        ``"random"`` patches, or whole ``"blocks"`` of them.
    ema_decay : (float, float)
        Share of itself that the teacher keeps at each step: in the beginning, and from half of the
        training on. It rises in a line between. 0 is a teacher that is the student, 1 one that
        never learns.
    top_layers : int
        Blocks of the teacher, from the last one down, whose features are averaged into the target.
    normalize : bool
        Bring each of these features to mean 0 and deviation 1 over the patches of an image first,
        and what comes of it to the same over the features of a patch.
    beta : float
        Errors below it count squared, those above it linearly.
    patch_size, embed_dim, depth, num_heads, global_pool, pos_embed, augment
        As in :class:`embedlab.embedders.MAE`.
    epochs : int, optional
        Default: 70, fewer where there are many images: about 110,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
        The ``encoder``, which is the student, and the ``predictor``.
    loss_curve_ : list of float
        Mean smooth L1 error of the hidden patches' features, of each epoch.
    spread_curve_ : list of float
        Of each epoch, how much the teacher's features at a place differ from image to image, see
        :class:`Teacher`: 0 is collapse.

    References
    ----------
    Baevski et al. (2022), data2vec: a general framework for self-supervised learning in speech,
    vision and language; Baevski, Babu, Hsu and Auli (2022), Efficient self-supervised learning
    with contextualized target representations (data2vec 2.0). There the features are what a block's
    full layers give, here what leaves the block.
    """

    mask_ratio: float = 0.5
    masks: str = "random"
    ema_decay: tuple[float, float] = (0.99, 0.999)
    top_layers: int = 3
    normalize: bool = True
    beta: float = 1.0

    limits: ClassVar = {
        "masks": one_of(*MASKS),
        "top_layers": check_positive,
        "beta": above(0),
    }

    def _check_parameters(self):
        super()._check_parameters()
        check_masking(self)
        if self.top_layers > self.depth:
            raise ValueError(
                f"top_layers={self.top_layers} must be at most the depth, {self.depth}."
            )
        decay = self.ema_decay
        if not isinstance(decay, tuple | list | np.ndarray) or len(decay) != 2:
            raise ValueError(f"ema_decay={decay!r} must be two numbers, such as (0.99, 0.999).")
        if not all(isinstance(d, Real) and 0 <= d <= 1 for d in decay):
            raise ValueError(f"ema_decay={decay!r} must hold two numbers from 0 to 1.")

    def _build(self, channels, n_out):
        encoder = self._encoder(channels)
        side = self.side // self.patch_size
        predictor = Predictor(self.embed_dim, self.num_heads, side, self.embed_dim)
        return nn.ModuleDict({"encoder": encoder, "predictor": predictor})

    def _fit(self, X, y):
        network = self._new_network(X.shape[1])
        device, view = pick_device(), self._view()
        images = as_tensor(X).to(device)
        n_hidden = count_hidden(self.n_patches, self.mask_ratio)
        epochs = self._epochs(len(X), most=70, images=110_000)
        steps = epochs * max(1, len(X) // self.batch_size)
        teacher = Teacher(
            network["encoder"], steps, self.ema_decay, self.top_layers, self.normalize
        )

        def loss(network, index, generator):
            x = view(images[index], generator)
            masks = MASKS[self.masks](len(x), self.n_patches, n_hidden, generator)
            seen, hidden = (places.to(device) for places in masks)
            target = pick(teacher(x), hidden)
            guess = predicted(network, x, seen, hidden)
            return F.smooth_l1_loss(guess.float(), target.float(), beta=self.beta)

        self._train(network, loss, len(X), epochs)
        self.spread_curve_ = torch.stack(teacher.spread).view(epochs, -1).mean(dim=1).tolist()
