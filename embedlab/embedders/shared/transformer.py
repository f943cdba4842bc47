"""The plain transformer over patches that the ViT, MAE and data2vec share."""

import torch
from torch import nn

from embedlab.data.images import SIDE
from embedlab.embedders.shared.patches import sincos_positions

POSITIONS = ("learned", "sincos", "none")


class Attention(nn.Module):
    """Multi-head self-attention: each token takes a weighted mean of what all tokens offer.

    Vaswani et al. (2017), Attention is all you need.
    """

    def __init__(self, embed_dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (N, T, D) to what they gathered (N, T, D), and weights (N, num_heads, T, T)."""
        n, t, d = x.shape
        qkv = self.qkv(x).reshape(n, t, 3, self.num_heads, d // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (N, num_heads, T, D / num_heads)
        weights = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(dim=3)
        gathered = (weights @ value).transpose(1, 2).reshape(n, t, d)
        return self.proj(gathered), weights


class Block(nn.Module):
    """Tokens look at each other, then each thinks for itself; both are added to what was there."""

    def __init__(self, embed_dim: int, num_heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.attn = Attention(embed_dim, num_heads)
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dim, 4 * embed_dim), nn.GELU(), nn.Linear(4 * embed_dim, embed_dim)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (N, T, D) to tokens, and the attention weights (N, num_heads, T, T)."""
        gathered, weights = self.attn(self.norm1(x))
        x = x + gathered
        return x + self.mlp(self.norm2(x)), weights


class ViTEncoder(nn.Module):
    """A vision transformer without a head, for images of `side` by `side` pixels.

    Dosovitskiy et al. (2020), An image is worth 16x16 words. `pos_embed` is one of ``POSITIONS``.
    """

    def __init__(
        self,
        channels: int,
        patch_size: int = 8,
        embed_dim: int = 64,
        depth: int = 4,
        num_heads: int = 4,
        pos_embed: str = "learned",
        side: int = SIDE,
    ):
        super().__init__()
        self.shape = (channels, patch_size, embed_dim, depth, num_heads, pos_embed, side)
        grid = side // patch_size
        self.patch_embed = nn.Conv2d(channels, embed_dim, patch_size, stride=patch_size)
        self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, embed_dim), std=0.02))
        places = torch.zeros(1, 1 + grid**2, embed_dim)  # CLS first
        if pos_embed == "learned":
            self.pos_embed = nn.Parameter(nn.init.trunc_normal_(places, std=0.02))
        else:
            if pos_embed == "sincos":
                places[0, 1:] = sincos_positions(grid, embed_dim)
            self.register_buffer("pos_embed", places)
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) to a vector for each patch, (N, T, D)."""
        return self.patch_embed(x).flatten(2).transpose(1, 2)

    def place(self, patches: torch.Tensor) -> torch.Tensor:
        """Tell each of all T patch vectors (N, T, D) where in the image it is."""
        return patches + self.pos_embed[:, 1:]

    def layers(self, placed: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Run the blocks on placed patches (N, K, D), CLS before them, and keep everything.

        What enters the first block and what leaves each, (N, 1 + K, D); and the attention weights
        of each, (N, num_heads, 1 + K, 1 + K).
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
