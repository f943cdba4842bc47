from __future__ import annotations

import json

import numpy as np
import pytest

from embedlab import evidence as module
from embedlab.embedders import Pixels
from embedlab.evidence import Experiment, evidence, experiments, missing_evidence, reproduces
from embedlab.evidence.lesson_00 import reshuffled
from embedlab.evidence.lesson_02 import left_out
from embedlab.intervals import Measure
from embedlab.labels import random_mistakes, shuffled, systematic_mistakes
from embedlab.properties import properties, r2_probe
from embedlab.scoreboard import score

TOY = Experiment(
    name="toy",
    about="Raw pixels, twice.",
    conditions=("a", "b"),
    run=lambda condition, seed, images: [score(Pixels(), images, condition)],
    seeds=(0, 1),
    limit=(200, 100, 120),
)


def test_every_experiments_results_are_committed():
    assert list(missing_evidence()) == []


@pytest.mark.parametrize("path", sorted(module.RESULTS.glob("*/*.json")), ids=lambda p: p.stem)
def test_stored_files_name_their_command_and_versions(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["command"] == f"embedlab evidence {path.stem} --dataset {path.parent.name}"
    assert content["dataset"] == path.parent.name
    assert set(content["versions"]) == set(module.VERSIONED)
    assert content["device"]
    assert content["seconds"] > 0
    experiment = experiments()[path.stem]
    assert {row["seeds"] for row in content["rows"]} == {len(experiment.seeds)}


def test_run_writes_a_file_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(module, "experiments", lambda: {"toy": TOY})
    path = module.run("toy", "digits", jobs=1)
    assert path == tmp_path / "digits" / "toy.json"
    content = json.loads(path.read_text())
    assert [row["name"] for row in content["rows"]] == ["a", "b"]
    assert content["rows"][0]["seeds"] == 2
    assert [p.name for p in path.parent.iterdir()] == ["toy.json"]


def test_only_some_conditions_keep_the_other_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(module, "experiments", lambda: {"toy": TOY})
    with pytest.raises(ValueError, match=r"only: there is no toy\.json yet"):
        module.run("toy", "digits", jobs=1, only=["b"])
    path = module.run("toy", "digits", jobs=1)
    content = json.loads(path.read_text())
    content["rows"][0]["n_components"] = 7  # a mark on the row that is kept
    content["rows"][1]["n_components"] = 7
    path.write_text(json.dumps(content))
    module.run("toy", "digits", jobs=1, only=["b"])
    again = json.loads(path.read_text())
    assert [(r["name"], r["n_components"]) for r in again["rows"]] == [("a", 7), ("b", 1_024)]
    assert again["seconds"] >= content["seconds"]
    with pytest.raises(ValueError, match="only='c' is no condition of 'toy': use a, b"):
        module.run("toy", "digits", jobs=1, only=["c"])
    content["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"was measured with versions .*'torch': '1\.0'"):
        module.run("toy", "digits", jobs=1, only=["b"])
    assert json.loads(path.read_text()) == content  # nothing was overwritten


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(condition, seed, images):
        raise KeyboardInterrupt

    broken = Experiment("toy", "", ("a",), interrupted, limit=(200, 100, 120))
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(module, "experiments", lambda: {"toy": broken})
    with pytest.raises(KeyboardInterrupt):
        module.run("toy", "digits", jobs=1)
    assert list(tmp_path.rglob("*.json")) == []


def test_missing_evidence_is_said(capsys):
    with pytest.raises(FileNotFoundError, match="embedlab evidence nothing"):
        evidence("nothing")
    rows = evidence("label-noise", "faces")
    assert rows["random 0.0"].dataset == "digits"
    assert "No stored evidence 'label-noise' on faces" in capsys.readouterr().out


def test_reproduces(capsys):
    seeds = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    stored = Measure("map", 0.8, {"seed": seeds}, "digits")
    assert reproduces(Measure("map", 0.79, {}, "digits"), stored, "x").verdict == "holds"
    assert reproduces(Measure("map", 0.81, {}, "digits"), stored, "x").verdict == "fails"
    verdict = reproduces(Measure("map", 0.6, {}, "digits"), stored, "x")
    assert verdict.changed
    assert "OUTSIDE" in capsys.readouterr().out
    assert reproduces(Measure("map", 0.6, {}, "faces"), stored, "x") is None


# --- what the experiments are made of -----------------------------------------------------------


def test_random_mistakes_are_exactly_so_many_and_all_wrong(rng):
    y = rng.integers(0, 10, 1_000)
    for share in (0.0, 0.2, 0.8, 1.0):
        wrong = random_mistakes(y, share)
        assert (wrong != y).sum() == round(share * 1_000)
        assert set(wrong) <= set(range(10))
    shift = (random_mistakes(y, 1.0) - y) % 10
    assert np.bincount(shift, minlength=10)[1:].min() > 70


def test_systematic_mistakes_take_each_class_for_the_next(rng):
    y = rng.integers(0, 10, 1_000)
    wrong = systematic_mistakes(y, 0.4)
    changed = wrong != y
    assert changed.sum() == 400
    np.testing.assert_array_equal(wrong[changed], (y[changed] + 1) % 10)


def test_mistakes_leave_the_labels_alone_and_check_the_share():
    y = np.arange(10)
    for spoil in (random_mistakes, systematic_mistakes):
        spoil(y, 0.5)
        np.testing.assert_array_equal(y, np.arange(10))
        with pytest.raises(ValueError, match=r"share=1\.5"):
            spoil(y, 1.5)
    assert sorted(shuffled(y)) == list(y)


def test_each_digit_is_left_out_three_times():
    choices = [left_out(k) for k in range(10)]
    assert all(len(set(c)) == 3 for c in choices)
    assert np.bincount(np.ravel(choices)).tolist() == [3] * 10


def test_reshuffled_keeps_sizes_and_images(digits):
    other = reshuffled(digits, 0)
    assert len(other.train) == len(digits.train)
    assert other.name == "digits, shuffled"
    before = {x.tobytes() for s in (digits.train, digits.val, digits.test) for x in s.x}
    assert {x.tobytes() for s in (other.train, other.val, other.test) for x in s.x} == before


def test_properties_of_drawn_strokes():
    x = np.zeros((3, 1, 32, 32), np.float32)
    x[0, 0, 4:28, 10] = 1  # upright, left
    for row in range(4, 28):
        x[1, 0, row, 26 - (row - 4) // 2] = 1  # leans right: half a pixel for each pixel up
    x[2, 0, 4:28, 20:22] = 1  # upright, right, twice the ink
    p = properties(x)
    np.testing.assert_allclose(p["slant"], [0, 0.5, 0], atol=0.03)
    np.testing.assert_allclose(p["position"], [10, 20.5, 20.5], atol=0.3)
    np.testing.assert_allclose(p["ink"], np.array([24, 24, 48]) / 1_024, rtol=1e-5)


def test_r2_probe_reads_a_linear_property_and_not_noise(rng):
    v = rng.normal(size=(300, 5)).astype(np.float32)
    weights = rng.normal(size=5)
    y = v @ weights
    parts = [(v[i::3], y[i::3]) for i in range(3)]
    assert r2_probe(*parts).value > 0.99
    noise = [(a, rng.normal(size=len(b))) for a, b in parts]
    m = r2_probe(*noise)
    assert m.value < 0.1
    assert m.low < m.value < m.high
