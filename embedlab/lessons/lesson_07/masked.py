"""A masked language model: a small BERT that learns words from the company they keep."""

import torch
from torch import nn

from embedlab.embedders.shared.transformer import Block


class MaskedLanguageModel(nn.Module):
    """Says which word belongs at each place of a window of `length` words.

    Devlin et al. (2019), BERT. The vector of a word and its weights in the output are the same.
    """

    def __init__(
        self, n_words: int, length: int, embed_dim: int = 64, depth: int = 2, heads: int = 4
    ):
        super().__init__()
        words, places = (n_words, embed_dim), (1, length, embed_dim)
        words, places = (nn.init.trunc_normal_(torch.empty(s), std=0.02) for s in (words, places))
        self.word_embed = nn.Embedding.from_pretrained(words, freeze=False)
        self.pos_embed = nn.Parameter(places)
        self.blocks = nn.ModuleList(Block(embed_dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.bias = nn.Parameter(torch.zeros(n_words))

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Words (N, L) of int64 to a vector for each in its context, (N, L, D)."""
        x = self.word_embed(words) + self.pos_embed[:, : words.shape[1]]
        for block in self.blocks:
            x, _ = block(x)
        return self.norm(x)

    def guess(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (..., D) to a logit for each word of the vocabulary, (..., n_words)."""
        return vectors @ self.word_embed.weight.T + self.bias
