import re

import numpy as np
import pytest

from embedlab.data.captions import words
from embedlab.data.checks import check_texts
from embedlab.embedders.shared.tokenizer import WordTokenizer


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer(["a seven left of a three", "T-shirts"], context_length=6)


def test_words():
    assert words("Don't STOP; a T-shirt, 7!") == ["don't", "stop", "a", "t-shirt", "7"]
    assert words("-x- naïve") == ["x", "naïve"]
    assert words("...") == []


def test_the_vocabulary_is_every_word_once_in_order(tokenizer):
    special, known = tokenizer.vocabulary[:3], tokenizer.vocabulary[3:]
    assert special == ["<pad>", "<unknown>", "<start>"]
    assert known == ["a", "left", "of", "seven", "t-shirts", "three"]


def test_tokens_begin_with_the_start_and_are_filled_up(tokenizer):
    tokens = tokenizer(["a seven", "A three, left of a"])
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [[2, 3, 6, 0, 0, 0], [2, 3, 8, 4, 5, 3]]


def test_texts_do_not_mind_their_neighbours(tokenizer):
    both = tokenizer(["a seven left", "three"])
    np.testing.assert_array_equal(both[:1], tokenizer(["a seven left"]))
    np.testing.assert_array_equal(both[1:], tokenizer(np.array(["three"])))


def test_a_word_of_a_special_tokens_name_is_a_word():
    tokenizer = WordTokenizer(["start pad"], 4)
    assert tokenizer(["pad start"]).tolist() == [[2, 3, 4, 0]]


def test_unknown_words_are_one_token_and_named(tokenizer):
    with pytest.warns(UserWarning, match="prompts: 'blorp', 'zarg' not in the vocabulary") as seen:
        tokens = tokenizer(["a zarg", "a blorp", "a zarg left"], "prompts")
    assert len(seen) == 1
    assert tokens.tolist()[:2] == [[2, 3, 1, 0, 0, 0]] * 2
    assert tokens.tolist()[2] == [2, 3, 1, 4, 0, 0]


def test_as_long_as_fits_and_one_more(tokenizer):
    assert tokenizer(["a a a a a"]).shape == (1, 6)
    said = r"captions\[1\] has 6 words, 5 fit: shorten 'a a a a a a'.*context_length"
    with pytest.raises(ValueError, match=said):
        tokenizer(["a", "a a a a a a"], "captions")


@pytest.mark.parametrize(
    ("texts", "error", "said"),
    [
        ("a seven", TypeError, "list of texts, got the single text 'a seven'"),
        (None, TypeError, "list of texts, got NoneType"),
        (7, TypeError, "list of texts, got int"),
        (np.array("a"), TypeError, "list of texts, got ndarray"),
        (["a", 3], TypeError, "[1] is 3, not a text"),
        (["a", None], TypeError, "[1] is None, not a text"),
        ([["a"]], TypeError, "[0] is ['a'], not a text"),
        ([], ValueError, "is empty"),
        (["a", ""], ValueError, "[1] is '': there is no word"),
        (["a", " \n"], ValueError, "[1] is ' \\n': there is no word"),
    ],
)
def test_what_is_no_list_of_texts(texts, error, said, tokenizer):
    for read in (check_texts, tokenizer):
        with pytest.raises(error, match="prompts.*" + re.escape(said)):
            read(texts, "prompts")


def test_a_caption_has_a_word_a_text_need_not(tokenizer):
    assert check_texts(["?!", "🙂"], "prompts") == ["?!", "🙂"]
    with pytest.raises(ValueError, match=r"prompts\[1\] is '\?!': there is no word"):
        tokenizer(["a", "?!"], "prompts")


def test_texts_become_plain_str():
    assert [type(text) for text in check_texts(np.array(["a", "b"]), "texts")] == [str, str]
    assert check_texts((text for text in "ab"), "texts") == ["a", "b"]
