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


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        ("seven", "a seven"),
        ("eight", "an eight"),
        ("one", "a one"),
        ("ankle boot", "an ankle boot"),
        ("unicorn", "a unicorn"),
        ("umbrella", "an umbrella"),
        ("t-shirt", "a t-shirt"),
    ],
)
def test_articles(noun, said):
    assert captions.one(noun) == said


@pytest.mark.parametrize(
    ("noun", "many"),
    [
        ("seven", "sevens"),
        ("six", "sixes"),
        ("zero", "zeros"),
        ("dress", "dresses"),
        ("brush", "brushes"),
        ("berry", "berries"),
        ("tray", "trays"),
        ("ankle boot", "ankle boots"),
    ],
)
def test_plurals(noun, many):
    assert captions.plural(noun) == many
    assert captions.several(2, noun) == f"two {many}"


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
