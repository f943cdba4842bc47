"""Texts sent to an OpenAI-compatible endpoint, which sends their vectors back."""

import hashlib
import json
import os
import time
from dataclasses import KW_ONLY, dataclass
from email.utils import parsedate_to_datetime
from typing import ClassVar

import numpy as np
import requests
from tqdm import tqdm

from embedlab.data.checks import above, check_positive
from embedlab.data.download import DataUnavailable
from embedlab.embedders.text import EmbedderOfTexts

OPENAI = "https://api.openai.com/v1"
PASSING = (408, 409, 429, 500, 502, 503, 504)  # may be better after a pause
PAUSES = (1, 2, 4, 8, 16)  # seconds, where the server does not ask for more
PATIENCE = 120  # seconds: who asks for more is not waited for


@dataclass(eq=False, repr=False)
class RemoteText(EmbedderOfTexts):
    """A text model on a server: OpenAI's, or any that speaks as it does (vLLM, Ollama, llama.cpp).

    ``OPENAI_BASE_URL`` says where, such as ``http://localhost:11434/v1``; it is OpenAI itself where
    that is not set. ``OPENAI_API_KEY`` is sent along, and never stored. The texts leave this
    machine, and what they cost there is between you and the server. A busy one is asked again, with
    growing pauses.

    Parameters
    ----------
    model : str
        The server's name of it, such as ``"text-embedding-3-small"``.
    batch_size : int
        Texts a request.
    timeout : float
        Seconds that an answer may take.

    Attributes
    ----------
    url_ : str
        Where the texts are sent.
    weights_ : str
        SHA-256 of address and name: nobody sees the weights, and the server may change them.
    """

    model: str
    batch_size: int = 64
    _: KW_ONLY
    timeout: float = 60.0

    pretrained = True
    limits: ClassVar = {"batch_size": check_positive, "timeout": above(0)}

    def _check_parameters(self):
        super()._check_parameters()
        if not isinstance(self.model, str) or not self.model.strip():
            raise ValueError(f"model={self.model!r} must be the server's name of a text model.")

    def _fit(self, X, y):
        base = os.environ.get("OPENAI_BASE_URL", "").strip() or OPENAI
        if not base.startswith(("http://", "https://")):
            raise ValueError(f"OPENAI_BASE_URL={base!r} must begin with http:// or https://.")
        if base == OPENAI and not _key():
            raise DataUnavailable(
                "OPENAI_API_KEY is not set: set it to your key, or OPENAI_BASE_URL to the address "
                "of a server that asks for none."
            )
        self.url_ = f"{base.rstrip('/')}/embeddings"
        self.weights_ = hashlib.sha256(f"{self.url_} {self.model}".encode()).hexdigest()

    def _transform(self, X):
        found, bar = [], tqdm(total=len(X), desc=self.model, unit="text", delay=1, leave=False)
        with requests.Session() as session, bar:
            session.auth = _signed  # given so, or a ~/.netrc would take its place
            for start in range(0, len(X), self.batch_size):
                batch = X[start : start + self.batch_size]
                found.append(self._vectors(self._answer(session, batch), len(batch)))
                bar.update(len(batch))
        lengths = {vectors.shape[1] for vectors in found}
        if len(lengths) > 1:
            raise self._failed(f"vectors of {sorted(lengths)} numbers came for one model")
        return np.concatenate(found)

    def _answer(self, session: requests.Session, batch: list[str]) -> requests.Response:
        """What the server answers to some texts, asked again where it fails for the moment."""
        asked = {"model": self.model, "input": batch}
        for pause in (*PAUSES, None):
            try:
                answer = session.post(self.url_, json=asked, timeout=(10, self.timeout))
            except requests.ReadTimeout as error:
                wait, why, cause = 0, f"no answer in {self.timeout:g} s", error
            except requests.RequestException as error:
                cause, why = error, f"{type(error).__name__}, {error}"
                # Where the connection was made and then broke. Where nobody listens, who would?
                wait = None if hasattr(next(iter(error.args), None), "reason") else 0
            else:
                if answer.ok:
                    return answer
                cause, why = None, f"it says {answer.status_code}, {_sentence(answer)}"
                wait = _asked_for(answer) if answer.status_code in PASSING else None
            if pause is None or wait is None or wait > PATIENCE:
                raise self._failed(why) from cause
            time.sleep(max(pause, wait))

    def _vectors(self, answer: requests.Response, n: int) -> np.ndarray:
        """The vectors of `n` texts in their order, (n, D)."""
        try:
            data = sorted(answer.json()["data"], key=lambda entry: entry["index"])
            places = [entry["index"] for entry in data]
            vectors = [np.asarray(entry["embedding"], dtype=np.float32) for entry in data]
        except (ValueError, KeyError, TypeError) as error:
            raise self._failed("its answer is not that of an OpenAI-compatible server") from error
        if places != list(range(n)):
            raise self._failed(f"{n} texts were sent, vectors came for the places {places}")
        if len({v.shape for v in vectors}) > 1 or vectors[0].ndim != 1 or not vectors[0].size:
            raise self._failed("its vectors are not of one length")
        if not np.isfinite(vectors).all():
            raise self._failed("there are numbers in its vectors that are not finite")
        return np.stack(vectors)

    def _failed(self, why: str) -> DataUnavailable:
        return DataUnavailable(f"{self.model} at {self.url_} gave no vectors: {why}.")


def _key() -> str:
    return os.environ.get("OPENAI_API_KEY", "").strip()


def _signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The request with the key, where there is one."""
    if _key():
        request.headers["Authorization"] = f"Bearer {_key()}"
    return request


def _asked_for(answer: requests.Response) -> float:
    """The seconds that a server asks to wait; it may tell them, or the date when they are over."""
    asked = answer.headers.get("Retry-After", "0")
    try:
        return float(asked)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(asked).timestamp() - time.time()
    except ValueError:
        return 0


def _sentence(answer: requests.Response) -> str:
    """What a server says is wrong, without the key, should it repeat that."""
    try:
        said = answer.json()
        said = said.get("error") or said.get("detail") or said.get("message") or said
        said = said.get("message", said) if isinstance(said, dict) else said
    except (ValueError, AttributeError):
        said = answer.text.strip() or answer.reason
    said = said if isinstance(said, str) else json.dumps(said)
    return (said.replace(_key(), "***") if _key() else said)[:300].rstrip(".")
