"""CLIP: an image tower and a text tower that learn to meet."""

import math
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.data.checks import above, check_positive, check_texts
from embedlab.data.images import as_tensor
from embedlab.embedders.shared.conv import ConvEncoder
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.embedders.shared.network import NetworkEmbedder
from embedlab.embedders.shared.tokenizer import WordTokenizer
from embedlab.embedders.shared.transformer import Block
from embedlab.training.augment import View
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches

if TYPE_CHECKING:
    from embedlab.embedders.pretrained_clip import PretrainedCLIP

MAX_SCALE = 100.0  # of the paper: beyond it training is unstable


def clip_loss(
    image: torch.Tensor, text: torch.Tensor, scale: torch.Tensor, caption: torch.Tensor
) -> torch.Tensor:
    """Symmetric cross-entropy: which text belongs to each image, and which image to each text?

    Where a caption stands in the batch more than once, each copy is as right as the other: the
    answer asked for is spread evenly over them.

    Parameters
    ----------
    image, text : torch.Tensor, shape (N, D)
        Vectors of length one; row i of both is a pair.
    scale : torch.Tensor
        Scalar by which the cosines are multiplied: one over the temperature.
    caption : torch.Tensor of int64, shape (N,)
        Equal numbers for equal captions.

    Returns
    -------
    torch.Tensor
        The mean of both directions, in nats.

    References
    ----------
    Radford et al. (2021), Learning transferable visual models from natural language supervision.
    """
    logits = scale * image @ text.T  # (N, N): a row an image, a column a text
    same = (caption[:, None] == caption[None, :]).to(logits.dtype)
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class TextEncoder(nn.Module):
    """A small transformer over the words of a text; what it has gathered at the start is the text.

    It knows `vocabulary` tokens, reads `context_length` of them, each `embed_dim` long, and gives
    vectors of `n_out` numbers.
    """

    def __init__(
        self,
        vocabulary: int,
        context_length: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        n_out: int,
    ):
        super().__init__()
        words, places = (vocabulary, embed_dim), (1, context_length, embed_dim)
        words, places = (nn.init.trunc_normal_(torch.empty(s), std=0.02) for s in (words, places))
        self.token_embed = nn.Embedding.from_pretrained(words, freeze=False)
        self.pos_embed = nn.Parameter(places)
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.project = nn.Linear(embed_dim, n_out, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, L) of int64 to vectors (N, n_out)."""
        x = self.token_embed(tokens) + self.pos_embed  # (N, L, embed_dim)
        for block in self.blocks:
            x, _ = block(x)
        return self.project(self.norm(x[:, 0]))


@dataclass(eq=False, repr=False)
class CLIP(ImageTextEmbedder, NetworkEmbedder):
    """A convolutional image tower and a transformer over words, trained on captioned images.

    ``fit(images, captions)`` takes the captions where other embedders take labels. The vectors of
    ``transform`` are those of the shared space.

    Parameters
    ----------
    embed_dim : int
        Length of the vectors of the shared space.
    temperature : float
        Cosines over the temperature are the logits; from where it starts if it is learned.
    learn_temperature : bool
        Let training change it, though not below 0.01.
    word_dim, depth, num_heads : int
        Of the text tower: length of a word's vector, number of blocks, attention heads in each;
        `num_heads` divides `word_dim`.
    context_length : int
        The longest caption in words, and one more.
    vocabulary : sequence of str
        Words that have a token even where no caption holds them. What such a word means is then
        never learned; a word that has none is read as unknown, with a warning.
    augment : bool or sequence of views
        Show each training image a little turned, scaled, sheared and shifted; or as these views of
        :mod:`embedlab.training.augment` change it. Not for captions that tell left from right: a
        :class:`~embedlab.training.augment.Flip`.
    epochs : int, optional
        Default: 30, fewer where there are many images: about 200,000 are seen in all.
    **kwargs
        See :class:`embedlab.embedders.shared.network.NetworkEmbedder`.

    Attributes
    ----------
    network_ : torch.nn.ModuleDict
        The ``image`` tower and the ``text`` tower.
    tokenizer_ : WordTokenizer
    scale_ : float
        One over the temperature after training.
    loss_curve_ : list of float
        Mean loss of each epoch, in nats.

    References
    ----------
    Radford et al. (2021), Learning transferable visual models from natural language supervision.
    """

    embed_dim: int = 64
    temperature: float = 0.07
    learn_temperature: bool = True
    word_dim: int = 64
    depth: int = 2
    num_heads: int = 4
    context_length: int = 16
    vocabulary: tuple[str, ...] = ()
    augment: bool | tuple[View, ...] = False
    _: KW_ONLY
    batch_size: int = 128
    lr: float = 3e-3

    limits: ClassVar = {
        **dict.fromkeys(
            ("embed_dim", "word_dim", "depth", "num_heads", "context_length"), check_positive
        ),
        "temperature": above(0),
    }
    alone = "has no wrong answers"

    def _check_parameters(self):
        super()._check_parameters()
        if self.word_dim % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} must divide word_dim={self.word_dim}.")
        if self.temperature < 1 / MAX_SCALE:
            raise ValueError(f"temperature={self.temperature!r} must be at least {1 / MAX_SCALE}.")

    def _build(self, channels, n_out):
        shape = self.context_length, self.embed_dim, self.word_dim, self.depth, self.num_heads
        network = clip_towers(channels, n_out, *shape)
        log_scale = nn.Parameter(torch.tensor(-math.log(self.temperature)))
        network.register_parameter("log_scale", log_scale.requires_grad_(self.learn_temperature))
        return network

    def _fit(self, X, y):
        more = check_texts(self.vocabulary, "vocabulary") if len(self.vocabulary) else []
        tokenizer = WordTokenizer([*y, *more], self.context_length)
        # Captions of the same words are one caption, however they are written.
        tokens, caption = np.unique(tokenizer(y, "captions"), axis=0, return_inverse=True)
        if len(tokens) < 2:
            raise ValueError(f"captions are all {y[0]!r}: at least two different are needed.")
        network = self._new_network(X.shape[1], len(tokenizer.vocabulary))
        device, view = pick_device(), self._view()
        images, tokens, caption = (as_tensor(a).to(device) for a in (X, tokens, caption.ravel()))

        def loss(network, index, generator):
            # A caption that stands in the batch ten times is read once.
            distinct, where = caption[index].unique(return_inverse=True)
            image = network["image"](view(images[index], generator))
            text = network["text"](tokens[distinct])
            with torch.autocast(device.type, enabled=False):  # bf16 knows a cosine to .004 only
                image, text = (F.normalize(z.float(), dim=1) for z in (image, text))
                scale = network.log_scale.exp().clamp(max=MAX_SCALE)
                return clip_loss(image, text[where], scale, where)

        self._train(network, loss, len(X), self._epochs(len(X), most=30, images=200_000))
        self.tokenizer_ = tokenizer
        self.scale_ = min(network.log_scale.detach().exp().item(), MAX_SCALE)

    def _transform(self, X):
        tower = self.network_["image"]
        return in_batches(tower, tower, X)

    def _texts(self, texts, name):
        check_is_fitted(self, "fit_seconds_")
        tower = self.network_["text"]
        return in_batches(tower, tower, self.tokenizer_(texts, name))

    @classmethod
    def from_pretrained(cls, model: str | Path) -> "PretrainedCLIP":
        """A CLIP that others trained, with the same methods.

        Parameters
        ----------
        model : str or path
            A name of the Hugging Face hub, such as ``"openai/clip-vit-base-patch32"``, whose files
            are looked for in its cache (``HF_HOME``); or a folder that holds them.

        Returns
        -------
        embedlab.embedders.pretrained_clip.PretrainedCLIP

        Raises
        ------
        embedlab.data.download.DataUnavailable
            Where they are not on this machine; the message says how to get them.
        """
        from embedlab.embedders.pretrained_clip import PretrainedCLIP

        return PretrainedCLIP(str(model)).fit()


def clip_towers(
    channels: int,
    n_tokens: int,
    context_length: int = 16,
    embed_dim: int = 64,
    word_dim: int = 64,
    depth: int = 2,
    num_heads: int = 4,
) -> nn.ModuleDict:
    """Both towers of :class:`CLIP` with random weights, each ending in the shared space.

    ``image``: (N, channels, 32, 32) to (N, embed_dim). ``text``: (N, context_length) of int64, of
    `n_tokens` words, to (N, embed_dim).
    """
    encoder = ConvEncoder(channels)
    width = encoder[3].out_channels
    image = nn.Sequential(encoder, nn.Linear(width, embed_dim, bias=False))
    text = TextEncoder(n_tokens, context_length, word_dim, depth, num_heads, embed_dim)
    return nn.ModuleDict({"image": image, "text": text})
