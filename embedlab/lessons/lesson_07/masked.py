"""A masked language model: a small BERT that learns words by the company they keep."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from embedlab.embedders.shared.transformer import Block
from embedlab.lessons.lesson_07.reading import MASK, RARE, Reading
from embedlab.training.loop import seeded, train


class MaskedLanguageModel(nn.Module):
    """One transformer block that says which word of `n_words` belongs at each place of a window.

    What it says of a word is the dot product with that word's own vector. Devlin et al. (2019),
    BERT.
    """

    def __init__(self, n_words: int, length: int, embed_dim: int = 48, num_heads: int = 4):
        super().__init__()
        words, places = (n_words, embed_dim), (1, length, embed_dim)
        words, places = (nn.init.trunc_normal_(torch.empty(s), std=0.02) for s in (words, places))
        self.word_embed = nn.Embedding.from_pretrained(words, freeze=False)
        self.pos_embed = nn.Parameter(places)
        self.block = Block(embed_dim, num_heads)
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.bias = nn.Parameter(torch.zeros(n_words))

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Words (N, L) of int64 to what is expected at each place, (N, L, D)."""
        x, _ = self.block(self.word_embed(words) + self.pos_embed[:, : words.shape[1]])
        return self.norm(x)

    def says(self, expected: torch.Tensor) -> torch.Tensor:
        """What is expected, (..., D), to a logit for each word, (..., n_words)."""
        return expected @ self.word_embed.weight.T + self.bias


def hide(
    words: torch.Tensor, n_words: int, share: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network sees of words (N, L), and which of them it must say, (N, L) of bool.

    Of those to be said, eight in ten are masked, one in ten is another word, one stays.
    """
    chosen = torch.rand(words.shape, generator=generator) < share
    how = torch.rand(words.shape, generator=generator)
    other = torch.randint(RARE + 1, n_words, words.shape, generator=generator)
    spoilt = torch.where(how < 0.8, MASK, torch.where(how < 0.9, other, words))
    return torch.where(chosen, spoilt, words), chosen & (words != RARE)


def untaught(reading: Reading, seed: int) -> MaskedLanguageModel:
    """The network before it has read anything."""
    with seeded(seed):
        return MaskedLanguageModel(len(reading.vocabulary), reading.windows.shape[1])


def taught(
    reading: Reading, seed: int, epochs: int = 2, share: float = 0.2
) -> tuple[MaskedLanguageModel, list[float]]:
    """The network after reading with words hidden, and the loss of each epoch in nats."""
    network, n_words = untaught(reading, seed), len(reading.vocabulary)
    windows = torch.from_numpy(reading.windows)

    def loss(network, index, generator):
        words = windows[index.cpu()]
        seen, asked = hide(words, n_words, share, generator)
        device = index.device
        expected = network(seen.to(device))[asked.to(device)]
        return F.cross_entropy(network.says(expected), words[asked].to(device))

    curve = train(
        network, loss, len(windows), epochs=epochs, batch_size=64, lr=5e-3, seed=seed, label="words"
    )
    return network, curve


def vectors_of(network: MaskedLanguageModel, reading: Reading, words: Sequence[str]) -> np.ndarray:
    """The vectors (N, D) that the network has for words without any context."""
    return network.word_embed.weight.detach().numpy()[reading.numbers(words)]
