"""What embedders of images and texts in one space share: naming, and finding."""

from collections.abc import Sequence

import numpy as np

from embedlab.data.checks import check_captions, check_positive, check_texts
from embedlab.embedders.base import Embedder
from embedlab.search.exact import normalize, top_k


class ImageTextEmbedder(Embedder):
    """An embedder whose space holds images and texts alike.

    A subclass writes ``_transform(X)`` and ``_texts(texts, name)``, whose vectors need not have
    length one and whose errors speak of `name`, and has the attribute `scale_`, by which cosines
    are multiplied to be logits.
    """

    supervision = "captions"

    def _check_target(self, y, n):
        return check_captions(y, n, type(self).__name__)

    def _texts(self, texts: list[str], name: str) -> np.ndarray:
        raise NotImplementedError

    def embed_images(self, x) -> np.ndarray:
        """Images (N, C, H, W) as vectors of length one, float32 (N, D)."""
        return normalize(self.transform(x))

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """Texts as vectors of length one, float32 (N, D), in the space of the images.

        TypeError or ValueError for what is no text, for none, or for one that is too long.
        """
        return self._said(texts, "texts")

    def _said(self, texts, name: str) -> np.ndarray:
        """Texts as vectors of length one; errors speak of `name`."""
        return normalize(self._texts(check_texts(texts, name), name))

    def zero_shot(self, x, prompts: Sequence[str] | Sequence[Sequence[str]]) -> np.ndarray:
        """How well each prompt goes with each image: a classifier made of words.

        Parameters
        ----------
        x : array-like of float, shape (N, C, H, W)
        prompts : sequence of str, or of sequences of str
            One for each class; or several, whose mean vector then stands for the class (prompt
            ensembling).

        Returns
        -------
        ndarray of float32, shape (N, len(prompts))
            Softmax of the scaled cosines: each row sums to one.
        """
        logits = self.embed_images(x) @ self.class_vectors(prompts).T
        logits *= self.scale_
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def class_vectors(self, prompts: Sequence[str] | Sequence[Sequence[str]]) -> np.ndarray:
        """A vector (D,) of length one for each class, from its prompt or its prompts."""
        if isinstance(prompts, str) or not isinstance(prompts, Sequence | np.ndarray):
            raise TypeError(f"prompts must be a list of texts, got {type(prompts).__name__}.")
        groups = [[p] if isinstance(p, str) else p for p in prompts]
        flat = [p for i, group in enumerate(groups) for p in check_texts(group, f"prompts[{i}]")]
        vectors = self._said(flat, "prompts")
        start = np.cumsum([0, *map(len, groups[:-1])])
        return normalize(np.add.reduceat(vectors, start, axis=0))

    def retrieve(self, queries, gallery, k: int = 5) -> np.ndarray:
        """Of the gallery the positions (N, k) nearest to each query by cosine, best first.

        Queries and gallery are images (N, C, H, W) or lists of texts, each either of the two.
        """
        check_positive(k, "k")
        return top_k(self._either(queries, "queries"), self._either(gallery, "gallery"), k)

    def _either(self, things, name: str) -> np.ndarray:
        """Images or texts as vectors (N, D)."""
        images = getattr(things, "ndim", 1) > 1
        return self.transform(things) if images else self._texts(check_texts(things, name), name)
