"""Networks that others trained, as embedders: the last layer cut off, or any other layer read."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from sklearn.utils.validation import check_is_fitted
from torch import nn

from embedlab.data.checks import check_images, check_positive, one_of
from embedlab.data.pictures import as_seen
from embedlab.data.weights import tensors_sha256
from embedlab.embedders.backbones import captured, load_backbone
from embedlab.embedders.base import Embedder
from embedlab.training.loop import in_batches


@dataclass(eq=False, repr=False)
class Pretrained(Embedder):
    """A network for pictures that others trained; nothing is learned from what it is given.

    Each picture goes through the preprocessing that the network was trained with: resized, mostly
    with the centre square cut out, and normalised. Float images are rounded to 8 bits before, so
    that an array and the file that it was read from get the same vector.

    Parameters
    ----------
    model : str or path
        ``"efficientnet-lite0"``, which comes with the package; a classifier of torchvision, such as
        ``"resnet50"`` or, of other weights, ``"resnet50.IMAGENET1K_V1"``, looked for in
        ``TORCH_HOME``; a model of timm, such as ``"timm/vit_small_patch16_224"``, or one of the
        Hugging Face hub, such as ``"openai/clip-vit-base-patch32"``, whose image tower is taken,
        looked for in its cache (``HF_HOME``); or a folder that holds a model of timm's or of
        transformers'. ``embedlab fetch`` gets them.
    layer : str, optional
        A name from ``network_.named_modules()``, whose output is the embedding. Default: what the
        classifier is given; of CLIP the vector in the space it shares with texts, of other models
        of transformers the last hidden state.
    global_pool : {"avg", "max", "cls", "flatten"}
        How a map (N, C, H, W) becomes (N, C), and tokens (N, T, D) become (N, D): the mean over all
        places, the largest value, the first token. Or all numbers in a row.
    batch_size : int
        Pictures at a time.

    Attributes
    ----------
    network_ : torch.nn.Module
        In evaluation mode, on the CPU.
    preprocess_ : callable
        A PIL image, RGB, to a tensor of float32, (3, H, W).
    weights_ : str
        sha256 of the weights, in hex.
    """

    model: str | Path = "efficientnet-lite0"
    layer: str | None = None
    global_pool: str = "avg"
    batch_size: int = 64

    pretrained = True
    limits: ClassVar = {
        "global_pool": one_of("avg", "max", "cls", "flatten"),
        "batch_size": check_positive,
    }

    def transform(self, X) -> np.ndarray:
        """Embed pictures.

        Parameters
        ----------
        X : array-like of float, shape (N, C, H, W), or sequence of PIL images
            Floats in [0, 1]; or pictures of any mode and size, turned as their EXIF data say.

        Returns
        -------
        ndarray of float32, shape (N, D)
        """
        return super().transform(X)

    def embed_tensors(self, batch: torch.Tensor) -> torch.Tensor:
        """Embed what is ready for the network, on the device where the network is.

        Parameters
        ----------
        batch : torch.Tensor of float32, shape (N, 3, H, W)
            Pictures as `preprocess_` gives them.

        Returns
        -------
        torch.Tensor, shape (N, D)
        """
        check_is_fitted(self, "fit_seconds_")
        with torch.inference_mode():
            if self.layer is None:
                found = self.backbone_.embed(self.network_, batch)
            else:
                run = partial(self.backbone_.run, self.network_, batch)
                found = captured(self.network_, self.layer, run)
            return self._pooled(found, len(batch))

    def _fit(self, X, y):
        self.backbone_ = load_backbone(self.model)
        self.network_, self.preprocess_ = self.backbone_.network, self.backbone_.preprocess
        self.weights_ = tensors_sha256(self.network_)
        self._check_layer()

    def _check_parameters(self):
        super()._check_parameters()
        if hasattr(self, "network_"):
            self._check_layer()

    def _check_layer(self):
        names = [name for name, _ in self.network_.named_modules() if name]
        if self.layer is not None and self.layer not in names:
            near = get_close_matches(str(self.layer), names, cutoff=0.3) or names[-3:]
            raise ValueError(
                f"layer={self.layer!r} is no layer of {self.model}. Use {', '.join(near)}, or "
                "another of network_.named_modules()."
            )

    def _like_fitted(self, X):
        check_is_fitted(self, "fit_seconds_")
        return self._check_input(X)  # of any shape: it is resized

    def _check_input(self, X):
        if isinstance(X, Image.Image):
            raise TypeError("X is a single picture: pass a list, [picture].")
        if isinstance(X, list | tuple) and any(isinstance(x, Image.Image) for x in X):
            for i, x in enumerate(X):
                if not isinstance(x, Image.Image):
                    raise TypeError(f"X[{i}] is {type(x).__name__}, not a PIL image as others are.")
            return X
        return check_images(X)

    def _transform(self, X):
        def embed(index):
            batch = torch.stack([self.preprocess_(_picture(X[i])) for i in index.tolist()])
            return self.embed_tensors(batch.to(index.device))

        return in_batches(self.network_, embed, np.arange(len(X)), batch_size=self.batch_size)

    def _pooled(self, found: torch.Tensor, n: int) -> torch.Tensor:
        """A layer's output, of `n` pictures, as (n, D)."""
        if found.ndim < 2 or len(found) != n:
            raise ValueError(
                f"layer={self.layer!r} gives {tuple(found.shape)} for {n} pictures, not one row "
                "each: choose another."
            )
        if self.global_pool == "flatten" or found.ndim == 2:
            return found.flatten(1)
        if self.global_pool == "cls" and found.ndim != 3:
            raise ValueError(f"global_pool='cls': {tuple(found.shape)} are no tokens (N, T, D).")
        if found.ndim == 4:
            found = found.flatten(2).mT if not self._channels_last() else found.flatten(1, 2)
        if self.global_pool == "cls":
            return found[:, 0]
        return found.mean(1) if self.global_pool == "avg" else found.amax(1)

    def _channels_last(self) -> bool:
        """Whether the network's maps are (N, H, W, C), as those of Swin transformers are."""
        told = getattr(self.network_, "output_fmt", type(self.network_).__name__)
        layer = self.layer and self.network_.get_submodule(self.layer)
        return told in ("NHWC", "SwinTransformer") and not isinstance(layer, nn.Conv2d)


def _picture(x) -> Image.Image:
    """A PIL image, or floats in [0, 1] of shape (1 or 3, H, W), as a PIL image, RGB."""
    if isinstance(x, Image.Image):
        return as_seen(x)
    bytes_ = (255 * x).round().astype(np.uint8)
    return Image.fromarray(np.broadcast_to(bytes_, (3, *x.shape[1:])).transpose(1, 2, 0).copy())
