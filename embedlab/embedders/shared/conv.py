"""The small convolutional encoder that the autoencoder, SimCLR and the triplet loss share."""

from torch import nn


def conv(n_in: int, n_out: int) -> nn.Sequential:
    """A 3x3 convolution that halves the side, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


class ConvEncoder(nn.Sequential):
    """Four convolutions from images (N, channels, 32, 32) to vectors (N, embed_dim).

    The last one covers what is left, 4x4, so that the vector still knows *where* things are: in a
    digit that is nearly everything. Averaging over the places instead, as large encoders of
    photographs do, would throw it away.
    """

    def __init__(self, channels: int, embed_dim: int = 128, width: int = 16):
        super().__init__(
            conv(channels, width),  # (N, width, 16, 16)
            conv(width, 2 * width),  # (N, 2 width, 8, 8)
            conv(2 * width, 4 * width),  # (N, 4 width, 4, 4)
            nn.Conv2d(4 * width, embed_dim, 4, bias=False),
            nn.BatchNorm2d(embed_dim),
            nn.ReLU(),
            nn.Flatten(),  # (N, embed_dim)
        )
