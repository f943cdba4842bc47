"""The plain transformer over patches that the ViT, MAE and data2vec share."""

from __future__ import annotations

import copy

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.embedders.base import check_positive, check_side
from embedlab.embedders.network import NetworkEmbedder
from embedlab.training import in_batches, seeded

POOLS = ("cls", "mean")
POSITIONS = ("learned", "sincos", "none")
SIDE = 32  # of the course's images


def to_patches(x: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Cut images into squares that do not overlap, row by row, each one flattened.

    Parameters
    ----------
    x : torch.Tensor, shape (N, C, H, W)
    patch_size : int
        Side of a patch in pixels; it divides H and W.

    Returns
    -------
    torch.Tensor, shape (N, H / patch_size * W / patch_size, C * patch_size ** 2)
    """
    n, c, h, w = x.shape
    rows, columns = h // patch_size, w // patch_size
    x = x.reshape(n, c, rows, patch_size, columns, patch_size)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, -1)


def from_patches(patches: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Put a square image together again: the inverse of :func:`to_patches`.

    Parameters
    ----------
    patches : torch.Tensor, shape (N, T, C * patch_size ** 2)
        T is a square number.
    patch_size : int

    Returns
    -------
    torch.Tensor, shape (N, C, H, H)
    """
    n, t, _ = patches.shape
    side = round(t**0.5)
    x = patches.reshape(n, side, side, -1, patch_size, patch_size)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(n, -1, side * patch_size, side * patch_size)


def sincos_positions(side: int, embed_dim: int) -> torch.Tensor:
    """Positions as sines and cosines: half of the numbers tell the row, half the column.

    Parameters
    ----------
    side : int
        Patches along a side.
    embed_dim : int
        A multiple of 4.

    Returns
    -------
    torch.Tensor, shape (side ** 2, embed_dim)

    References
    ----------
    Vaswani et al. (2017), Attention is all you need; here with wavelengths that suit a short side.
    """
    frequency = 1 / 100 ** (torch.arange(embed_dim // 4) / (embed_dim // 4))
    angle = torch.arange(side)[:, None] * frequency  # (side, embed_dim / 4)
    wave = torch.cat([angle.sin(), angle.cos()], dim=1)  # (side, embed_dim / 2)
    rows, columns = wave.repeat_interleave(side, dim=0), wave.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


def pick(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Of each image its own choice of tokens.

    Parameters
    ----------
    tokens : torch.Tensor, shape (N, T, D)
    index : torch.Tensor of int64, shape (N, K)

    Returns
    -------
    torch.Tensor, shape (N, K, D)
    """
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


class Attention(nn.Module):
    """Multi-head self-attention: each token takes a weighted mean of what all tokens offer.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need.
    """

    def __init__(self, embed_dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (N, T, D) to what they gathered, (N, T, D), and the weights, (N, heads, T, T)."""
        n, t, d = x.shape
        qkv = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (N, heads, T, D / heads)
        weights = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(dim=3)
        gathered = (weights @ value).transpose(1, 2).reshape(n, t, d)
        return self.proj(gathered), weights


class Block(nn.Module):
    """Tokens look at each other, then each thinks for itself; both are added to what was there."""

    def __init__(self, embed_dim: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.attn = Attention(embed_dim, heads)
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, 4 * embed_dim), nn.GELU(), nn.Linear(4 * embed_dim, embed_dim)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (N, T, D) to tokens, and the attention weights (N, heads, T, T)."""
        gathered, weights = self.attn(self.norm1(x))
        x = x + gathered
        return x + self.mlp(self.norm2(x)), weights


def divisors(n: int) -> str:
    """The whole numbers that divide `n`, as words for a message."""
    found = [str(i) for i in range(1, n + 1) if n % i == 0]
    return f"{', '.join(found[:-1])} or {found[-1]}"


def check_encoder(
    patch_size: int, embed_dim: int, depth: int, heads: int, position: str, side: int = SIDE
) -> None:
    """Raise ValueError, with the values that would work, unless such an encoder can be built.

    Parameters
    ----------
    patch_size, embed_dim, depth, heads, position, side
        See :class:`ViTEncoder`.
    """
    for name, value in (
        ("patch_size", patch_size),
        ("embed_dim", embed_dim),
        ("depth", depth),
        ("heads", heads),
    ):
        check_positive(value, name)
    if side % patch_size:
        raise ValueError(
            f"patch_size={patch_size} does not divide the image's side of {side} pixels: "
            f"use {divisors(side)}."
        )
    if embed_dim % heads:
        raise ValueError(
            f"heads={heads} does not divide embed_dim={embed_dim}: use {divisors(embed_dim)}."
        )
    if position not in POSITIONS:
        raise ValueError(f"position={position!r} must be one of {', '.join(POSITIONS)}.")
    if position == "sincos" and embed_dim % 4:
        raise ValueError(f"embed_dim={embed_dim}: sincos positions need a multiple of 4.")


class ViTEncoder(nn.Module):
    """A vision transformer without a head.

    Parameters
    ----------
    channels : int
        Of the images.
    patch_size, embed_dim, depth, heads : int
        Side of a patch in pixels, length of a token, number of blocks, attention heads in each.
    position : str
        ``"learned"``, ``"sincos"`` or ``"none"``.
    side : int
        Of the images, in pixels.

    References
    ----------
    Dosovitskiy et al. (2020), An image is worth 16x16 words.
    """

    def __init__(
        self,
        channels: int,
        patch_size: int = 8,
        embed_dim: int = 64,
        depth: int = 4,
        heads: int = 4,
        position: str = "learned",
        side: int = SIDE,
    ):
        check_encoder(patch_size, embed_dim, depth, heads, position, side)
        super().__init__()
        self.shape = (channels, patch_size, embed_dim, depth, heads, position, side)
        grid = side // patch_size
        self.patch_embed = nn.Conv2d(channels, embed_dim, patch_size, stride=patch_size)
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, embed_dim), std=0.02))
        pos_embed = torch.zeros(1, 1 + grid**2, embed_dim)  # CLS first
        if position == "learned":
            self.pos_embed = nn.Parameter(nn.init.trunc_normal_(pos_embed, std=0.02))
        else:
            if position == "sincos":
                pos_embed[0, 1:] = sincos_positions(grid, embed_dim)
            self.register_buffer("pos_embed", pos_embed)
        self.blocks = nn.ModuleList(Block(embed_dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) to a vector for each patch, (N, T, D)."""
        return self.patch_embed(x).flatten(2).transpose(1, 2)

    def place(self, patches: torch.Tensor) -> torch.Tensor:
        """Tell each of all T patch vectors (N, T, D) where in the image it is."""
        return patches + self.pos_embed[:, 1:]

    def layers(self, placed: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Run the blocks on some or all placed patches, CLS before them, and keep everything.

        Parameters
        ----------
        placed : torch.Tensor, shape (N, K, D)

        Returns
        -------
        (list of torch.Tensor (N, 1 + K, D), list of torch.Tensor (N, heads, 1 + K, 1 + K))
            What enters the first block and what leaves each; the attention weights of each.
        """
        tokens, weights = [self._with_cls(placed)], []
        for block in self.blocks:
            x, w = block(tokens[-1])
            tokens.append(x)
            weights.append(w)
        return tokens, weights

    def read(self, placed: torch.Tensor) -> torch.Tensor:
        """Some or all placed patches (N, K, D) to tokens (N, 1 + K, D), after the last norm."""
        x = self._with_cls(placed)
        for block in self.blocks:  # of all layers only the last is kept: little memory
            x, _ = block(x)
        return self.norm(x)

    def _with_cls(self, placed: torch.Tensor) -> torch.Tensor:
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(placed), -1, -1)
        return torch.cat([cls, placed], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) to tokens (N, 1 + T, D), CLS first, after the last norm."""
        return self.read(self.place(self.embed(x)))


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


class RandomViT(PatchEmbedder):
    """The encoder with its first, random weights: the control that has learned nothing.

    Parameters
    ----------
    patch_size, embed_dim, depth, heads : int
    pool : str
        ``"cls"`` or ``"mean"``.
    seed : int
    """

    def __init__(
        self,
        patch_size: int = 8,
        embed_dim: int = 64,
        depth: int = 4,
        heads: int = 4,
        pool: str = "mean",
        seed: int = 0,
    ):
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.depth = depth
        self.heads = heads
        self.pool = pool
        self.seed = seed

    def _fit(self, X, y):
        self._check_patches(X)
        with seeded(self.seed):
            self.network_ = nn.ModuleDict({"encoder": self._encoder(X.shape[1])}).eval()
