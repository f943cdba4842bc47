"""Claims: two measured numbers, the interval of their difference, and a verdict.

The margins were written down before any result was seen. A difference smaller than its margin is
of no account, whatever its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from embedlab.measure.intervals import Measure, simultaneous
from embedlab.measure.record import record
from embedlab.settings import wanted_dataset

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


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes
    ----------
    id : str
        Such as ``"C4"``: see the essay's claims in the course map.
    text : str
    value, low, high : float
        The difference and its 95% interval.
    margin : float
    verdict : str
        ``"holds"``, ``"fails"`` or ``"undecided"``.
    expected : str or None
        The verdict on record; None where none is, as for a data set of your own.
    """

    id: str
    text: str
    value: float
    low: float
    high: float
    margin: float
    verdict: str
    expected: str | None

    @property
    def changed(self) -> bool:
        """Whether the verdict is another than the one on record."""
        return self.expected is not None and self.verdict != self.expected

    def __str__(self) -> str:
        line = (
            f"{self.id:<4} {self.text}\n     difference {self.value:+.3f} "
            f"[{self.low:+.3f}, {self.high:+.3f}], margin {self.margin}: {self.verdict.upper()}"
        )
        return line + (f"   ** on record: {self.expected.upper()} **" if self.changed else "")


def judge(low: float, high: float, margin: float, relation: str) -> str:
    """The verdict that an interval of a difference gives.

    Parameters
    ----------
    low, high : float
        Interval of left minus right.
    margin : float
        Positive.
    relation : str
        ``">"``: left is above right by more than the margin. ``"~"``: no different, the whole
        interval lies inside plus or minus the margin.

    Returns
    -------
    str
        ``"holds"``, ``"fails"`` where the interval rules the statement out, else ``"undecided"``.
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
    """State a claim, test it, print it.

    Parameters
    ----------
    id, text : str
    left : Measure
    relation : str
        ``">"`` or ``"~"``, see :func:`judge`.
    right : Measure or float
        A number where there is nothing to measure, such as chance.
    expect : str, optional
        The verdict on record. It does not bind on a set that ``EMBEDLAB_DATASET`` has put in
        place of the lesson's own: there the verdict is news, not a mistake.

    Returns
    -------
    Verdict
    """
    return claims(id, [(text, left, relation, right)], expect=[expect])[0]


def claims(
    id: str,
    rows: Sequence[tuple[str, Measure, str, Measure | float]],
    expect: Sequence[str | None] | str | None = None,
) -> list[Verdict]:
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
    """
    expected = [expect] * len(rows) if expect is None or isinstance(expect, str) else list(expect)
    if len(expected) != len(rows):
        raise ValueError(f"expect has {len(expected)} verdicts for {len(rows)} claims.")
    if set(expected) - {*VERDICTS, None}:
        raise ValueError(f"expect={expect!r} must be made of {', '.join(VERDICTS)}.")
    differences = [left - _as_measure(right, left) for _, left, _, right in rows]
    ranges = [d.interval() for d in differences] if len(rows) == 1 else simultaneous(differences)
    verdicts = []
    for (text, left, relation, _), difference, (low, high), wanted in zip(
        rows, differences, ranges, expected, strict=True
    ):
        margin = MARGINS[left.name]
        verdict = Verdict(
            id,
            text,
            difference.value,
            low,
            high,
            margin,
            judge(low, high, margin, relation),
            wanted if left.dataset != wanted_dataset() else None,
        )
        record("claim", **asdict(verdict))
        print(verdict)
        verdicts.append(verdict)
    return verdicts


def _as_measure(right: Measure | float, left: Measure) -> Measure:
    if isinstance(right, Measure):
        return right
    return Measure(left.name, float(right), {}, left.dataset)
