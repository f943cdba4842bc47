"""What ViT, MAE and data2vec share: the encoder, and all that can be read from it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from embedlab.data.checks import check_positive, one_of
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.embedders.shared.transformer import POSITIONS, ViTEncoder
from embedlab.training.augment import View
from embedlab.training.loop import in_batches

POOLS = ("cls", "mean")


@dataclass(eq=False, repr=False)
class PatchEmbedder(NetworkEmbedder):
    """What ViT, MAE and data2vec share: the encoder, and all that can be read from it.

    The trained :class:`ViTEncoder` is ``network_["encoder"]``.
    """

    patch_size: int = 8
    embed_dim: int = 64
    depth: int = 4
    num_heads: int = 4
    global_pool: str = "mean"
    pos_embed: str = "learned"
    augment: bool | tuple[View, ...] = True

    limits: ClassVar = {
        **dict.fromkeys(("patch_size", "embed_dim", "depth", "num_heads"), check_positive),
        "global_pool": one_of(*POOLS),
        "pos_embed": one_of(*POSITIONS),
    }

    def _check_parameters(self):
        super()._check_parameters()
        if self.side % self.patch_size:
            raise ValueError(
                f"patch_size={self.patch_size} does not divide the image's side of {self.side} "
                "pixels: use 4, 8 or another that does."
            )
        if self.embed_dim % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} must divide embed_dim={self.embed_dim}.")
        if self.pos_embed == "sincos" and self.embed_dim % 4:
            raise ValueError(f"embed_dim={self.embed_dim}: sincos positions need a multiple of 4.")

    @property
    def n_patches(self) -> int:
        """Patches of an image."""
        return (self.side // self.patch_size) ** 2

    def _encoder(self, channels: int) -> ViTEncoder:
        """A new encoder; drawn first from the seed, so it begins the same in every subclass."""
        shape = self.patch_size, self.embed_dim, self.depth, self.num_heads, self.pos_embed
        return ViTEncoder(channels, *shape)

    def _pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, 1 + T, D) to one vector an image: the CLS token, or the patches' mean."""
        return tokens[:, 0] if self.global_pool == "cls" else tokens[:, 1:].mean(dim=1)

    def _transform(self, X):
        encoder = self.network_["encoder"]
        return in_batches(encoder, lambda x: self._pooled(encoder(x)), X)

    def tokens(self, X) -> np.ndarray:
        """The tokens (N, 1 + T, embed_dim) that ``transform`` pools, CLS first."""
        X, encoder = self._like_fitted(X), self.network_["encoder"]
        return in_batches(encoder, encoder, X, batch_size=256)

    def attention(self, X) -> np.ndarray:
        """How much each token takes from each other, (N, layers, num_heads, tokens, tokens).

        Of images (N, C, 32, 32); float32. Rows, the tokens that look, sum to one; CLS first.
        """
        X, encoder = self._like_fitted(X), self.network_["encoder"]

        def weights(x):
            return torch.stack(encoder.layers(encoder.place(encoder.embed(x)))[1], dim=1)

        return in_batches(encoder, weights, X, batch_size=64)
