"""MAE: hide most of an image, and rebuild what was hidden."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from embedlab.data.images import as_tensor
from embedlab.embedders.shared.masking import (
    Predictor,
    check_masking,
    count_hidden,
    predicted,
    random_masks,
)
from embedlab.embedders.shared.patch_embedder import PatchEmbedder
from embedlab.embedders.shared.patches import from_patches, pick, to_patches
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches


@dataclass(eq=False, repr=False)
class MAE(PatchEmbedder):
    """A masked autoencoder: from a few patches, the pixels of all others.

    The encoder sees only the patches that are left, which makes training cheap as well.

    Parameters
    ----------
    mask_ratio : float
        Share of the patches that is hidden, at random; at least one is and one is not.
    global_pool : str
        What ``transform`` gives of a whole image: the ``"mean"`` of its patches' tokens, or the
        ``"cls"`` token.
    patch_size, embed_dim, depth, num_heads, pos_embed, augment
        As in :class:`embedlab.embedders.ViT`.
    epochs : int, optional
        Default: 70, fewer where there are many images: about 110,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

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

    mask_ratio: float = 0.75

    def _check_parameters(self):
        super()._check_parameters()
        check_masking(self)

    def _build(self, channels, n_out):
        encoder = self._encoder(channels)
        side, pixels = self.side // self.patch_size, channels * self.patch_size**2
        predictor = Predictor(self.embed_dim, self.num_heads, side, pixels)
        return nn.ModuleDict({"encoder": encoder, "predictor": predictor})

    def _fit(self, X, y):
        network = self._new_network(X.shape[1])
        device, view = pick_device(), self._view()
        images = as_tensor(X).to(device)
        n_hidden = count_hidden(self.n_patches, self.mask_ratio)

        def loss(network, index, generator):
            x = view(images[index], generator)
            masks = random_masks(len(x), self.n_patches, n_hidden, generator)
            seen, hidden = (places.to(device) for places in masks)
            target = pick(to_patches(x, self.patch_size), hidden)
            guess = predicted(network, x, seen, hidden)
            return (guess.float() - target.float()).square().mean()  # bf16 is too coarse for it

        self._train(network, loss, len(X), self._epochs(len(X), most=70, images=110_000))

    def rebuild(
        self, X, mask_ratio: float | None = None, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Hide patches of images (N, C, 32, 32), chosen by `seed`, and rebuild them.

        `mask_ratio` is that of the training unless given. What comes back are the images with their
        hidden patches rebuilt, float32, the others as they were; and which pixels were hidden, bool
        (N, 1, 32, 32).
        """
        X = self._like_fitted(X)
        n_hidden = count_hidden(
            self.n_patches, self.mask_ratio if mask_ratio is None else mask_ratio
        )
        generator = torch.Generator().manual_seed(int(seed))
        masks = random_masks(len(X), self.n_patches, n_hidden, generator)

        def fill(x, seen, hidden):
            guess = predicted(self.network_, x, seen, hidden).clamp(0, 1)
            patches = _put(to_patches(x, self.patch_size), hidden, guess)
            return from_patches(patches, self.patch_size)

        rebuilt = in_batches(self.network_, fill, X, *(places.numpy() for places in masks))
        flags = torch.zeros(len(X), self.n_patches, self.patch_size**2)
        flags = _put(flags, masks[1], torch.ones(len(X), n_hidden, self.patch_size**2))
        return rebuilt, from_patches(flags, self.patch_size).bool().numpy()


def _put(patches: torch.Tensor, places: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Patches (N, T, D) with new ones (N, H, D) at the places (N, H)."""
    return patches.scatter(1, places[:, :, None].expand_as(new), new)
