"""The words of captioned scenes: names of classes, their plurals, and what is said of a scene."""

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
    """The words of a text in small letters; a hyphen or apostrophe inside a word belongs to it."""
    return _WORD.findall(text.lower())


def nouns(class_names: Sequence[str]) -> tuple[str, ...]:
    """Names of classes as different words of a sentence: digits spelled out, small letters."""
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
    """Whether all are words for zero to nine, so that they have sums."""
    return set(nouns) <= set(NUMBERS[:10])


def one(noun: str) -> str:
    """``"a seven"``, ``"an eight"``, ``"a one"``."""
    vowel = noun[0] in "aeiou" and not noun.startswith(("one", "uni", "eu"))
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    """``"sevens"``, ``"sixes"``, ``"t-shirts"``: by rule, with no list of exceptions."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def two(first: str, relation: str, second: str) -> str:
    """``"a seven left of a three"``."""
    return f"{one(first)} {relation} {one(second)}"


def several(count: int, noun: str) -> str:
    """``"three sevens"``, ``"a seven"``, for a count from 1 to 19."""
    return one(noun) if count == 1 else f"{NUMBERS[count]} {plural(noun)}"


def total(first: str, second: str) -> str:
    """``"two digits that add to ten"``, for a seven and a three."""
    return f"two digits that add to {NUMBERS[NUMBERS.index(first) + NUMBERS.index(second)]}"


def without(noun: str, absent: str) -> str:
    """``"a seven and no three"``."""
    return f"{one(noun)} and no {absent}"
