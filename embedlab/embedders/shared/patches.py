"""Images as patches, and where in the image each patch is."""

import torch


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
    """Patches (N, T, C * patch_size ** 2) to square images: the inverse of :func:`to_patches`."""
    n, t, _ = patches.shape
    side = round(t**0.5)
    x = patches.reshape(n, side, side, -1, patch_size, patch_size)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(n, -1, side * patch_size, side * patch_size)


def sincos_positions(side: int, embed_dim: int) -> torch.Tensor:
    """Positions (side ** 2, embed_dim) as sines and cosines: half tell the row, half the column.

    There are `side` patches along a side; `embed_dim` is a multiple of 4.

    Vaswani et al. (2017), Attention is all you need; here with wavelengths that suit a short side.
    """
    frequency = 1 / 100 ** (torch.arange(embed_dim // 4) / (embed_dim // 4))
    angle = torch.arange(side)[:, None] * frequency  # (side, embed_dim / 4)
    wave = torch.cat([angle.sin(), angle.cos()], dim=1)  # (side, embed_dim / 2)
    rows, columns = wave.repeat_interleave(side, dim=0), wave.repeat(side, 1)
    return torch.cat([rows, columns], dim=1)


def pick(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Of each image its own choice (N, K) of its tokens (N, T, D): (N, K, D)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))
