"""What ViT, MAE and data2vec share: the encoder, and all that can be read from it."""

from __future__ import annotations

import copy

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from embedlab.data.checks import check_side
from embedlab.data.images import SIDE
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.embedders.shared.transformer import ViTEncoder, check_encoder
from embedlab.training.loop import in_batches

POOLS = ("cls", "mean")


class PatchEmbedder(NetworkEmbedder):
    """What ViT, MAE and data2vec share: the encoder, and all that can be read from it.

    A subclass has the parameters `patch_size`, `embed_dim`, `depth`, `heads` and `pool` of
    :class:`ViTEncoder` and of ``transform``, and puts the trained :class:`ViTEncoder` into
    ``network_["encoder"]``.
    """

    position = "learned"

    def _check_patches(self, X: np.ndarray) -> None:
        check_encoder(self.patch_size, self.embed_dim, self.depth, self.heads, self.position)
        self._check_pool()
        check_side(X, SIDE)

    def _check_pool(self) -> None:
        if self.pool not in POOLS:
            raise ValueError(f"pool={self.pool!r} must be one of {', '.join(POOLS)}.")

    def _encoder(self, channels: int) -> ViTEncoder:
        """A new encoder; drawn first from the seed, so it begins the same in every subclass."""
        return ViTEncoder(
            channels, self.patch_size, self.embed_dim, self.depth, self.heads, self.position
        )

    def _pooled(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, 1 + T, D) to one vector an image: the CLS token, or the patches' mean."""
        return tokens[:, 0] if self.pool == "cls" else tokens[:, 1:].mean(dim=1)

    def _transform(self, X):
        self._check_pool()
        encoder = self.network_["encoder"]
        return in_batches(encoder, lambda x: self._pooled(encoder(x)), X)

    def at(self, pool: str) -> PatchEmbedder:
        """The same trained network, read by another pooling.

        Parameters
        ----------
        pool : str
            ``"cls"`` or ``"mean"``.

        Returns
        -------
        PatchEmbedder
        """
        check_is_fitted(self, "fit_seconds_")
        other = copy.copy(self)
        other.pool = pool
        other._check_pool()
        return other

    def patch_embeddings(self, X) -> np.ndarray:
        """Each patch on its own as a vector, before its position is added.

        Parameters
        ----------
        X : array-like of float, shape (N, C, 32, 32)

        Returns
        -------
        ndarray of float32, shape (N, T, embed_dim)
            Row by row, T = (32 / patch_size) ** 2.
        """
        X, encoder = self._like_fitted(X), self.network_["encoder"]
        return in_batches(encoder, encoder.embed, X)

    def tokens(self, X, layer: int | None = None) -> np.ndarray:
        """The tokens of a layer.

        Parameters
        ----------
        X : array-like of float, shape (N, C, 32, 32)
        layer : int, optional
            0: what enters the first block, positions added; k: what leaves the k-th block.
            Default: what leaves the last one, normalised, which ``transform`` pools.

        Returns
        -------
        ndarray of float32, shape (N, 1 + T, embed_dim)
            CLS first.
        """
        X, encoder = self._like_fitted(X), self.network_["encoder"]
        depth = len(encoder.blocks)
        whole = isinstance(layer, int | np.integer) and not isinstance(layer, bool)
        if layer is not None and not (whole and 0 <= layer <= depth):
            raise ValueError(f"layer={layer!r} must be None or a whole number from 0 to {depth}.")
        read = encoder
        if layer is not None:
            read = lambda x: encoder.layers(encoder.place(encoder.embed(x)))[0][layer]  # noqa: E731
        return in_batches(encoder, read, X, batch_size=256)

    def attention(self, X) -> np.ndarray:
        """How much each token takes from each other, in each layer and head.

        Parameters
        ----------
        X : array-like of float, shape (N, C, 32, 32)

        Returns
        -------
        ndarray of float32, shape (N, layers, heads, tokens, tokens)
            Rows, the tokens that look, sum to one; CLS first.
        """
        X, encoder = self._like_fitted(X), self.network_["encoder"]

        def weights(x):
            return torch.stack(encoder.layers(encoder.place(encoder.embed(x)))[1], dim=1)

        return in_batches(encoder, weights, X, batch_size=64)
