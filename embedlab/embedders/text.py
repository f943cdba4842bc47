"""Words and sentences as vectors: one-hot, letter n-grams, and real language models."""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.validation import check_is_fitted
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from embedlab.data.checks import check_positive, check_texts, one_of
from embedlab.data.weights import WEIGHTS, minilm_folder
from embedlab.embedders.base import Embedder
from embedlab.training.device import own_threads, pick_device


class EmbedderOfTexts(Embedder):
    """A function from texts to vectors: ``fit(X)`` and ``transform(X)`` take a list of str."""

    def _check_input(self, X):
        return check_texts(X, "X")


class OneHot(EmbedderOfTexts):
    """Each known text its own axis: as long as the vocabulary, and everything equally far apart."""

    def _fit(self, X, y):
        self.vocabulary_ = {text: i for i, text in enumerate(dict.fromkeys(X))}

    def _transform(self, X):
        unknown = sorted(set(X) - set(self.vocabulary_))
        if unknown:
            raise ValueError(f"X holds texts not seen in fit: {unknown}.")
        return np.eye(len(self.vocabulary_), dtype=np.float32)[[self.vocabulary_[t] for t in X]]


@dataclass(eq=False, repr=False)
class LetterNgrams(EmbedderOfTexts):
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
class TextEmbedder(EmbedderOfTexts):
    """A transformer for texts that others trained: a vector a text, and one a token.

    A text longer than the model reads is cut off at its end, with a warning.

    Parameters
    ----------
    model : str or path
        ``"minilm"``, installed with the package, its checksum verified: six layers distilled from a
        larger model, then trained on a billion pairs of sentences, 384 numbers a text. Or a folder
        with a model's files, or a name such as ``"distilbert-base-cased"``, whose files are looked
        for in the Hugging Face cache (``HF_HOME``).
    pooling : {"mean", "cls", "max"}
        What a text's vector is of its tokens' vectors: their mean, the first one's, the largest in
        each dimension. Scaled to length one where the model's own files say so, as MiniLM's do.
    batch_size : int
        Texts at a time.
    layer : int, optional
        Whose vectors: 0 is what the first layer is given, which knows the token and its place but
        no other token; 1 what it makes of that. Default: the last.

    Attributes
    ----------
    network_ : transformers.PreTrainedModel
        In evaluation mode, on the CPU.
    tokenizer_ : transformers.PreTrainedTokenizerFast
    max_length_ : int
        Tokens that the model reads, special ones included.
    unit_ : bool
        Whether a text's vector is scaled to length one.
    weights_ : str
        SHA-256 of the weights.

    References
    ----------
    Devlin et al. (2019), BERT; Reimers and Gurevych (2019), Sentence-BERT; Wang et al. (2020),
    MiniLM.
    """

    model: str | Path = "minilm"
    pooling: str = "mean"
    batch_size: int = 64
    layer: int | None = None

    pretrained = True
    limits: ClassVar = {"pooling": one_of("mean", "cls", "max"), "batch_size": check_positive}

    def _fit(self, X, y):
        from transformers import AutoModel, AutoTokenizer

        folder = minilm_folder() if self.model == "minilm" else Path(self.model)
        # Said as False: left out, transformers asks at the terminal whether to run foreign code.
        how = dict(local_files_only=True, trust_remote_code=False)
        self.tokenizer_ = AutoTokenizer.from_pretrained(folder, **how)
        self.network_ = AutoModel.from_pretrained(folder, dtype=torch.float32, **how).eval()
        self.weights_ = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        own, modules = _json(folder / "sentence_bert_config.json"), _json(folder / "modules.json")
        self.max_length_ = min(
            self.tokenizer_.model_max_length,
            getattr(self.network_.config, "max_position_embeddings", np.inf),
            own.get("max_seq_length") or np.inf,
        )
        self.unit_ = any(module["type"].endswith("Normalize") for module in modules)

    def _transform(self, X):
        if self.pooling == "cls" and self.tokenizer_.cls_token is None:
            raise ValueError(f"pooling='cls': {self.model} has no token that stands for a text.")
        return np.stack(self._read(self._numbered(X, "X"), self._pooled))

    def tokens(self, texts: Sequence[str]) -> list[tuple[list[str], np.ndarray]]:
        """The tokens of each text, special ones included, and their vectors.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        list of (list of str, ndarray of float32, shape (T, D))
            One for each text, of T tokens; the vectors are those of `layer`.
        """
        check_is_fitted(self, "fit_seconds_")
        numbers = self._numbered(check_texts(texts, "texts"), "texts")
        vectors = self._read(numbers, lambda vectors, mask: vectors)
        name = self.tokenizer_.convert_ids_to_tokens
        return [(name(n), v[: len(n)]) for n, v in zip(numbers, vectors, strict=True)]

    def _numbered(self, texts: list[str], name: str) -> list[list[int]]:
        """Each text as the numbers of its tokens; a warning says which are cut off."""
        numbers = self.tokenizer_(texts, verbose=False)["input_ids"]
        lost = {i: len(n) - self.max_length_ for i, n in enumerate(numbers)}
        lost = {i: n for i, n in lost.items() if n > 0}
        if lost:
            whole = [texts[i] for i in lost]
            cut = self.tokenizer_(whole, truncation=True, max_length=self.max_length_)["input_ids"]
            for i, kept in zip(lost, cut, strict=True):
                numbers[i] = kept
            some = ", ".join(f"{name}[{i}] loses its last {n}" for i, n in list(lost.items())[:5])
            more = f", and {len(lost) - 5} more are cut" if len(lost) > 5 else ""
            warnings.warn(
                f"{self.model} reads {self.max_length_} tokens of a text: {some}{more}.",
                stacklevel=4,
            )
        return numbers

    def _read(self, numbers: list[list[int]], take: Callable) -> list[np.ndarray]:
        """What ``take(vectors, mask)`` is for each text, of its tokens' (B, T, D) and (B, T)."""
        # Texts of like length together, so that little is padding; a single batch as it comes.
        length = np.array([len(n) for n in numbers])
        order = np.arange(len(numbers))
        if len(order) > self.batch_size:
            order = np.argsort(-length, kind="stable")
        found, device = [None] * len(numbers), pick_device()
        pad = self.tokenizer_.pad_token_id or 0
        self.network_.to(device)
        try:
            with own_threads(), torch.inference_mode():
                batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
                for batch in tqdm(batches, desc=str(self.model), delay=1, leave=False):
                    rows = [torch.tensor(numbers[i]) for i in batch]
                    mask = pad_sequence([torch.ones_like(r) for r in rows], True).to(device)
                    ids = pad_sequence(rows, True, pad).to(device)
                    taken = take(self._vectors(ids, mask), mask).float().cpu().numpy()
                    for i, value in zip(batch, taken, strict=True):
                        found[i] = value
        finally:
            self.network_.cpu()
        return found

    def _vectors(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What `layer` makes of tokens (B, T): (B, T, D)."""
        wanted = dict(input_ids=ids, attention_mask=mask)
        if self.layer is None:
            return self.network_(**wanted).last_hidden_state
        layers = self.network_(**wanted, output_hidden_states=True).hidden_states
        if self.layer not in range(len(layers)):
            raise ValueError(
                f"layer={self.layer!r} must be a whole number from 0 to {len(layers) - 1}."
            )
        return layers[self.layer]

    def _pooled(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """A vector for each text, (B, D), of its tokens' (B, T, D)."""
        weight = mask[:, :, None].float()  # padding does not count
        if self.pooling == "cls":
            whole = tokens[:, 0]
        elif self.pooling == "max":
            whole = tokens.masked_fill(weight == 0, -torch.inf).amax(1)
        else:
            whole = (tokens * weight).sum(1) / weight.sum(1)
        return torch.nn.functional.normalize(whole, dim=1) if self.unit_ else whole


def _json(path: Path) -> dict | list:
    """What a JSON file holds; nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
