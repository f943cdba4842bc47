"""Texts, measures and the masked language model of lesson 07."""

from collections import Counter
from importlib import metadata
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from embedlab.data.download import DataUnavailable
from embedlab.embedders import LetterNgrams, OneHot, TextEmbedder
from embedlab.lessons.exercises import exercise
from embedlab.lessons.lesson_07 import measures
from embedlab.lessons.lesson_07.experiments import kinds_row, library_text
from embedlab.lessons.lesson_07.masked import hide, taught, untaught, vectors_of
from embedlab.lessons.lesson_07.measures import (
    at,
    by_chance,
    by_place,
    found_first,
    heeded_and_missed,
    homonyms_in_sentences,
    meaning_first,
    own_kind_nearest,
    same_sense_nearer,
    senses_by_layer,
    senses_told_apart,
    word_in_context,
    words_by_kind,
)
from embedlab.lessons.lesson_07.reading import MASK, PACKAGES, RARE, documentation, read
from embedlab.lessons.lesson_07.texts import HOMONYMS, KINDS, LETTER, QUARTETS
from embedlab.lessons.lesson_07.texts import RARE as RARE_TRIPLES
from embedlab.lessons.triples import TRIPLES

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "07_text.ipynb"


@pytest.fixture(scope="module")
def minilm():
    return TextEmbedder().fit()


# --- the texts ----------------------------------------------------------------------------------


def plain_words(text):
    return "".join(c if c.isalpha() else " " for c in text.lower()).split()


def test_each_homonym_stands_once_in_three_sentences_of_two_senses():
    assert len(HOMONYMS) >= 10
    assert "bank" in HOMONYMS
    for word, senses in HOMONYMS.items():
        assert [len(sentences) for sentences in senses.values()] == [3, 3]
        for sentence in sum(senses.values(), ()):
            assert plain_words(sentence).count(word) == 1, sentence


def test_within_a_sense_no_other_word_of_content_comes_twice():
    """Else a sense could be told by a word that its sentences share."""
    for word, senses in HOMONYMS.items():
        for sentences in senses.values():
            count = Counter(w for s in sentences for w in set(plain_words(s)) if len(w) > 4)
            assert not {w for w, n in count.items() if n > 1} - {word}


def test_no_text_stands_twice():
    _, sentences = homonyms_in_sentences()
    texts = [*sentences, *sum(QUARTETS, ()), *sum(LETTER, ())]
    assert len(texts) == len(set(texts))
    anchors = [word for word, _, _ in (*TRIPLES, *RARE_TRIPLES)]
    assert len(anchors) == len(set(anchors))
    assert max(Counter(w for words in KINDS.values() for w in words).values()) == 1


def test_a_negation_adds_a_not_and_a_swap_no_word():
    for sentence, paraphrase, negation, swapped in QUARTETS:
        assert set(plain_words(swapped)) == set(plain_words(sentence))
        assert "not" in plain_words(negation)
        assert "not" not in plain_words(paraphrase) + plain_words(sentence)


def test_rare_words_are_read_in_pieces_and_spelt_like_the_third_word(minilm):
    assert len(RARE_TRIPLES) >= 40
    assert all(len(minilm.tokenizer_.tokenize(word)) > 1 for word, _, _ in RARE_TRIPLES)
    letters = LetterNgrams().fit([word for three in RARE_TRIPLES for word in three])
    assert meaning_first(letters, RARE_TRIPLES).value == 0


# --- what is measured ---------------------------------------------------------------------------


def test_senses_by_counting_every_comparison(rng):
    first, second = rng.normal(size=(2, 3, 4)) + np.array([[[0.5]], [[-0.5]]])

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    wins = [
        cosine(own[i], own[j]) > cosine(own[i], other[k])
        for own, other in ((first, second), (second, first))
        for i in range(3)
        for j in range(3)
        for k in range(3)
        if i != j
    ]
    assert len(wins) == 36
    assert same_sense_nearer(first, second) == pytest.approx(np.mean(wins))


def test_vectors_that_know_no_context_tell_no_senses_apart(rng):
    words, _ = homonyms_in_sentences()
    table = {word: rng.normal(size=8) for word in words}
    share = senses_told_apart(np.stack([table[word] for word in words]))
    assert share.value == 0.5
    assert len(share.effects["homonym"]) == len(HOMONYMS)


def test_the_senses_of_each_layer_are_those_of_the_words_own_vectors(minilm):
    layers, around = senses_by_layer(minilm)
    rows = homonyms_in_sentences()
    for layer in (0, 3, 6):
        own = senses_told_apart(word_in_context(at(minilm, layer=layer), *rows))
        assert layers[layer].value == pytest.approx(own.value, abs=1e-3)
    tokens = at(minilm, layer=0).tokens(rows[1])
    company = [
        np.mean([v for t, v in zip(*row, strict=True) if t not in (word, "[CLS]", "[SEP]")], axis=0)
        for word, row in zip(rows[0], tokens, strict=True)
    ]
    assert around.value == pytest.approx(senses_told_apart(np.stack(company)).value, abs=1e-3)


def test_reading_in_another_way_leaves_the_model_as_it_was(minilm):
    other = at(minilm, layer=2, pooling="cls")
    assert (other.layer, other.pooling) == (2, "cls")
    assert (minilm.layer, minilm.pooling) == (None, "mean")
    assert other.network_ is minilm.network_


def test_a_word_in_pieces_is_their_mean_and_a_missing_one_is_named(minilm):
    ((tokens, vectors),) = minilm.tokens(["a rivulet ran"])
    i = tokens.index("ri")
    (v,) = word_in_context(minilm, ["rivulet"], ["a rivulet ran"])
    np.testing.assert_allclose(v, vectors[i : i + 3].mean(axis=0), rtol=1e-5)
    with pytest.raises(ValueError, match="'bank' is not in"):
        word_in_context(minilm, ["bank"], ["a rivulet ran"])


def test_equal_cosines_find_nothing():
    words = ["a", "b", "c", "d"]
    assert found_first(OneHot().fit(words), ["a", "b"], ["c", "d"]).value == 0
    assert found_first(OneHot().fit(words), ["a", "b"], ["a", "b"]).value == 1


class FirstParagraph:
    """Reads the first word of a text and nothing else."""

    def transform(self, texts):
        return np.eye(5, dtype=np.float32)[[int(text.split()[0]) for text in texts]]


def test_a_paragraph_stands_once_at_every_place():
    paragraphs = [str(i) for i in range(5)]
    near = by_place(FirstParagraph(), paragraphs, paragraphs)
    np.testing.assert_array_equal(near, np.eye(5)[:, :1] * np.ones(5))


def test_what_is_heeded_and_missed_is_of_the_other_words(minilm):
    words, sentences = ["bank", "bat"], ["The far bank.", "A bat flew."]
    (others, heeded, missed), _ = heeded_and_missed(minilm, words, sentences)
    assert others == ["The", "far"]
    _, maps = minilm.attentions(sentences)[0]
    np.testing.assert_allclose(heeded, maps.mean(axis=(0, 1))[3, 1:3], rtol=1e-4)
    a, b = word_in_context(minilm, ["bank", "bank"], ["The far bank.", "The bank."])
    expected = 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert missed[1] == pytest.approx(expected, abs=1e-4)


def test_kinds_by_hand():
    vectors = np.array([[1, 0.0], [1, 0.1], [0, 1.0], [0.1, 1], [1, 0.25]])
    kinds = np.array([0, 0, 1, 1, 1])
    share = own_kind_nearest(vectors, kinds)
    assert share.value == pytest.approx((1 + 2 / 3) / 2)
    assert share.effects["kind"] == pytest.approx([1 / 6, -1 / 6])
    assert by_chance(kinds) == pytest.approx((1 / 4 + 2 / 4) / 2)


def test_words_of_a_kind_that_nobody_knows_are_left_out(monkeypatch):
    monkeypatch.setattr(measures, "KINDS", {"x": ("one", "two"), "y": ("red", "blue")})
    words, kinds = words_by_kind(["<mask>", "two", "red", "one", "of"])
    assert words == ["one", "two", "red"]
    assert kinds.tolist() == [0, 0, 1]


# --- the text that every installation has -------------------------------------------------------


def test_documentation_is_read_and_not_run(tmp_path, monkeypatch):
    package = tmp_path / "toy"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text('"""The toy."""\nraise SystemExit\n')
    (package / "b.py").write_text(
        'class B:\n    """A class."""\n    def f(self):\n        """A method."""\n\n'
        'def g():\n    """A class."""\n    "no documentation"\n'
    )
    (package / "tests" / "c.py").write_text('"""A test."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert documentation(["toy"]) == ["The toy.", "A class.", "A method."]


def test_words_by_how_often_they_come_and_whole_windows_only():
    text = read(["B a, a-b_a!", "A 3 zebra a b"], length=3, at_least=3)
    assert text.vocabulary == ["<mask>", "<rare>", "a", "b"]
    a, b = text.numbers(["a", "b"])
    assert text.windows.tolist() == [[b, a, a], [b, a, a], [RARE, a, b]]
    other = text.shuffled(1)
    assert sorted(other.windows.ravel()) == sorted(text.windows.ravel())
    assert other.windows.tolist() != text.windows.tolist()


def test_with_the_pinned_versions_it_is_the_text_of_the_page():
    pins = dict(
        line.split("==")
        for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    )
    names = {"sklearn": "scikit-learn"}
    here = {p: metadata.version(names.get(p, p)) for p in PACKAGES}
    other = {p: v for p, v in here.items() if pins[names.get(p, p)] != v}
    if other:
        pytest.skip(f"other versions than the pinned: {other}")
    text = library_text()
    assert text.sha256 == "71385c6cff560efa42314943ca546d31450c249006ad53c7e5d087f5e7160e42"
    assert text.sha256[:16] in NOTEBOOK.read_text("utf-8")
    words, kinds = words_by_kind(text.vocabulary)
    assert len(words) > 100
    assert len(set(kinds)) == len(KINDS)


# --- the masked language model ------------------------------------------------------------------


def test_what_is_hidden_is_masked_changed_or_kept():
    words = torch.full((200, 100), 7)
    words[:, 0] = RARE
    seen, asked = hide(words, 1_000, 0.2, torch.Generator().manual_seed(0))
    assert not asked[:, 0].any()
    assert asked[:, 1:].float().mean() == pytest.approx(0.2, abs=0.01)
    assert (seen[:, 1:][~asked[:, 1:]] == 7).all()
    share = [(seen[asked] == MASK).float().mean(), (seen[asked] == 7).float().mean()]
    assert share == pytest.approx([0.8, 0.1], abs=0.02)
    assert seen[asked].min() == MASK
    assert not (seen[asked] == RARE).any()


@pytest.fixture(scope="module")
def grammar():
    """A text in which nouns and verbs take turns, each as likely as the others."""
    rng = np.random.default_rng(0)
    nouns, verbs = ["cat", "dog", "cow", "hen"], ["sees", "hears", "feeds", "likes"]
    said = [
        f"the {rng.choice(nouns)} {rng.choice(verbs)} a {rng.choice(nouns)}" for _ in range(4000)
    ]
    return read(said, length=10, at_least=1), nouns, verbs


def test_company_alone_groups_words_and_shuffled_words_do_not(grammar):
    text, nouns, verbs = grammar
    kinds = np.repeat([0, 1], 4)
    shares = {}
    for name, given in (("text", text), ("shuffled", text.shuffled(0))):
        network, curve = taught(given, seed=0, epochs=6)
        shares[name] = own_kind_nearest(vectors_of(network, text, nouns + verbs), kinds).value
        assert curve[-1] < curve[0]
    assert shares["text"] == 1
    assert shares["shuffled"] < 0.9


def test_the_same_seed_learns_the_same(grammar):
    text, nouns, _ = grammar
    one, two, other = (taught(text, seed=seed, epochs=1)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(*(vectors_of(n, text, nouns) for n in (one, two)))
    assert not np.array_equal(vectors_of(one, text, nouns), vectors_of(other, text, nouns))
    before = untaught(text, 3)
    assert not np.array_equal(vectors_of(one, text, nouns), vectors_of(before, text, nouns))


def test_a_word_is_guessed_from_both_sides(grammar):
    text, nouns, _ = grammar
    network, _ = taught(text, seed=0, epochs=6)
    said = "the <mask> sees a dog the cat hears a hen".split()
    with torch.inference_mode():
        guess = network.says(network(torch.from_numpy(text.numbers(said))[None])[0, 1])
    top = [text.vocabulary[i] for i in guess.topk(4).indices]
    assert set(top) == set(nouns)


def test_a_row_of_each_control(grammar, monkeypatch):
    text, nouns, verbs = grammar
    monkeypatch.setattr(measures, "KINDS", {"nouns": nouns, "verbs": verbs})
    for name in ("letters", "untrained"):
        row = kinds_row(name, 0, text)
        assert row.measures["share"].name == "share"
        assert row.n_components > 0


# --- the page -----------------------------------------------------------------------------------

STYLES = {
    "07-pool": [
        lambda v, m: torch.stack(
            [row[: keep.sum()].mean(0) for row, keep in zip(v, m, strict=True)]
        ),
        lambda v, m: torch.einsum("ntd,nt->nd", v, m.float()) / m.sum(1, keepdim=True),
        lambda v, m: (v.mT @ (m / m.sum(1, keepdim=True))[:, :, None])[:, :, 0],
        lambda v, m: v.masked_fill(m[:, :, None] == 0, torch.nan).nanmean(1),
    ],
    "07-triples": [
        lambda a, b, c: np.mean(
            [
                (np.sign(_cosine(*pair) - _cosine(pair[0], other)) + 1) / 2
                for *pair, other in zip(a, b, c, strict=True)
            ]
        ),
        lambda a, b, c: 1 - exercise("07-triples").solution(a, c, b),
    ],
    "07-hide": [
        lambda w, chance, how, other: (
            w * (chance >= 0.15)
            + other * ((chance < 0.15) & (how >= 0.8) & (how < 0.9))
            + w * ((chance < 0.15) & (how >= 0.9)),
            w.masked_fill(chance >= 0.15, -100),
        ),
        lambda *args: _hide_by_index(*args),
    ],
}


def _cosine(a, b):
    return np.round(a @ b / np.sqrt((a @ a) * (b @ b)), 12)


def _hide_by_index(words, chance, how, other):
    seen, said = words.clone(), torch.full_like(words, -100)
    for i, j in (chance < 0.15).nonzero().tolist():
        said[i, j] = words[i, j]
        if how[i, j] < 0.8:
            seen[i, j] = 0
        elif how[i, j] < 0.9:
            seen[i, j] = other[i, j]
    return seen, said


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name, answers in STYLES.items() for answer in answers]
)
def test_right_answers_of_other_styles(name, answer):
    assert exercise(name).explain(answer) is None


def save_tiny_bert(folder):
    """A BERT of random weights that knows letters only, with its tokenizer, on disk."""
    folder.mkdir(parents=True)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(i) for i in range(33, 127)]
    (folder / "vocab.txt").write_text("\n".join([*marks, *letters, *(f"##{c}" for c in letters)]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    size = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(BertConfig(vocab_size=len(marks) + 2 * len(letters), **size)).save_pretrained(folder)


def test_the_cells_on_other_models(minilm, empty_cache, capsys):
    """From the cache that a download fills, with no network; and what they say without."""
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, 4).cells}
    names = {**vars(measures), "TextEmbedder": TextEmbedder, "QUARTETS": QUARTETS, "minilm": minilm}
    exec(cells["real"], names)
    assert names["real"] == {}
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "embedlab fetch text:distilbert-base-cased" in said[0]

    folder = empty_cache / "models--distilbert-base-cased"
    save_tiny_bert(folder / "snapshots" / ("0" * 40))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    exec(cells["real"], names)
    exec(cells["real-show"], names)
    said = capsys.readouterr().out
    assert "distilbert-base-cased: BertModel, 1 layers, 16 numbers" in said


def test_missing_weights_are_one_sentence(empty_cache):
    with pytest.raises(DataUnavailable, match="embedlab fetch text:bert-base-uncased"):
        TextEmbedder("bert-base-uncased").fit()
