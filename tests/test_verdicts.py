import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter

from embedlab.measure.intervals import Measure
from embedlab.measure.verdicts import MARGINS, NUMBERS, Verdict, claim, claims, verdict_of


def measure(value, spread=0.0, dataset="digits", name="map"):
    units = value + spread * np.resize([-1.0, 1.0], 400)
    return Measure.from_units(name, dataset, image=units)


@pytest.mark.parametrize(
    ("low", "high", "relation", "verdict"),
    [
        (0.03, 0.08, ">", "holds"),
        (0.01, 0.08, ">", "undecided"),
        (-0.05, 0.01, ">", "fails"),
        (-0.05, 0.05, ">", "undecided"),
        (0.005, 0.015, ">", "fails"),  # real, and too small to matter
        (-0.01, 0.01, "~", "holds"),
        (0.03, 0.05, "~", "fails"),
        (-0.05, -0.03, "~", "fails"),
        (0.01, 0.03, "~", "undecided"),
    ],
)
def test_verdicts(low, high, relation, verdict):
    assert verdict_of(low, high, 0.02, relation) == verdict


def test_unknown_relation():
    with pytest.raises(ValueError, match="relation"):
        verdict_of(0, 1, 0.02, "<")


def better(expect, dataset="digits"):
    left, right = measure(0.8, dataset=dataset), measure(0.7, dataset=dataset)
    return claim("C0", "words", left, ">", right, expect=expect)


def test_a_changed_verdict_is_marked():
    v = better(expect="fails")
    assert v.verdict == "holds"
    assert v.changed
    assert "on record: FAILS" in repr(v)
    assert not better(expect="holds").changed


def test_a_record_does_not_bind_on_a_set_of_the_readers_choice(monkeypatch):
    monkeypatch.setattr(Verdict, "news_on", "folder:mine")
    v = better("fails", "folder:mine")
    assert not v.changed
    assert "on record" not in repr(v)
    assert shown(v)[0]["expected"] is None
    assert better("fails").changed


def test_a_number_may_stand_at_the_right():
    assert claim("C0", "above chance", measure(0.8), ">", 0.1).verdict == "holds"


def test_a_family_has_wider_intervals_than_its_members(rng):
    units = rng.normal([[[0.8]], [[0.7]]], 0.3, (2, 6, 300))
    left, right = ([Measure.from_units("map", "digits", image=u) for u in side] for side in units)
    rows = [("x", a, ">", b) for a, b in zip(left, right, strict=True)]
    for row, many in zip(rows, claims("C0", rows), strict=True):
        one = claim("C0", *row)
        assert many.high - many.low > one.high - one.low


def shown(verdicts):
    """What a page holds of verdicts for a program; the words are on it too."""
    data, _ = DisplayFormatter().format(verdicts)
    assert data["text/plain"] == repr(verdicts)
    return data[NUMBERS]["claims"]


def test_a_page_shows_claims_in_words_and_in_numbers(capsys):
    rows = [("one", measure(0.8), ">", measure(0.7)), ("two", measure(0.5), ">", 0.7)]
    family = claims("C0", rows, expect="holds")
    assert capsys.readouterr().out == ""
    assert repr(family) == f"{family[0]!r}\n{family[1]!r}"
    assert "C0   one\n     difference +0.100 [+0.100, +0.100], margin 0.02: HOLDS" in repr(family)
    assert [Verdict(**entry) for entry in shown(family)] == family
    one = claim("C0", *rows[0])
    assert [Verdict(**entry) for entry in shown(one)] == [one]
    assert (one.value, one.dataset) == (pytest.approx(0.1), "digits")


def test_a_measure_without_a_margin_is_named():
    with pytest.raises(ValueError, match="margin is written down for the measure 'speed'"):
        claim("C0", "x", measure(1.0, name="speed"), ">", 0.0)


def test_wrong_expectations_are_refused():
    with pytest.raises(ValueError, match="expect"):
        claim("C0", "x", measure(1.0), ">", 0.0, expect="true")
    with pytest.raises(ValueError, match="2 verdicts for 1"):
        claims("C0", [("x", measure(1.0), ">", 0.0)], expect=["holds", "holds"])


def test_margins_are_those_written_down():
    scores = {"linear", "knn", "five_shot", "map", "accuracy", "share", "r2"}
    assert {k: MARGINS[k] for k in scores} == dict.fromkeys(scores, 0.02)
    assert MARGINS["log_error"] == 0.1


def test_what_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        measure(np.nan)
