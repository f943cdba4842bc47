import pytest

from embedlab.data import captions


def test_names_become_nouns():
    assert captions.nouns(("0", "7", "19")) == ("zero", "seven", "nineteen")
    names = ("T-shirt", "Ankle_boot", "  red   Fox ", "20", "no face")
    assert captions.nouns(names) == ("t-shirt", "ankle boot", "red fox", "20", "no face")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("ankle_boot", "cat", "Ankle  Boot"), "'ankle_boot' and 'Ankle  Boot' are both"),
        (("7", "seven"), "'7' and 'seven' are both 'seven'"),
        (("cat", "--"), "'--' holds no word"),
        (("cat", " "), "' ' holds no word"),
    ],
)
def test_names_that_make_no_caption(names, words):
    with pytest.raises(ValueError, match=f"class_names: {words}"):
        captions.nouns(names)


def test_articles():
    said = "a seven, an eight, a one, an ankle boot, a unicorn, an umbrella, a t-shirt".split(", ")
    assert [captions.one(phrase.partition(" ")[2]) for phrase in said] == said


def test_plurals():
    nouns = "seven six zero dress brush berry tray boot".split()
    many = "sevens sixes zeros dresses brushes berries trays boots".split()
    assert [captions.plural(noun) for noun in nouns] == many
    assert captions.several(2, "ankle boot") == "two ankle boots"


def test_what_is_said_of_a_scene():
    assert captions.two("seven", "left of", "eight") == "a seven left of an eight"
    assert captions.several(4, "six") == "four sixes"
    assert captions.several(1, "eight") == "an eight"
    assert captions.total("seven", "three") == "two digits that add to ten"
    assert captions.total("nine", "nine") == "two digits that add to eighteen"
    assert captions.without("eight", "three") == "an eight and no three"


def test_every_template_holds_the_phrase_once():
    assert "{}" in captions.TEMPLATES
    assert all(template.count("{}") == 1 for template in captions.TEMPLATES)
    assert len(set(captions.TEMPLATES)) == len(captions.TEMPLATES)
