import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone

from embedlab.data import captions
from embedlab.data.scenes import load_scenes
from embedlab.embedders import CLIP
from embedlab.embedders.clip import clip_loss

CHANCE = 0.1
PROMPTS = [captions.one(noun) for noun in captions.NUMBERS[:10]]


@pytest.fixture(scope="module")
def scenes(digits):
    return load_scenes(digits, n=(300, 20, 200, 20), kinds=("one",), templates=("{}",))


def learn(clip, scenes):
    return clip.fit(scenes.train.x, scenes.train.captions)


@pytest.fixture(scope="module")
def fitted(scenes):
    clip = CLIP(epochs=30, batch_size=64, vocabulary=("a wild zebra", "camel"))
    return learn(clip, scenes)


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(6, 5, generator=generator) for _ in range(2))
    return F.normalize(image, dim=1), F.normalize(text, dim=1)


# --- the loss -----------------------------------------------------------------------------------


def by_hand(image, text, scale, caption):
    """Anchor by anchor, both ways; several right answers share the target."""
    image, text = image.double().numpy(), text.double().numpy()
    losses = []
    for ours, theirs in ((image, text), (text, image)):
        for i, anchor in enumerate(ours):
            logits = [scale * float(anchor @ other) for other in theirs]
            log_sum = math.log(sum(map(math.exp, logits)))
            right = [j for j, c in enumerate(caption) if c == caption[i]]
            losses.append(-sum(logits[j] - log_sum for j in right) / len(right))
    return np.mean(losses)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("caption", [[0, 1, 2, 3, 4, 5], [0, 1, 0, 2, 1, 0], [3, 3, 3, 3, 3, 3]])
def test_the_loss_is_the_plain_loop(pairs, scale, caption):
    value = clip_loss(*pairs, torch.tensor(scale), torch.tensor(caption))
    assert value.item() == pytest.approx(by_hand(*pairs, scale, caption), rel=1e-5)


# --- what is learned ----------------------------------------------------------------------------


def accuracy(clip, split) -> float:
    said = np.array(PROMPTS)[clip.zero_shot(split.x, PROMPTS).argmax(axis=1)]
    return (said == split.captions).mean()


def test_it_learns_and_the_controls_fail(fitted, scenes):
    said = np.random.default_rng(0).permutation(scenes.train.captions)
    shuffled = clone(fitted).fit(scenes.train.x, said)
    untrained = learn(clone(fitted).set_params(lr=1e-12, epochs=1), scenes)
    assert accuracy(fitted, scenes.test) > 2.5 * CHANCE
    assert accuracy(shuffled, scenes.test) < 2 * CHANCE
    assert accuracy(untrained, scenes.test) < 2 * CHANCE
    assert len(fitted.loss_curve_) == 30
    assert fitted.loss_curve_[-1] < 0.8 * fitted.loss_curve_[0]


def test_the_order_of_words_is_read(fitted):
    a, b = fitted.embed_text(["a two three", "a three two"])
    assert a @ b < 0.9999


def test_captions_of_the_same_words_are_one(scenes):
    """However they are written, they share the target."""
    x, said = scenes.train.x, scenes.train.captions
    loud = np.array([c.upper() + "!" if i % 2 else c for i, c in enumerate(said)])
    a, b = (CLIP(epochs=1).fit(x, c).transform(scenes.test.x) for c in (said, loud))
    np.testing.assert_array_equal(a, b)


# --- the methods --------------------------------------------------------------------------------


def test_transform_is_embed_images_up_to_length(fitted, scenes):
    v = fitted.transform(scenes.test.x)
    assert v.shape == (200, 64)
    length = np.linalg.norm(v, axis=1, keepdims=True)
    assert np.abs(length - 1).max() > 0.1
    np.testing.assert_allclose(fitted.embed_images(scenes.test.x), v / length, atol=1e-6)


def test_several_prompts_a_class_are_their_normalised_mean(fitted, scenes):
    groups = [["a two", "two"], "a three", ("a five", "five a", "five five")]
    vectors = fitted.class_vectors(groups)
    for vector, group in zip(vectors, groups, strict=True):
        mean = fitted.embed_text([group] if isinstance(group, str) else group).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    assert fitted.zero_shot(scenes.test.x, groups).shape == (200, 3)
    two = fitted.class_vectors(np.array([["a two", "two"]]))
    np.testing.assert_allclose(two, vectors[:1], atol=1e-5)


def test_retrieve_in_all_four_directions(fitted, scenes):
    x, said = scenes.test.x[:30], PROMPTS
    vectors = {"images": fitted.embed_images(x), "texts": fitted.embed_text(said)}
    things = {"images": x, "texts": said}
    for queries in things:
        for gallery in things:
            found = fitted.retrieve(things[queries], things[gallery], k=4)
            assert found.shape == (len(things[queries]), 4)
            assert found.dtype == np.int64
            cosine = vectors[queries] @ vectors[gallery].T
            best = -np.sort(-cosine, axis=1)[:, :4]
            np.testing.assert_allclose(np.take_along_axis(cosine, found, 1), best, atol=1e-6)
            if queries == gallery:  # a thing is nearest to itself
                np.testing.assert_array_equal(found[:, 0], np.arange(len(found)))
    assert fitted.retrieve(np.array(said), torch.from_numpy(x)).shape == (10, 5)


@pytest.mark.parametrize("k", [0, -1, 1.0, True, 11])
def test_bad_k(k, fitted, scenes):
    words = "is more than the 10" if k == 11 else "must be a whole number"
    with pytest.raises(ValueError, match=f"k={k} {words}"):
        fitted.retrieve(scenes.test.x[:2], PROMPTS, k=k)


def test_words_of_the_vocabulary_are_known_without_captions(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zebra, camel = fitted.embed_text(["a zebra", "a camel"])
    assert zebra @ camel < 0.9999


def test_unknown_words_are_named_and_alike(fitted, scenes):
    with pytest.warns(UserWarning, match="texts: 'gnu', 'yak' not in the vocabulary"):
        a, b = fitted.embed_text(["a yak", "a gnu"])
    np.testing.assert_allclose(a, b, atol=1e-6)
    with pytest.warns(UserWarning, match="prompts: 'yak' not in"):
        fitted.zero_shot(scenes.test.x[:2], ["a yak", "a two"])
    with pytest.warns(UserWarning, match="queries: 'yak' not in"):
        fitted.retrieve(["a yak"], scenes.test.x)


# --- training -----------------------------------------------------------------------------------


def test_the_temperature_is_learned_or_not(fitted, scenes):
    assert abs(fitted.scale_ - 1 / 0.07) > 0.01
    fixed = learn(CLIP(epochs=2, temperature=0.2, learn_temperature=False), scenes)
    assert fixed.scale_ == pytest.approx(5, rel=1e-5)


def test_the_scale_stays_below_the_papers_hundred(scenes, monkeypatch):
    seen = []

    def loss(image, text, scale, caption):
        seen.append(scale.item())
        return 0 * clip_loss(image, text, scale, caption) - scale.log()  # it pays to be larger

    monkeypatch.setattr("embedlab.embedders.clip.clip_loss", loss)
    clip = learn(CLIP(epochs=4, temperature=0.0105, lr=0.1, batch_size=32), scenes)
    assert max(seen) == pytest.approx(100)
    assert clip.scale_ == pytest.approx(100)


def test_the_seed_is_that_of_the_text_tower_too(scenes):
    a, b = (learn(CLIP(epochs=1, seed=seed), scenes).embed_text(PROMPTS) for seed in (0, 1))
    assert np.abs(a - b).max() > 0.1


def test_the_gpu_path_comes_close(fitted, scenes, request):
    """bf16 autocast and channels-last; what has been learned stays much the same."""
    slow = learn(clone(fitted).set_params(epochs=12), scenes)
    request.getfixturevalue("fast_path")
    fast = learn(clone(slow), scenes)
    assert not np.array_equal(fast.transform(scenes.test.x), slow.transform(scenes.test.x))
    assert fast.loss_curve_[0] == pytest.approx(slow.loss_curve_[0], rel=0.02)
    assert fast.loss_curve_[-1] == pytest.approx(slow.loss_curve_[-1], rel=0.2)
    assert accuracy(fast, scenes.test) > 2.5 * CHANCE


def test_the_loss_gets_each_images_own_caption(scenes, monkeypatch):
    """Rows of one caption have one text vector and one number, and no others have."""
    seen = []

    def loss(image, text, scale, caption):
        same = caption[:, None] == caption[None]
        seen.append(torch.equal((text[:, None] == text).all(dim=2), same))
        seen.append(len(image) == len(text) == len(caption))
        seen.append(1 < len(caption.unique()) <= 10)
        return clip_loss(image, text, scale, caption)

    monkeypatch.setattr("embedlab.embedders.clip.clip_loss", loss)
    learn(CLIP(epochs=1, batch_size=100), scenes)
    assert seen == [True] * 9


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda y: None, ValueError, "CLIP needs captions"),
        (lambda y: y[:-1], ValueError, "captions has 299 texts for 300 images"),
        (lambda y: [*y, "a two"], ValueError, "captions has 301 texts for 300 images"),
        (lambda y: np.arange(len(y)), TypeError, r"captions\[0\] is .*0.*, not a text"),
        (lambda y: [*y[:-1], "so " * 16], ValueError, r"captions\[299\] has 16 words, 15 fit"),
        (lambda y: ["a two"] * len(y), ValueError, "captions are all 'a two'"),
        (lambda y: ["a two", "A two."] * 150, ValueError, "captions are all 'a two'"),
    ],
    ids="none short long labels words same alike".split(),
)
def test_bad_captions(spoil, error, words, scenes):
    with pytest.raises(error, match=words):
        CLIP(epochs=1).fit(scenes.train.x, spoil(scenes.train.captions))


@pytest.mark.parametrize(
    ("prompts", "error", "words"),
    [
        ([], ValueError, "prompts is empty"),
        ("a two", TypeError, "prompts must be a list of texts"),
        ({"a two"}, TypeError, "prompts must be a list of texts"),
        (["a two", 3], TypeError, r"prompts\[1\] must be a list of texts"),
        ([["a two"], []], ValueError, r"prompts\[1\] is empty"),
        (["a two", "  "], ValueError, r"prompts\[1\]\[0\] is '  ': there is no word"),
        (["a two", "two " * 16], ValueError, r"prompts\[1\] has 16 words, 15 fit"),
    ],
)
def test_bad_prompts(prompts, error, words, fitted, scenes):
    with pytest.raises(error, match=words):
        fitted.zero_shot(scenes.test.x[:2], prompts)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda clip, x: clip.retrieve("a two", x), TypeError, "queries must be a list of texts"),
        (lambda clip, x: clip.retrieve(x, "a two"), TypeError, "gallery must be a list of texts"),
        (lambda clip, x: clip.retrieve(x[0], x), ValueError, "shape"),
        (lambda clip, x: clip.embed_text("a two"), TypeError, "texts must be a list of texts"),
    ],
)
def test_bad_queries_are_named(ask, error, words, fitted, scenes):
    with pytest.raises(error, match=words):
        ask(fitted, scenes.test.x)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"context_length": 2}, ValueError, "2 words, 1 fit"),
        ({"vocabulary": "zebra"}, TypeError, "vocabulary must be a list of texts"),
        ({"vocabulary": (3,)}, TypeError, r"vocabulary\[0\] is 3"),
    ],
)
def test_bad_words(params, error, words, scenes):
    with pytest.raises(error, match=words):
        learn(CLIP(**params), scenes)
