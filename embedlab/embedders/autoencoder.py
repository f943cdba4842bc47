"""An autoencoder: squeeze an image through a few numbers and rebuild it from them."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_array, check_is_fitted
from torch import nn

from embedlab.data.checks import at_least, check_positive
from embedlab.data.images import as_tensor
from embedlab.embedders.shared.conv import ConvEncoder
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.training.augment import Affine
from embedlab.training.device import pick_device
from embedlab.training.draws import Dropout, normal
from embedlab.training.loop import in_batches


def full(n_in: int, n_out: int) -> nn.Sequential:
    """A full layer, batch normalisation, ReLU, and a little dropout."""
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU(), Dropout(0.1))


def deconv(n_in: int, n_out: int) -> nn.Sequential:
    """A transposed convolution that doubles the side, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


class Decoder(nn.Sequential):
    """From vectors (N, n_components) back to images: the encoder's layers in reverse.

    What comes out are logits, (N, channels, 32, 32): a sigmoid makes pixels.
    """

    def __init__(self, n_components: int, channels: int):
        super().__init__(
            full(n_components, 256),
            full(256, 1024),
            nn.Unflatten(1, (64, 4, 4)),
            deconv(64, 32),  # (N, 32, 8, 8)
            deconv(32, 16),  # (N, 16, 16, 16)
            nn.ConvTranspose2d(16, channels, 4, stride=2, padding=1),
        )


class AutoencoderNetwork(nn.Module):
    """Encoder, bottleneck, decoder."""

    def __init__(self, channels: int, n_components: int):
        super().__init__()
        self.encoder = nn.Sequential(ConvEncoder(channels), nn.Linear(128, n_components))
        self.decoder = Decoder(n_components, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (N, C, 32, 32) to the logits of the rebuilt ones, of the same shape."""
        return self.decoder(self.encoder(x))


@dataclass(eq=False, repr=False)
class Autoencoder(NetworkEmbedder):
    """A convolutional autoencoder; its bottleneck is the embedding.

    Parameters
    ----------
    n_components : int
        Length of the embedding: numbers in the bottleneck.
    noise : float
        Standard deviation of what is added to each pixel before an image is encoded; the clean one
        is to be rebuilt. 0: a plain autoencoder, above: a denoising one. In either case the
        images are moved a little, and the decoder has a little dropout.
    epochs : int, optional
        Default: 60, fewer where there are many images: about 200,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

    Attributes
    ----------
    network_ : AutoencoderNetwork
    loss_curve_ : list of float
        Mean binary cross-entropy a pixel, of each epoch, in nats.

    References
    ----------
    Hinton and Salakhutdinov (2006), Reducing the dimensionality of data with neural networks;
    Vincent et al. (2008), Extracting and composing robust features with denoising autoencoders.
    """

    n_components: int = 32
    noise: float = 0.15
    _: KW_ONLY
    lr: float = 5e-3
    weight_decay: float = 0.3

    limits: ClassVar = {"n_components": check_positive, "noise": at_least(0)}
    alone = "is too small for batch normalisation"

    def _build(self, channels, n_out):
        return AutoencoderNetwork(channels, self.n_components)

    def _fit(self, X, y):
        network = self._new_network(X.shape[1])
        device = pick_device()
        images = as_tensor(X).to(device)
        moved = Affine(degrees=2, scale=0.02, shear=3, translate=0.01)

        def loss(network, index, generator):
            # Moved by a pixel or two at most, anew each time: else it learns few images by heart.
            clean = moved(images[index], generator)
            noise = normal(clean.shape, generator).to(device)
            logits = network(clean + self.noise * noise)
            return F.binary_cross_entropy_with_logits(logits, clean)

        self._train(network, loss, len(X), self._epochs(len(X), most=60, images=200_000))

    def _transform(self, X):
        return in_batches(self.network_, self.network_.encoder, X)

    def decode(self, vectors) -> np.ndarray:
        """From vectors (N, n_components) to images, float32 (N, C, 32, 32)."""
        check_is_fitted(self, "fit_seconds_")
        vectors = check_array(vectors, dtype=np.float32, input_name="vectors")
        if vectors.shape[1] != self.n_components:
            raise ValueError(
                f"vectors must have {self.n_components} numbers each, got {vectors.shape[1]}."
            )
        decoder = self.network_.decoder
        return in_batches(decoder, lambda v: torch.sigmoid(decoder(v)), vectors)

    def reconstruct(self, X) -> np.ndarray:
        """Embed images (N, C, 32, 32) and go back to pixels, float32 of the same shape."""
        return self.decode(self.transform(X))
