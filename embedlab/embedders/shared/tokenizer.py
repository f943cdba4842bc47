"""Words as whole numbers, and texts as rows of them."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from embedlab.data.captions import words
from embedlab.data.checks import check_texts

PAD, UNKNOWN, START = "<pad>", "<unknown>", "<start>"


class WordTokenizer:
    """A token for each word in the texts it was made with; texts become rows of them.

    `vocabulary` holds three tokens that are no words, then the words in alphabetical order.
    """

    def __init__(self, texts: Iterable[str], context_length: int):
        known = sorted({word for text in texts for word in words(text)})
        self.vocabulary = [PAD, UNKNOWN, START, *known]
        self.context_length = context_length
        self._index = {word: i for i, word in enumerate(self.vocabulary)}

    def __call__(self, texts: Sequence[str], name: str = "texts") -> np.ndarray:
        """Texts as tokens, (N, context_length) of int64; a warning names the unknown words."""
        texts = check_texts(texts, name)
        split = [words(text) for text in texts]
        if [] in split:
            i = split.index([])
            raise ValueError(f"{name}[{i}] is {texts[i]!r}: there is no word in it.")
        length = np.array([len(row) for row in split])
        if length.max() >= self.context_length:
            i = int(length.argmax())
            raise ValueError(
                f"{name}[{i}] has {length[i]} words, {self.context_length - 1} fit: shorten "
                f"{texts[i]!r}, or fit with a larger context_length."
            )
        unknown = sorted({word for row in split for word in row} - self._index.keys())
        if unknown:
            named = ", ".join(map(repr, unknown))
            warnings.warn(
                f"{name}: {named} not in the vocabulary, read as {UNKNOWN}.", stacklevel=2
            )
        index = self._index
        rest = index[UNKNOWN]
        tokens = np.full((len(texts), self.context_length), index[PAD])
        tokens[:, 0] = index[START]
        tokens[:, 1:][np.arange(1, self.context_length) <= length[:, None]] = [
            index.get(word, rest) for row in split for word in row
        ]
        return tokens
