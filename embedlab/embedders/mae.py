"""MAE: hide most of an image, and rebuild what was hidden."""

from __future__ import annotations

import numpy as np
import torch

from embedlab.embedders.shared.masking import MaskedEmbedder, predicted, random_masks
from embedlab.embedders.shared.patches import from_patches, to_patches
from embedlab.training.augment import View
from embedlab.training.loop import in_batches


class MAE(MaskedEmbedder):
    """A masked autoencoder: from a few patches, the pixels of all others.

    The encoder sees only the patches that are left, which makes training cheap as well.

    Parameters
    ----------
    mask_ratio : float
        Share of the patches that is hidden, at random; at least one is and one is not.
    patch_size, embed_dim, depth, heads : int
        As in :class:`embedlab.embedders.ViT`.
    pool : str
        What ``transform`` gives of a whole image: the ``"mean"`` of its patches' tokens, or the
        ``"cls"`` token.
    augment : bool or sequence of views
        As in :class:`embedlab.embedders.ViT`.
    epochs : int, optional
        Default: 70, and fewer where there are many images, so that training sees about 110,000.
        More on a GPU, see :func:`pick_budget`.
    batch_size : int
    lr, weight_decay : float
        Of AdamW; `lr` is the top of a one-cycle schedule.
    seed : int
        Of the first weights, the order of the images, the augmentation and the masks.

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
        The ``encoder`` and the ``predictor``.
    loss_curve_ : list of float
        Mean squared error of the hidden pixels, of each epoch.

    References
    ----------
    He et al. (2021), Masked autoencoders are scalable vision learners. There each patch's pixels
    are normalised before they are compared; here they are not: in scans many are nearly flat, and
    normalising would blow up what little is in them.
    """

    most_epochs, most_images = 70, 110_000

    def __init__(
        self,
        mask_ratio: float = 0.75,
        patch_size: int = 8,
        embed_dim: int = 64,
        depth: int = 4,
        heads: int = 4,
        pool: str = "mean",
        augment: bool | tuple[View, ...] = True,
        epochs: int | None = None,
        batch_size: int = 64,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        seed: int = 0,
    ):
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.depth = depth
        self.heads = heads
        self.pool = pool
        self.augment = augment
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.seed = seed

    def _n_out(self, channels):
        return channels * self.patch_size**2

    def _targets(self, encoder, steps):
        return lambda x: to_patches(x, self.patch_size)

    def _error(self, guess, target):
        return (guess - target).square().mean()

    def rebuild(
        self, X, mask_ratio: float | None = None, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Hide patches of images and rebuild them.

        Parameters
        ----------
        X : array-like of float, shape (N, C, 32, 32)
        mask_ratio : float, optional
            Default: that of the training.
        seed : int
            Of which patches are hidden.

        Returns
        -------
        (ndarray of float32 (N, C, 32, 32), ndarray of bool (N, 1, 32, 32))
            The images with their hidden patches rebuilt, the others as they were; and which pixels
            were hidden.
        """
        X = self._like_fitted(X)
        n_hidden = self._n_hidden(self.mask_ratio if mask_ratio is None else mask_ratio)
        generator = torch.Generator().manual_seed(int(seed))
        masks = random_masks(len(X), self._n_patches, n_hidden, generator)

        def fill(x, seen, hidden):
            guess = predicted(self.network_, x, seen, hidden).clamp(0, 1)
            patches = _put(to_patches(x, self.patch_size), hidden, guess)
            return from_patches(patches, self.patch_size)

        rebuilt = in_batches(self.network_, fill, X, *(places.numpy() for places in masks))
        flags = torch.zeros(len(X), self._n_patches, self.patch_size**2)
        flags = _put(flags, masks[1], torch.ones(len(X), n_hidden, self.patch_size**2))
        return rebuilt, from_patches(flags, self.patch_size).bool().numpy()


def _put(patches: torch.Tensor, places: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Patches (N, T, D) with new ones (N, H, D) at the places (N, H)."""
    return patches.scatter(1, places[:, :, None].expand_as(new), new)
