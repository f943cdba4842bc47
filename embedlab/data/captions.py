"""The words of captioned scenes: names of classes, their plurals, and what is said of a scene."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_WORD = re.compile(r"\w+(?:[-']\w+)*")
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
RELATIONS = ("left of", "right of", "above", "below")
# Ways to begin a caption. "{}" is the phrase itself.
TEMPLATES = ("{}", "a picture of {}", "this shows {}", "i see {}")


def words(text: str) -> list[str]:
    """The words of a text in small letters; a hyphen or apostrophe inside a word belongs to it.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
    """
    return _WORD.findall(text.lower())


def nouns(class_names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes as words of a sentence: digits spelled out, small letters, spaces.

    Parameters
    ----------
    class_names : sequence of str

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        Where a name has no letters or digits, or two become the same noun.
    """
    found = tuple(_noun(name) for name in class_names)
    for i, noun in enumerate(found):
        if not noun:
            raise ValueError(f"class_names: {class_names[i]!r} holds no word to put in a caption.")
        if noun in found[:i]:
            other = class_names[found.index(noun)]
            raise ValueError(f"class_names: {other!r} and {class_names[i]!r} are both {noun!r}.")
    return found


def _noun(name: str) -> str:
    if name.isascii() and name.isdigit() and int(name) < len(NUMBERS):
        return NUMBERS[int(name)]
    # The words that a tokenizer would find: names that differ in other signs are one noun.
    return " ".join(words(unicodedata.normalize("NFC", name).replace("_", " ")))


def are_digits(nouns: Sequence[str]) -> bool:
    """Whether all are words for zero to nine, so that they have sums.

    Parameters
    ----------
    nouns : sequence of str

    Returns
    -------
    bool
    """
    return set(nouns) <= set(NUMBERS[:10])


def one(noun: str) -> str:
    """``"a seven"``, ``"an eight"``, ``"a one"``.

    Parameters
    ----------
    noun : str

    Returns
    -------
    str
    """
    vowel = noun[0] in "aeiou" and not noun.startswith(("one", "uni", "eu"))
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    """``"sevens"``, ``"sixes"``, ``"t-shirts"``: by rule, with no list of exceptions.

    Parameters
    ----------
    noun : str

    Returns
    -------
    str
    """
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def two(first: str, relation: str, second: str) -> str:
    """``"a seven left of a three"``.

    Parameters
    ----------
    first, relation, second : str

    Returns
    -------
    str
    """
    return f"{one(first)} {relation} {one(second)}"


def several(count: int, noun: str) -> str:
    """``"three sevens"``.

    Parameters
    ----------
    count : int
        From 2 to 19.
    noun : str

    Returns
    -------
    str
    """
    return f"{NUMBERS[count]} {plural(noun)}"


def total(first: str, second: str) -> str:
    """``"two digits that add to ten"``, for a seven and a three.

    Parameters
    ----------
    first, second : str
        Number words.

    Returns
    -------
    str
    """
    return f"two digits that add to {NUMBERS[NUMBERS.index(first) + NUMBERS.index(second)]}"


def without(noun: str, absent: str) -> str:
    """``"a seven and no three"``.

    Parameters
    ----------
    noun, absent : str

    Returns
    -------
    str
    """
    return f"{one(noun)} and no {absent}"
