"""A CLIP of others, tiny and with random weights, answers here as it does in transformers."""

import copy
import json
import pickle
import shutil
import string
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from embedlab.data.download import DataUnavailable
from embedlab.embedders import CLIP
from embedlab.embedders.pretrained_clip import PretrainedCLIP

NAME = "somebody/clip-tiny"
LONGEST = 16
TEXTS = ["a photo of a cat", "dog", "two red hats"]


def save_tiny(folder: Path, longest: int = LONGEST) -> None:
    """Letters are the tokens; 24x24 pixels; every file that a download would bring."""
    folder.mkdir(parents=True)
    letters = string.ascii_lowercase
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    ids = {token: i for i, token in enumerate([*tokens, "ca", "cat</w>"])}
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n", encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=longest)
    pixels = CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    layers = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    config = CLIPConfig(
        text_config=dict(
            vocab_size=len(ids),
            max_position_embeddings=longest,
            bos_token_id=ids["<|startoftext|>"],
            eos_token_id=ids["<|endoftext|>"],
            pad_token_id=ids["<|endoftext|>"],
            **layers,
        ),
        vision_config=dict(image_size=24, patch_size=8, **layers),
        projection_dim=12,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIPModel(config)
        for parameter in model.parameters():  # at first they are so small that texts look alike
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    CLIPProcessor(image_processor=pixels, tokenizer=tokenizer).save_pretrained(folder)
    pixels.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "tiny"
    save_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    """Transformers' own, called as its documentation does."""
    return CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def clip(folder):
    return CLIP.from_pretrained(folder)


def images(channels: int, height: int = 32, width: int = 32, n: int = 5) -> np.ndarray:
    """Whole 8-bit values, so that nothing is lost on the way to a processor that takes bytes."""
    x = np.random.default_rng(channels).integers(0, 256, (n, channels, height, width))
    return (x / 255).astype(np.float32)


def asked(theirs, x, texts):
    """The model's answer to colour images as bytes, (N, H, W, 3), and to texts."""
    model, processor = theirs
    x = np.broadcast_to(x, (len(x), 3, *x.shape[2:])).transpose(0, 2, 3, 1)
    pictures = [np.ascontiguousarray((255 * picture).round().astype(np.uint8)) for picture in x]
    batch = processor(images=pictures, text=texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("shape", [(32, 32), (40, 28)], ids=["square", "tall"])
def test_answers_are_those_of_transformers(channels, shape, clip, theirs):
    x = images(channels, *shape)
    out = asked(theirs, x, TEXTS)
    v, t = clip.embed_images(x), clip.embed_text(TEXTS)
    assert (v.shape, t.shape) == ((5, 12), (3, 12))
    assert (v.dtype, t.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(v, out.image_embeds, atol=1e-5)
    np.testing.assert_allclose(t, out.text_embeds, atol=1e-5)
    odds = clip.zero_shot(x, TEXTS)
    assert odds.dtype == np.float32
    np.testing.assert_allclose(odds, out.logits_per_image.softmax(dim=1), atol=1e-4)
    assert clip.scale_ == pytest.approx(theirs[0].logit_scale.exp().item(), rel=1e-6)
    assert np.ptp(odds, axis=0).max() > 0.01  # images and texts do differ
    assert np.abs(t[0] - t[1]).max() > 0.1


def test_vectors_before_they_get_their_length(clip):
    v = clip.transform(images(3))
    assert np.abs(np.linalg.norm(v, axis=1) - 1).max() > 0.1
    np.testing.assert_array_equal(clone(clip).fit_transform(images(3)), v)


def test_batches_and_neighbours_change_nothing(clip, folder):
    few = PretrainedCLIP(str(folder), batch_size=2).fit()
    x = images(3)
    np.testing.assert_allclose(few.embed_images(x), clip.embed_images(x), atol=1e-5)
    np.testing.assert_allclose(few.embed_text(TEXTS), clip.embed_text(TEXTS), atol=1e-5)
    alone = np.concatenate([clip.embed_text([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, clip.embed_text(TEXTS), atol=1e-5)


def test_loading_and_embedding_warn_of_nothing(folder, no_network):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        clip = CLIP.from_pretrained(str(folder))
        clip.zero_shot(images(1), TEXTS)


def test_the_processor_may_write_on_what_it_gets(clip, monkeypatch):
    """Torch warns of read-only arrays, though only once in a process."""
    original, seen = clip.processor_.image_processor, []

    def look(images, **kwargs):
        seen.extend(image.flags.writeable for image in images)
        return original(images=images, **kwargs)

    monkeypatch.setattr(clip.processor_, "image_processor", look)
    clip.transform(images(1))
    assert seen == [True] * 5


@pytest.mark.parametrize("what", ["processor", "tokenizer", "weights"])
def test_the_same_in_other_files(what, folder, tmp_path, clip):
    """As transformers 5 writes a processor; a tokenizer in two files; weights in torch's format."""
    other = shutil.copytree(folder, tmp_path / "other")
    if what == "processor":
        (other / "preprocessor_config.json").unlink()
    elif what == "tokenizer":
        (other / "tokenizer.json").unlink()
    else:
        (other / "model.safetensors").unlink()
        torch.save(clip.network_.state_dict(), other / "pytorch_model.bin")
    again = CLIP.from_pretrained(other)
    x = images(3)
    np.testing.assert_allclose(again.zero_shot(x, TEXTS), clip.zero_shot(x, TEXTS), atol=1e-5)


def test_half_precision_weights_are_computed_in_full(folder, tmp_path, clip):
    half = shutil.copytree(folder, tmp_path / "half")
    CLIPModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(half)
    again = CLIP.from_pretrained(half)
    assert {p.dtype for p in again.network_.parameters()} == {torch.float32}
    np.testing.assert_allclose(again.embed_text(TEXTS), clip.embed_text(TEXTS), atol=0.02)


# --- what is refused ----------------------------------------------------------------------------


def test_a_text_that_is_too_long(clip, theirs):
    fits = "a " * (LONGEST - 2)  # and a token before and after
    asked_for = clip.embed_text([fits])
    np.testing.assert_allclose(asked_for, asked(theirs, images(3), [fits]).text_embeds, atol=1e-5)
    with pytest.raises(ValueError, match=r"texts: 17 tokens, 16 fit: shorten 'a a"):
        clip.embed_text(["cat", fits + "a"])
    with pytest.raises(ValueError, match="prompts: 17 tokens"):
        clip.zero_shot(images(3), [["cat", fits + "a"]])


# --- scikit-learn's interface -------------------------------------------------------------------


def test_clone_fit_and_pickle(clip, folder, no_network):
    again = clone(clip)
    assert again.get_params() == {"model": str(folder), "batch_size": 32}
    x = images(3)
    with pytest.raises(NotFittedError):
        again.transform(x)
    with pytest.raises(NotFittedError):
        again.embed_text(["a"])
    odds = clip.zero_shot(x, TEXTS)
    np.testing.assert_array_equal(again.fit().zero_shot(x, TEXTS), odds)
    again = pickle.loads(pickle.dumps(clip))
    np.testing.assert_allclose(again.zero_shot(x, TEXTS), odds, atol=1e-5)
    assert not clip.network_.training


def test_a_failed_refit_does_not_look_fitted(clip, empty_cache):
    again = copy.copy(clip).set_params(model=NAME)
    with pytest.raises(DataUnavailable):
        again.fit()
    with pytest.raises(NotFittedError):
        again.embed_text(["a"])
