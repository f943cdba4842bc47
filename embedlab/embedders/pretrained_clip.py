"""A CLIP that others trained, behind the course's methods: transformers' model and processor."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from embedlab.data.checks import check_images, check_positive
from embedlab.data.weights import clip_files
from embedlab.embedders.base import forget
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.training.device import pick_device


class PretrainedCLIP(ImageTextEmbedder):
    """A CLIP of the Hugging Face hub, or of a folder; nothing is learned from what it is given.

    Parameters
    ----------
    model : str
        Such as ``"openai/clip-vit-base-patch32"``, or a folder with its files.
    batch_size : int
        Images or texts at a time.

    Attributes
    ----------
    network_ : transformers.CLIPModel
    processor_ : transformers.CLIPProcessor
        Enlarges images to the model's size, normalises them, and turns text into tokens.
    scale_ : float
        One over the temperature.

    References
    ----------
    Radford et al. (2021), Learning transferable visual models from natural language supervision.
    """

    def __init__(self, model: str = "openai/clip-vit-base-patch32", batch_size: int = 32):
        self.model = model
        self.batch_size = batch_size

    def fit(self, X=None, y=None):
        """Load model and processor; nothing is learned from `X`.

        Raises
        ------
        embedlab.data.download.DataUnavailable
            Where they are not on this machine; the message says how to get them.
        """
        from transformers import CLIPModel, CLIPProcessor

        forget(self)
        check_positive(self.batch_size, "batch_size")
        folder = clip_files(self.model)
        self.network_ = CLIPModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        ).eval()
        self.processor_ = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        self.scale_ = self.network_.logit_scale.detach().exp().item()
        return self

    def transform(self, X) -> np.ndarray:
        """Embed images of any size.

        Parameters
        ----------
        X : array-like of float, shape (N, C, H, W)
            In [0, 1]; a single channel becomes three.

        Returns
        -------
        ndarray of float32, shape (N, D)
        """
        check_is_fitted(self, "network_")
        X = check_images(X)
        bytes_ = (255 * X).round().astype(np.uint8)  # what the processor was made for
        bytes_ = np.broadcast_to(bytes_, (len(X), 3, *X.shape[2:]))

        def prepare(batch):
            return self.processor_.image_processor(
                images=list(batch.copy()), input_data_format="channels_first", return_tensors="pt"
            )

        return self._run(self.network_.get_image_features, bytes_, prepare)

    def _texts(self, texts, name):
        check_is_fitted(self, "network_")
        tokenizer = self.processor_.tokenizer
        longest = self.network_.config.text_config.max_position_embeddings
        for text in texts:
            length = len(tokenizer(text)["input_ids"])
            if length > longest:
                raise ValueError(f"{name}: {length} tokens, {longest} fit: shorten {text!r}.")

        def prepare(batch):
            return tokenizer(list(batch), padding=True, return_tensors="pt")

        return self._run(self.network_.get_text_features, texts, prepare)

    def _run(self, features, things, prepare) -> np.ndarray:
        """The model's features of things, a batch at a time, on the best device there is."""
        device, size, done = pick_device(), self.batch_size, []
        self.network_.to(device)
        try:
            with torch.inference_mode():
                for start in range(0, len(things), size):
                    batch = prepare(things[start : start + size]).to(device)
                    done.append(features(**batch).pooler_output.float().cpu())
        finally:
            self.network_.cpu()
        return torch.cat(done).numpy()
