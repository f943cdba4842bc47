"""A vision transformer taught with labels."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.data.images import as_tensor
from embedlab.embedders.shared.patch_embedder import PatchEmbedder
from embedlab.embedders.shared.transformer import ViTEncoder
from embedlab.training.augment import View
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches, seeded


class ViT(PatchEmbedder):
    """A small vision transformer trained to name the classes; its pooled tokens are the embedding.

    Parameters
    ----------
    patch_size : int
        Side of a patch in pixels; it divides the image's.
    embed_dim : int
        Length of a token and of the embedding.
    depth, heads : int
        Blocks, and attention heads in each; `heads` divides `embed_dim`.
    pool : str
        ``"mean"`` of the patches' tokens, or the ``"cls"`` token: what the output layer reads in
        training, and what ``transform`` gives. See :meth:`at`.
    position : str
        ``"learned"``, ``"sincos"``, or ``"none"``: then the image is a bag of patches.
    augment : bool or sequence of views
        Show each training image a little turned, scaled, sheared and shifted, anew each time; or
        as these views of :mod:`embedlab.training.augment` change it.
    encoder : ViTEncoder, optional
        Start from a copy of this one, such as a fitted MAE's ``network_["encoder"]``, which is
        then fine-tuned. Default: random weights.
    epochs : int, optional
        Default: 60, and fewer where there are many images, so that training sees about 100,000.
        More on a GPU, see :func:`pick_budget`.
    batch_size : int
    lr, weight_decay : float
        Of AdamW; `lr` is the top of a one-cycle schedule.
    seed : int
        Of the first weights, the order of the images and the augmentation.

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
        The ``encoder`` and the output layer, ``head``.
    classes_ : ndarray
        Labels in the order of the output units.
    loss_curve_ : list of float
        Mean cross-entropy of each epoch, in nats.

    References
    ----------
    Dosovitskiy et al. (2020), An image is worth 16x16 words.
    """

    supervision = "labels"

    def __init__(
        self,
        patch_size: int = 8,
        embed_dim: int = 64,
        depth: int = 4,
        heads: int = 4,
        pool: str = "mean",
        position: str = "learned",
        augment: bool | tuple[View, ...] = True,
        encoder: ViTEncoder | None = None,
        epochs: int | None = None,
        batch_size: int = 64,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        seed: int = 0,
    ):
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.depth = depth
        self.heads = heads
        self.pool = pool
        self.position = position
        self.augment = augment
        self.encoder = encoder
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.seed = seed

    def _start(self, channels: int) -> ViTEncoder:
        encoder = self._encoder(channels)
        if self.encoder is not None:
            shape = getattr(self.encoder, "shape", None)
            if shape != encoder.shape:
                raise ValueError(
                    "encoder must be a ViTEncoder of (channels, patch_size, embed_dim, depth, "
                    f"heads, position, side) = {encoder.shape}, got {shape}."
                )
            encoder.load_state_dict(self.encoder.state_dict())
        return encoder

    def _fit(self, X, y):
        self._check_patches(X)
        self._check_training()
        classes, target = np.unique(y, return_inverse=True)
        with seeded(self.seed):
            encoder = self._start(X.shape[1])
            head = nn.Linear(self.embed_dim, len(classes))
        network = nn.ModuleDict({"encoder": encoder, "head": head})
        device = pick_device()
        images, target = as_tensor(X).to(device), as_tensor(target).to(device)
        view = self._view()

        def loss(network, index, generator):
            batch = view(images[index], generator)
            vectors = self._pooled(network["encoder"](batch))
            return F.cross_entropy(network["head"](vectors), target[index])

        self._train(network, loss, len(X), self._epochs(len(X), most=60, images=100_000))
        self.classes_ = classes
        self.taught_pool_ = self.pool

    def predict(self, X) -> np.ndarray:
        """The class of each image, by the network's own output layer.

        Parameters
        ----------
        X : array-like of float, shape (N, C, 32, 32)

        Returns
        -------
        ndarray, shape (N,)
        """
        check_is_fitted(self, "fit_seconds_")
        vectors = self.at(self.taught_pool_).transform(X)
        head = self.network_["head"]
        return self.classes_[in_batches(head, head, vectors).argmax(axis=1)]


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
