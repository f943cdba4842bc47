from __future__ import annotations

import json

import numpy as np
import pytest

from embedlab.measure.intervals import Measure
from embedlab.measure.verdicts import MARGINS, claim, claims, judge


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
    assert judge(low, high, 0.02, relation) == verdict


def test_unknown_relation():
    with pytest.raises(ValueError, match="relation"):
        judge(0, 1, 0.02, "<")


def test_a_changed_verdict_is_marked(capsys):
    v = claim("C0", "words", measure(0.8), ">", measure(0.7), expect="fails")
    assert v.verdict == "holds"
    assert v.changed
    assert "on record: FAILS" in capsys.readouterr().out
    assert not claim("C0", "words", measure(0.8), ">", measure(0.7), expect="holds").changed


def test_a_record_does_not_bind_on_a_set_of_the_readers_choice(monkeypatch):
    monkeypatch.setenv("EMBEDLAB_DATASET", "folder:mine")
    left, right = measure(0.8, dataset="folder:mine"), measure(0.7, dataset="folder:mine")
    assert not claim("C0", "words", left, ">", right, expect="fails").changed


def test_a_number_may_stand_at_the_right():
    assert claim("C0", "above chance", measure(0.8), ">", 0.1).verdict == "holds"


def test_a_family_has_wider_intervals_than_its_members(rng):
    pairs = [
        (
            Measure.from_units("map", "digits", image=rng.normal(0.8, 0.3, 300)),
            Measure.from_units("map", "digits", image=rng.normal(0.7, 0.3, 300)),
        )
        for _ in range(6)
    ]
    alone = [claim("C0", "x", a, ">", b) for a, b in pairs]
    family = claims("C0", [("x", a, ">", b) for a, b in pairs])
    for one, many in zip(alone, family, strict=True):
        assert many.high - many.low > one.high - one.low


def test_claims_are_recorded(tmp_path, monkeypatch):
    path = tmp_path / "record.jsonl"
    monkeypatch.setenv("EMBEDLAB_RECORD", str(path))
    claim("C0", "words", measure(0.8), ">", measure(0.7))
    entry = json.loads(path.read_text())
    assert entry["kind"] == "claim"
    assert entry["verdict"] == "holds"


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
