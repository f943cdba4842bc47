"""Words and sentences as vectors: one-hot, letter n-grams, and real language models."""

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
from embedlab.data.weights import tensors_sha256, text_folder
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
        folder = text_folder(self.model)
        self.tokenizer_, self.network_ = _loaded(folder)
        self.weights_ = tensors_sha256(self.network_)
        own, modules = _json(folder / "sentence_bert_config.json"), _json(folder / "modules.json")
        self.max_length_ = min(
            self.tokenizer_.model_max_length,
            getattr(self.network_.config, "max_position_embeddings", None) or np.inf,
            own.get("max_seq_length") or np.inf,
        )
        self.unit_ = any(module["type"].endswith("Normalize") for module in modules)

    def _transform(self, X):
        if self.pooling == "cls" and self.tokenizer_.cls_token is None:
            raise ValueError(f"pooling='cls': {self.model} has no token that stands for a text.")
        _, vectors = self._read(X, "X", lambda out, mask: self._pooled(self._layer(out), mask))
        return np.stack(vectors)

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
        found = zip(*self._read(texts, "texts", lambda out, mask: self._layer(out)), strict=True)
        return [(self._names(numbers), v[: len(numbers)]) for numbers, v in found]

    def attentions(self, texts: Sequence[str]) -> list[tuple[list[str], np.ndarray]]:
        """The tokens of each text, and how much each of them heeds every other.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        list of (list of str, ndarray of float32, shape (layers, heads, T, T))
            One for each text, of T tokens. A row is a token that looks, a column one that is looked
            at: each row sums to one.
        """
        check_is_fitted(self, "fit_seconds_")
        before = self.network_.config._attn_implementation
        self.network_.set_attn_implementation("eager")  # the faster ones never hold the maps
        try:
            take = lambda out, mask: torch.stack(out.attentions, dim=1)  # noqa: E731
            found = self._read(texts, "texts", take, output_attentions=True)
        finally:
            self.network_.set_attn_implementation(before)
        sizes = map(len, found[0])
        return [
            (self._names(numbers), maps[..., :n, :n])
            for numbers, maps, n in zip(*found, sizes, strict=True)
        ]

    def _names(self, numbers: list[int]) -> list[str]:
        return self.tokenizer_.convert_ids_to_tokens(numbers)

    def _numbered(self, texts: list[str], name: str) -> list[list[int]]:
        """Each text as the numbers of its tokens; a warning says which are cut off."""
        how = dict(return_attention_mask=False, return_token_type_ids=False, verbose=False)
        numbers, most = self.tokenizer_(texts, **how)["input_ids"], self.max_length_
        long = [i for i, n in enumerate(numbers) if len(n) > most]
        if long:
            lost = [f"{name}[{i}] loses its last {len(numbers[i]) - most}" for i in long[:5]]
            lost += [f"{len(long) - 5} more lose theirs"] if len(long) > 5 else []
            said = f"{self.model} reads {most} tokens of a text: {', '.join(lost)}."
            warnings.warn(said, stacklevel=4)
            how |= dict(truncation=True, max_length=most)
            for i in long:  # again, for the special tokens at the end
                numbers[i] = self.tokenizer_(texts[i], **how)["input_ids"]
        if [] in numbers:
            i = numbers.index([])
            raise ValueError(f"{name}[{i}] is {texts[i]!r}: {self.model} knows no token of it.")
        return numbers

    def _read(self, texts, name: str, take: Callable, **wanted) -> tuple[list, list]:
        """The tokens' numbers of each text, and its part of ``take(out, mask)``.

        `out` is what the network says of a batch, `wanted` included, and `mask` (B, T) is zero
        where a token only pads.
        """
        check_is_fitted(self, "fit_seconds_")
        numbers = self._numbered(check_texts(texts, name), name)
        # Texts of like length together, so that little is padding; a single batch as it comes.
        order = np.arange(len(numbers))
        if len(order) > self.batch_size:
            order = np.argsort([-len(n) for n in numbers], kind="stable")
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        found, device = [None] * len(numbers), pick_device()
        pad = self.tokenizer_.pad_token_id or 0
        self.network_.to(device)
        try:
            with own_threads(), torch.inference_mode():
                for batch in tqdm(batches, desc=str(self.model), delay=1, leave=False):
                    rows = [torch.tensor(numbers[i]) for i in batch]
                    ids = pad_sequence(rows, True, pad).to(device)  # (B, T)
                    mask = pad_sequence([torch.ones_like(r) for r in rows], True).to(device)
                    layers = {"output_hidden_states": self.layer is not None}
                    out = self.network_(input_ids=ids, attention_mask=mask, **layers, **wanted)
                    for i, value in zip(batch, take(out, mask).float().cpu().numpy(), strict=True):
                        found[i] = value
        finally:
            self.network_.cpu()
        return numbers, found

    def _layer(self, out) -> torch.Tensor:
        """The vectors of `layer`, (B, T, D)."""
        if self.layer is None:
            return out.last_hidden_state
        last = len(out.hidden_states) - 1
        if self.layer not in range(last + 1):
            raise ValueError(
                f"layer={self.layer!r} must be None or a whole number from 0 to {last}."
            )
        return out.hidden_states[self.layer]

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


def _loaded(folder: Path):
    """The tokenizer and the network of a text model's folder; none of its code runs."""
    from transformers import AutoModel, AutoTokenizer

    # Said as False: left out, transformers asks at the terminal whether to run foreign code.
    how = dict(local_files_only=True, trust_remote_code=False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **how)
        network, told = AutoModel.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, **how
        )
    except Exception as error:  # transformers', safetensors' and tokenizers' share no other parent
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{folder} is no text model that transformers reads by itself: {reason}"
        ) from error
    config = network.config
    one_stack = hasattr(config, "hidden_size") and not config.is_encoder_decoder
    if not one_stack or network.main_input_name != "input_ids":
        raise ValueError(
            f"{folder} is a {config.model_type}: a stack of layers for texts is needed."
        )
    # What is missing was drawn at random, each time anew. The pooler often is, and is not used.
    pooler = [key for key in told["missing_keys"] if key.startswith("pooler.")]
    if pooler:
        network.pooler = None
    absent = sorted(told["missing_keys"].difference(pooler))
    if absent:
        raise ValueError(
            f"{folder} lacks {len(absent)} of the model's weights, such as {absent[0]}."
        )
    return tokenizer, network.eval()


def _json(path: Path) -> dict | list:
    """What a JSON file holds; nothing where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
