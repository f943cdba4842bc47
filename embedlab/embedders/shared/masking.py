"""What MAE and data2vec share: which patches are hidden, and who predicts them."""

from numbers import Real

import torch
import torch.nn.functional as F
from torch import nn

from embedlab.embedders.shared.patches import pick, sincos_positions
from embedlab.embedders.shared.transformer import Block


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
    """As :func:`random_masks`, but hidden patches lie together; `tokens` is a square number.

    Random numbers on the grid are blurred, and the patches with the lowest are hidden. So fewer of
    them have a neighbour that gives them away, and the middle is hidden more often than the rim.
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
    It predicts `n_out` numbers for each patch; there are `side` patches along a side of the image.
    """

    def __init__(self, embed_dim: int, num_heads: int, side: int, n_out: int, depth: int = 1):
        super().__init__()
        self.enter = nn.Linear(embed_dim, embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.register_buffer("positions", sincos_positions(side, embed_dim))
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
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


def count_hidden(n_patches: int, mask_ratio: float) -> int:
    """How many of `n_patches` a share is: at least one, and not all, or ValueError."""
    share = mask_ratio if isinstance(mask_ratio, Real) and 0 < mask_ratio < 1 else 0
    hidden = round(n_patches * share)
    if not 0 < hidden < n_patches:
        raise ValueError(
            f"mask_ratio={mask_ratio!r} must hide at least one of the {n_patches} patches and "
            f"leave at least one: use {1 / n_patches:.3g} to {1 - 1 / n_patches:.3g}."
        )
    return hidden


def check_masking(embedder) -> None:
    """Raise ValueError unless there are patches to hide, patches to see, and a predictor."""
    if embedder.n_patches < 2:
        raise ValueError(
            f"patch_size={embedder.patch_size} makes one patch of an image: with none to hide and "
            f"one to see there is nothing to learn. Use {embedder.side // 2} or less."
        )
    count_hidden(embedder.n_patches, embedder.mask_ratio)
    if embedder.embed_dim % 4:
        raise ValueError(
            f"embed_dim={embedder.embed_dim}: the predictor's positions need a multiple of 4."
        )


def predicted(
    network: nn.ModuleDict, x: torch.Tensor, seen: torch.Tensor, hidden: torch.Tensor
) -> torch.Tensor:
    """Encode the patches of `x` at `seen` (N, S) alone, and predict those at `hidden` (N, H).

    `network` holds ``encoder`` and ``predictor``; what comes out is (N, H, n_out).
    """
    encoder = network["encoder"]
    tokens = encoder.read(pick(encoder.place(encoder.embed(x)), seen))
    return network["predictor"](tokens, seen, hidden)
