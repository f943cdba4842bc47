from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from embedlab import evidence as module
from embedlab.augment import Compose
from embedlab.embedders import LeNet5, Pixels
from embedlab.evidence import Experiment, evidence, experiments, missing_evidence, reproduces
from embedlab.evidence.lesson_00 import reshuffled
from embedlab.evidence.lesson_02 import left_out
from embedlab.evidence.lesson_03 import face_regions
from embedlab.evidence.lesson_04 import GREY_SETS, few_labels_row
from embedlab.intervals import Measure
from embedlab.labels import random_mistakes, shuffled, systematic_mistakes
from embedlab.properties import properties, r2_probe, shared_by_neighbours
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
    module.run("toy", "digits", jobs=1, only=["b", "b"])
    assert {r["seeds"] for r in json.loads(path.read_text())["rows"]} == {2}
    content = json.loads(path.read_text())
    with pytest.raises(ValueError, match="only: name at least one"):
        module.run("toy", "digits", jobs=1, only=[])
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


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_shared_by_neighbours_is_one_for_twins_and_zero_for_strangers(kind, rng):
    """Ten vectors in each of thirty places; the property is the place's, or no one's."""
    place = np.repeat(np.arange(30), 10)
    v = np.eye(30)[place] + 0.01 * rng.normal(size=(300, 30))
    values = rng.normal(size=30) if kind == "numbers" else rng.integers(0, 5, 30)
    assert shared_by_neighbours(v, values[place]).value == pytest.approx(1)
    strange = shared_by_neighbours(v, rng.permutation(values[place]))
    assert strange.low < 0 < strange.high
    assert abs(strange.value) < 0.1


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_the_interval_of_what_neighbours_share_covers(kind):
    """Nineteen times in twenty, over fresh samples; queries alone would give three in four."""
    rng = np.random.default_rng(0)

    def sample():
        z = rng.normal(size=(200, 4))
        y = z[:, 0] if kind == "numbers" else np.digitize(z[:, 0], [-0.5, 0.5])
        return shared_by_neighbours(z + 0.5 * rng.normal(size=z.shape), y)

    truth = np.mean([sample().value for _ in range(150)])
    covered = np.mean([m.low <= truth <= m.high for m in (sample() for _ in range(60))])
    assert covered >= 0.88


@pytest.mark.parametrize(
    ("values", "k", "words"),
    [
        (np.full(20, 0.1), 3, "the same for every image"),
        (np.arange(20.0), 19, "k=19 needs at least 21 images"),
        (np.arange(20.0), 0, "k=0"),
        (np.arange(19.0), 3, "inconsistent numbers"),
    ],
)
def test_shared_by_neighbours_refuses(values, k, words, rng):
    with pytest.raises(ValueError, match=words):
        shared_by_neighbours(rng.normal(size=(20, 3)), values, k)


def test_face_regions_cover_every_pixel_once():
    regions = np.stack(list(face_regions().values()))
    assert (regions.sum(axis=0) == 1).all()
    assert regions.any(axis=(1, 2)).all()


def test_ablation_names_and_sets():
    assert next(iter(GREY_SETS)) == "all"
    assert len(GREY_SETS["all"]) == 5
    for name, views in GREY_SETS.items():
        if name.startswith("without"):
            assert len(views) == 4
            assert name.split()[1] not in [type(v).__name__.lower() for v in views]
        if name.startswith("with "):
            assert len(views) == 6
    x = torch.rand(2, 1, 32, 32)
    out = Compose(GREY_SETS["none"])(x, torch.Generator())
    torch.testing.assert_close(out, x, atol=1e-5, rtol=0)


def test_few_labels_uses_the_yardsticks_draws(few):
    sizes = []

    def learner(n):
        sizes.append(n)
        return LeNet5(epochs=2)

    row = few_labels_row(learner, 5, few, "x")
    assert sizes == [50] * 10
    assert len(row.measures["few_shot"].effects["draw"]) == 10
    assert row.supervision == "labels"
