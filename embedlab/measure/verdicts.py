"""Claims: two measured numbers, the interval of their difference, and a verdict.

The margins were written down before any result was seen. A difference smaller than its margin is
of no account, whatever its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from embedlab.measure.intervals import Measure, max_t_intervals

# One a measure. Reconstruction error is compared as a ratio, in logarithms: 10%.
MARGINS = {
    "linear": 0.02,
    "knn": 0.02,
    "five_shot": 0.02,
    "map": 0.02,
    "accuracy": 0.02,
    "share": 0.02,
    "r2": 0.02,
    "log_error": 0.1,
    "distance": 1.0,  # pixels
    "correlation": 0.1,
}
# Measures that lie between 0 and 1.
SHARES = ("linear", "knn", "five_shot", "map", "accuracy", "share")
VERDICTS = ("holds", "fails", "undecided")
# In this form a cell's output holds the numbers, for a program that sums the pages up.
NUMBERS = "application/vnd.embedlab+json"


@dataclass(frozen=True, repr=False)
class Verdict:
    """What became of a claim: as the last expression of a cell, the page shows it in words."""

    # The set that `begin` has put in place of the lesson's own: a verdict there is news.
    news_on: ClassVar[str] = ""

    id: str  # such as "C4", see notebooks/claims.md
    text: str
    value: float  # the difference
    low: float
    high: float
    margin: float
    verdict: str
    expected: str | None  # the verdict on record, if there is one
    dataset: str = ""
    words: str = ""  # where they are not the usual ones

    @property
    def on_record(self) -> str | None:
        """The verdict expected, where it binds."""
        return None if self.dataset and self.dataset == self.news_on else self.expected

    @property
    def changed(self) -> bool:
        """Whether the verdict is another than the one on record."""
        return self.on_record not in (None, self.verdict)

    def __repr__(self) -> str:
        line = self.words or (
            f"{self.id:<4} {self.text}\n     difference {self.value:+.3f} "
            f"[{self.low:+.3f}, {self.high:+.3f}], margin {self.margin}: {self.verdict.upper()}"
        )
        if self.changed and not self.words:
            line += f"   ** on record: {self.expected.upper()} **"
        return line

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return Verdicts([self])._repr_mimebundle_()


class Verdicts(list[Verdict]):
    """The verdicts of a family of claims, shown one below the other."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        entries = [{**vars(v), "expected": v.on_record} for v in self]
        return {NUMBERS: {"claims": entries}}


def verdict_of(low: float, high: float, margin: float, relation: str) -> str:
    """``"holds"``, ``"fails"`` where the interval rules the statement out, or ``"undecided"``.

    ``">"``: left is above right by more than the margin. ``"~"``: no different, the whole interval
    of left minus right lies inside plus or minus the margin.
    """
    if relation == ">":
        return "holds" if low > margin else "fails" if high < margin else "undecided"
    if relation == "~":
        inside = -margin < low and high < margin
        return "holds" if inside else "fails" if low > margin or high < -margin else "undecided"
    raise ValueError(f"relation={relation!r} must be '>' or '~'.")


def claim(
    id: str,
    text: str,
    left: Measure,
    relation: str,
    right: Measure | float,
    expect: str | None = None,
) -> Verdict:
    """State a claim and test it.

    Parameters
    ----------
    id, text : str
    left : Measure
    relation : str
        ``">"``: left is above right by more than the measure's margin. ``"~"``: no different, the
        whole interval of left minus right lies inside plus or minus the margin.
    right : Measure or float
        A number where there is nothing to measure, such as chance.
    expect : str, optional
        The verdict on record. It does not bind on a set that ``EMBEDLAB_DATASET`` has put in
        place of the lesson's own: there the verdict is news, not a mistake.

    Returns
    -------
    Verdict
        Shown as the last expression of a cell, or by ``display``.

    Raises
    ------
    ValueError
        For sides that cannot be compared, or a measure without a margin.
    """
    return claims(id, [(text, left, relation, right)], expect=[expect])[0]


def claims(
    id: str,
    rows: Sequence[tuple[str, Measure, str, Measure | float]],
    expect: Sequence[str | None] | str | None = None,
) -> Verdicts:
    """State a family of claims, with intervals that hold for all of them at once.

    Parameters
    ----------
    id : str
    rows : sequence of (text, left, relation, right)
        As in :func:`claim`.
    expect : sequence of str, or one str for all, optional
        The verdicts on record.

    Returns
    -------
    list of Verdict
        Shown as the last expression of a cell, or by ``display``.
    """
    expected = [expect] * len(rows) if expect is None or isinstance(expect, str) else list(expect)
    if len(expected) != len(rows):
        raise ValueError(f"expect has {len(expected)} verdicts for {len(rows)} claims.")
    if set(expected) - {*VERDICTS, None}:
        raise ValueError(f"expect={expect!r} must be made of {', '.join(VERDICTS)}.")
    differences = [left - _as_measure(right, left) for _, left, _, right in rows]
    ranges = [d.interval() for d in differences] if len(rows) == 1 else max_t_intervals(differences)
    verdicts = Verdicts()
    for (text, _, relation, _), difference, (low, high), wanted in zip(
        rows, differences, ranges, expected, strict=True
    ):
        margin = _margin(difference.name)
        verdict = verdict_of(low, high, margin, relation)
        numbers = difference.value, low, high, margin
        verdicts.append(Verdict(id, text, *numbers, verdict, wanted, difference.dataset))
    return verdicts


def _margin(measure: str) -> float:
    if measure not in MARGINS:
        known = ", ".join(MARGINS)
        raise ValueError(f"No margin is written down for the measure {measure!r}: use {known}.")
    return MARGINS[measure]


def _as_measure(right: Measure | float, left: Measure) -> Measure:
    if isinstance(right, Measure):
        return right
    return Measure(left.name, float(right), {}, left.dataset)
