"""What MAE and data2vec share: hide patches, encode the others, predict what was hidden."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from embedlab.data.images import as_tensor
from embedlab.embedders.shared.patch_embedder import PatchEmbedder
from embedlab.embedders.shared.patches import pick, sincos_positions
from embedlab.embedders.shared.transformer import SIDE, Block, ViTEncoder
from embedlab.training.device import pick_device
from embedlab.training.loop import seeded


def random_masks(
    n: int, tokens: int, n_hidden: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which patches of each image are seen and which are hidden, at random.

    Parameters
    ----------
    n : int
        Images.
    tokens, n_hidden : int
        Patches of an image, and how many of them are hidden.
    generator : torch.Generator

    Returns
    -------
    (torch.Tensor of int64 (n, tokens - n_hidden), torch.Tensor of int64 (n, n_hidden))
        Places of the seen and of the hidden ones.
    """
    order = torch.rand(n, tokens, generator=generator).argsort(dim=1)
    return order[:, n_hidden:], order[:, :n_hidden]


def block_masks(
    n: int, tokens: int, n_hidden: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`random_masks`, but hidden patches lie together.

    Random numbers on the grid are blurred, and the patches with the lowest are hidden. So fewer of
    them have a neighbour that gives them away, and the middle is hidden more often than the rim.

    Parameters
    ----------
    n, tokens, n_hidden : int
        `tokens` is a square number.
    generator : torch.Generator

    Returns
    -------
    (torch.Tensor of int64 (n, tokens - n_hidden), torch.Tensor of int64 (n, n_hidden))
    """
    side = round(tokens**0.5)
    field = torch.rand(n, 1, side, side, generator=generator)
    smooth = F.avg_pool2d(field, 3, stride=1, padding=1, count_include_pad=False)
    order = smooth.flatten(1).argsort(dim=1)
    return order[:, n_hidden:], order[:, :n_hidden]


class Predictor(nn.Module):
    """From the tokens of the seen patches to something about each hidden one.

    Every hidden patch enters as the same learned *mask token*, told only where it is. The encoder
    never meets this token, so nothing in it is spent on it; after training, the predictor goes.

    Parameters
    ----------
    embed_dim, heads : int
        Of the encoder.
    side : int
        Patches along a side of the image.
    n_out : int
        Numbers to predict for each patch.
    depth : int
        Blocks.
    """

    def __init__(self, embed_dim: int, heads: int, side: int, n_out: int, depth: int = 1):
        super().__init__()
        self.enter = nn.Linear(embed_dim, embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.register_buffer("positions", sincos_positions(side, embed_dim))
        self.blocks = nn.ModuleList(Block(embed_dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.leave = nn.Linear(embed_dim, n_out)

    def forward(
        self, tokens: torch.Tensor, seen: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor:
        """Tokens (N, 1 + S, D) of the patches at `seen` (N, S) to (N, H, n_out) at `hidden`."""
        tokens = self.enter(tokens)
        positions = self.positions.expand(len(tokens), -1, -1)
        known = tokens[:, 1:] + pick(positions, seen)
        asked = self.mask_token + pick(positions, hidden)
        x = torch.cat([tokens[:, :1], known, asked], dim=1)
        for block in self.blocks:
            x, _ = block(x)
        return self.leave(self.norm(x[:, -hidden.shape[1] :]))


class MaskedEmbedder(PatchEmbedder):
    """The encoder of the ViT, trained to tell from some patches something about the others.

    A subclass says what is to be told, and how far off a guess is. ``_targets(encoder, steps)``
    gives a function from a batch of images to (N, T, n_out), called once in each of `steps` steps;
    ``_n_out(channels)`` is how many numbers that are; ``_error(guess, target)`` is the loss, and
    ``_masks`` chooses which patches are hidden.
    """

    _masks = staticmethod(random_masks)
    most_epochs: int  # where the user does not say, and at most so many images in all
    most_images: int

    def _n_out(self, channels: int) -> int:
        raise NotImplementedError

    def _targets(self, encoder: ViTEncoder, steps: int) -> Callable[[torch.Tensor], torch.Tensor]:
        raise NotImplementedError

    def _error(self, guess: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    @property
    def _n_patches(self) -> int:
        return (SIDE // self.patch_size) ** 2

    def _n_hidden(self, mask_ratio: float) -> int:
        """How many patches a share is: at least one, and not all."""
        n = self._n_patches
        number = isinstance(mask_ratio, Real) and 0 < mask_ratio < 1
        hidden = round(n * mask_ratio) if number else 0
        if not 0 < hidden < n:
            raise ValueError(
                f"mask_ratio={mask_ratio!r} must hide at least one of the {n} patches and leave at "
                f"least one: use {1 / n:.3g} to {1 - 1 / n:.3g}."
            )
        return hidden

    def _check_masking(self, X: np.ndarray) -> None:
        self._check_patches(X)
        self._check_training()
        if self._n_patches < 2:
            raise ValueError(
                f"patch_size={self.patch_size} makes one patch of an image: with none to hide and "
                f"one to see there is nothing to learn. Use {SIDE // 2} or less."
            )
        self._n_hidden(self.mask_ratio)
        if self.embed_dim % 4:
            raise ValueError(
                f"embed_dim={self.embed_dim}: the predictor's positions need a multiple of 4."
            )

    def _fit(self, X, y):
        self._check_masking(X)
        side, n_out = SIDE // self.patch_size, self._n_out(X.shape[1])
        with seeded(self.seed):
            encoder = self._encoder(X.shape[1])
            predictor = Predictor(self.embed_dim, self.heads, side, n_out)
        network = nn.ModuleDict({"encoder": encoder, "predictor": predictor})
        device, view = pick_device(), self._view()
        images = as_tensor(X).to(device)
        n_hidden = self._n_hidden(self.mask_ratio)
        epochs = self._epochs(len(X), self.most_epochs, self.most_images)
        target_of = self._targets(encoder, epochs * max(1, len(X) // self.batch_size))

        def loss(network, index, generator):
            x = view(images[index], generator)
            masks = self._masks(len(x), self._n_patches, n_hidden, generator)
            seen, hidden = (places.to(device) for places in masks)
            target = pick(target_of(x), hidden)
            guess = predicted(network, x, seen, hidden)
            return self._error(guess.float(), target.float())  # bf16 is too coarse for an error

        self._train(network, loss, len(X), epochs)


def predicted(
    network: nn.ModuleDict, x: torch.Tensor, seen: torch.Tensor, hidden: torch.Tensor
) -> torch.Tensor:
    """Encode the seen patches alone, and predict the hidden ones from them.

    Parameters
    ----------
    network : torch.nn.ModuleDict
        ``encoder`` and ``predictor``.
    x : torch.Tensor, shape (N, C, H, W)
    seen, hidden : torch.Tensor of int64, shapes (N, S) and (N, H)
        Places of patches.

    Returns
    -------
    torch.Tensor, shape (N, H, n_out)
    """
    encoder = network["encoder"]
    tokens = encoder.read(pick(encoder.place(encoder.embed(x)), seen))
    return network["predictor"](tokens, seen, hidden)
