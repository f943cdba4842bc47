"""Lesson 07: words grouped by a network that has only ever guessed hidden ones."""

from functools import cache, partial

from embedlab.data.images import Images
from embedlab.embedders import LetterNgrams
from embedlab.lessons.experiments import Experiment
from embedlab.lessons.lesson_07.masked import taught, untaught, vectors_of
from embedlab.lessons.lesson_07.measures import own_kind_nearest, words_by_kind
from embedlab.lessons.lesson_07.reading import Reading, documentation, read
from embedlab.measure.scoreboard import Row


@cache
def library_text() -> Reading:
    """The documentation of the libraries, read once a process."""
    return read(documentation())


def kinds_row(name: str, seed: int, reading: Reading) -> Row:
    """Whether each word's nearest is of its kind, for one of ``CONDITIONS``."""
    words, kinds = words_by_kind(reading.vocabulary)
    if name == "letters":
        vectors = LetterNgrams().fit(words).transform(words)
    elif name == "untrained":
        vectors = vectors_of(untaught(reading, seed), reading, words)
    else:
        text = reading.shuffled(seed) if name == "words shuffled" else reading
        vectors = vectors_of(taught(text, seed)[0], reading, words)
    return Row(name, "words", {"share": own_kind_nearest(vectors, kinds)}, vectors.shape[1])


def _rows(name: str, seed: int, images: Images) -> list[Row]:
    return [kinds_row(name, seed, library_text())]  # of a text: the images play no part


CONDITIONS = ("as it is", "words shuffled", "untrained", "letters")
masked_words = Experiment(
    name="masked-words",
    about="Kinds of words told by a masked language model taught on the libraries' documentation, "
    "and by its controls; no image plays a part.",
    conditions={name: partial(_rows, name) for name in CONDITIONS},
)
