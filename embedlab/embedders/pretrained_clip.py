"""A CLIP that others trained, behind the course's methods: transformers' model and processor."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from embedlab.data.checks import check_positive
from embedlab.data.weights import clip_files, tensors_sha256
from embedlab.embedders.shared.image_text import ImageTextEmbedder
from embedlab.training.loop import in_batches


@dataclass(eq=False, repr=False)
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
    weights_ : str
        Their sha256, in hex.
    scale_ : float
        One over the temperature.

    References
    ----------
    Radford et al. (2021), Learning transferable visual models from natural language supervision.
    """

    model: str = "openai/clip-vit-base-patch32"
    batch_size: int = 32

    pretrained = True
    limits: ClassVar = {"batch_size": check_positive}

    def _fit(self, X, y):
        from transformers import CLIPModel, CLIPProcessor

        folder = clip_files(self.model)
        self.network_ = CLIPModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        ).eval()
        self.processor_ = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        self.weights_ = tensors_sha256(self.network_)
        self.scale_ = self.network_.logit_scale.detach().exp().item()

    def _transform(self, X):
        def features(batch):
            pixels = self.processor_.image_processor(
                images=list(batch.cpu().numpy()),
                input_data_format="channels_first",
                return_tensors="pt",
            ).to(batch.device)
            return self.network_.get_image_features(**pixels).pooler_output

        bytes_ = (255 * X).round().astype(np.uint8)  # what the processor was made for
        colour = np.broadcast_to(bytes_, (len(X), 3, *X.shape[2:]))
        return in_batches(self.network_, features, colour, batch_size=self.batch_size)

    def _texts(self, texts, name):
        check_is_fitted(self, "fit_seconds_")
        tokens = self.processor_.tokenizer(texts, padding=True, return_tensors="np")
        length = tokens["attention_mask"].sum(axis=1)
        longest = self.network_.config.text_config.max_position_embeddings
        if length.max() > longest:
            i = int(length.argmax())
            raise ValueError(f"{name}: {length[i]} tokens, {longest} fit: shorten {texts[i]!r}.")

        def features(ids, mask):
            told = {"input_ids": ids, "attention_mask": mask}
            return self.network_.get_text_features(**told).pooler_output

        arrays = tokens["input_ids"], tokens["attention_mask"]
        return in_batches(self.network_, features, *arrays, batch_size=self.batch_size)
