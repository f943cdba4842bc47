"""Words and sentences as vectors: one-hot, letter n-grams, and a real sentence model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from embedlab.data.checks import check_positive, check_texts
from embedlab.data.weights import minilm_folder
from embedlab.embedders.base import Embedder


class TextEmbedder(Embedder):
    """A function from texts to vectors: ``fit(X)`` and ``transform(X)`` take a list of str."""

    def _check_input(self, X):
        return check_texts(X, "X")


class OneHot(TextEmbedder):
    """Each known text its own axis: as long as the vocabulary, and everything equally far apart."""

    def _fit(self, X, y):
        self.vocabulary_ = {text: i for i, text in enumerate(dict.fromkeys(X))}

    def _transform(self, X):
        unknown = sorted(set(X) - set(self.vocabulary_))
        if unknown:
            raise ValueError(f"X holds texts not seen in fit: {unknown}.")
        return np.eye(len(self.vocabulary_), dtype=np.float32)[[self.vocabulary_[t] for t in X]]


@dataclass(eq=False, repr=False)
class LetterNgrams(TextEmbedder):
    """Counts of the runs of letters in a text: the control that knows spelling and no meaning.

    Parameters
    ----------
    low, high : int
        Shortest and longest run.
    """

    low: int = 2
    high: int = 4

    limits: ClassVar = {"low": check_positive, "high": check_positive}

    def _fit(self, X, y):
        self.counter_ = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(self.low, self.high), use_idf=False
        ).fit(X)

    def _transform(self, X):
        return self.counter_.transform(X).toarray()


@dataclass(eq=False, repr=False)
class MiniLM(TextEmbedder):
    """A trained sentence model with 384 numbers a text, its weights installed as a package.

    Six transformer layers distilled from a larger model, then trained on a billion pairs of
    sentences; the vector is the mean over the tokens, scaled to length one.

    Parameters
    ----------
    folder : str, optional
        Where configuration, vocabulary and ``model.safetensors`` are. Default: inside the
        installed package, which is never imported, with its checksum verified.

    References
    ----------
    Wang et al. (2020), MiniLM; Reimers and Gurevych (2019), Sentence-BERT.
    """

    folder: str | None = None

    pretrained = True

    def _fit(self, X, y):
        from transformers import AutoModel, AutoTokenizer

        folder = self.folder or minilm_folder()
        self.tokenizer_ = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model_ = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def _transform(self, X):
        batch = self.tokenizer_(X, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            tokens = self.model_(**batch).last_hidden_state  # (N, tokens, 384)
        weight = batch["attention_mask"][:, :, None].float()  # padding does not count
        mean = (tokens * weight).sum(1) / weight.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()
