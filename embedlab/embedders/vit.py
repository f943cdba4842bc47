"""A vision transformer taught with labels."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.data.images import as_tensor
from embedlab.embedders.shared.network import LabelledNetwork
from embedlab.embedders.shared.patch_embedder import PatchEmbedder
from embedlab.embedders.shared.transformer import ViTEncoder
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches


@dataclass(eq=False, repr=False)
class ViT(PatchEmbedder, LabelledNetwork):
    """A small vision transformer trained to name the classes; its pooled tokens are the embedding.

    Parameters
    ----------
    patch_size : int
        Side of a patch in pixels; it divides the image's.
    embed_dim : int
        Length of a token and of the embedding.
    depth, num_heads : int
        Blocks, and attention heads in each; `num_heads` divides `embed_dim`.
    global_pool : str
        ``"mean"`` of the patches' tokens, or the ``"cls"`` token: what the output layer reads in
        training, and what ``transform`` gives. See :meth:`at`.
    pos_embed : str
        ``"learned"``, ``"sincos"``, or ``"none"``: then the image is a bag of patches.
    augment : bool or sequence of views
        Show each training image a little turned, scaled, sheared and shifted, anew each time; or
        as these views of :mod:`embedlab.training.augment` change it.
    encoder : ViTEncoder, optional
        Start from a copy of this one, such as a fitted MAE's ``network_["encoder"]``, which is
        then fine-tuned. Default: random weights.
    epochs : int, optional
        Default: 60, fewer where there are many images: about 100,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

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

    encoder: ViTEncoder | None = None

    def _build(self, channels, n_out):
        encoder = self._encoder(channels)
        if self.encoder is not None:
            shape = getattr(self.encoder, "shape", None)
            if shape != encoder.shape:
                raise ValueError(
                    "encoder must be a ViTEncoder of (channels, patch_size, embed_dim, depth, "
                    f"num_heads, pos_embed, side) = {encoder.shape}, got {shape}."
                )
            encoder.load_state_dict(self.encoder.state_dict())
        head = nn.Linear(self.embed_dim, n_out)
        return nn.ModuleDict({"encoder": encoder, "head": head})

    def _fit(self, X, y):
        classes, target = np.unique(y, return_inverse=True)
        network = self._new_network(X.shape[1], len(classes))
        device = pick_device()
        images, target = as_tensor(X).to(device), as_tensor(target).to(device)
        view = self._view()

        def loss(network, index, generator):
            batch = view(images[index], generator)
            vectors = self._pooled(network["encoder"](batch))
            return F.cross_entropy(network["head"](vectors), target[index])

        self._train(network, loss, len(X), self._epochs(len(X), most=60, images=100_000))
        self.classes_ = classes
        self.taught_pool_ = self.global_pool

    def _logits(self, X):
        check_is_fitted(self, "fit_seconds_")
        vectors = self.at(global_pool=self.taught_pool_).transform(X)
        head = self.network_["head"]
        return in_batches(head, head, vectors)
