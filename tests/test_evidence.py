import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from embedlab import cli
from embedlab.data.labels import pair_flip_noise, shuffled, symmetric_noise
from embedlab.embedders import LeNet5, Pixels, SimCLR
from embedlab.embedders.catalogue import METHODS
from embedlab.lessons import experiments as module
from embedlab.lessons import ledger
from embedlab.lessons.experiments import Experiment, evidence, experiments, fitted, reproduces
from embedlab.lessons.few_labels import few_labels_row
from embedlab.lessons.lesson_00.experiments import reshuffled
from embedlab.lessons.lesson_02.experiments import left_out
from embedlab.lessons.lesson_03.experiments import face_regions
from embedlab.lessons.lesson_04.experiments import GRAY_SETS
from embedlab.measure.intervals import Measure
from embedlab.measure.properties import properties, r2_probe, shared_by_neighbours
from embedlab.measure.scoreboard import Row
from embedlab.training.augment import Compose
from tests.test_cli import invoke

TOY = Experiment(
    name="toy",
    about="Raw pixels, twice.",
    conditions=fitted({"a": lambda seed: Pixels(), "b": lambda seed: Pixels()}),
    seeds=(0, 1),
    limit=(200, 100, 120),
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Results and kept trainings of the toy, in folders of their own."""
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(ledger, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(module, "experiments", lambda: {"toy": TOY})
    monkeypatch.setattr(module, "fingerprint", lambda: "f" * 16)
    return tmp_path / "results"


def test_every_experiments_results_are_committed():
    for experiment in experiments().values():
        for dataset in experiment.datasets:
            assert (module.RESULTS / dataset / f"{experiment.name}.json").is_file()


@pytest.mark.parametrize("path", sorted(module.RESULTS.glob("*/*.json")), ids=lambda p: p.stem)
def test_stored_files_name_their_command_and_versions(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    command = f"embedlab evidence {path.stem} --dataset {path.parent.name}"
    assert content["command"].replace("folder:", "") == command
    assert content["dataset"] == path.parent.name
    assert set(content["versions"]) == set(module.VERSIONED)
    assert content["device"]
    assert content["seconds"] > 0
    experiment = experiments()[path.stem]
    assert {row["seeds"] for row in content["rows"]} == {len(experiment.seeds)}


def test_results_of_a_folder_do_not_say_where_it_lies(results, tmp_path, rng):
    for name in ("day", "night"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(25):
            picture = Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8))
            picture.save(tmp_path / "photos" / name / f"{i}.png")
    path = module.run("toy", f"folder:{tmp_path / 'photos'}", jobs=1)
    assert path == results / "photos" / "toy.json"
    assert str(tmp_path) not in path.read_text()
    content = json.loads(path.read_text())
    assert content["command"] == "embedlab evidence toy --dataset folder:photos"
    assert {row["dataset"] for row in content["rows"]} == {"photos"}


def test_only_some_conditions_keep_the_other_rows(results):
    with pytest.raises(ValueError, match=r"only: there is no toy\.json yet"):
        module.run("toy", "digits", jobs=1, only=["b"])
    path = module.run("toy", "digits", jobs=1)
    content = json.loads(path.read_text())
    content["rows"][0]["n_components"] = 7  # a mark on the row that is kept
    content["rows"][1]["n_components"] = 7
    path.write_text(json.dumps(content))
    ledger.forget("toy", "digits")
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
    other = {**content, "versions": {**content["versions"], "torch": "1.0"}}
    unknown = {key: value for key, value in content.items() if key != "fingerprint"}
    fewer = {**content, "rows": [{**row, "seeds": 1} for row in content["rows"]]}
    for stored, words in (
        (other, "was measured with other versions. Run"),
        (unknown, "was measured with other fingerprint. Run"),
        (fewer, "was measured with other seeds. Run"),
    ):
        path.write_text(json.dumps(stored))
        with pytest.raises(ValueError, match=words):
            module.run("toy", "digits", jobs=1, only=["b"])
        assert json.loads(path.read_text()) == stored  # nothing was overwritten


# --- going on where a run was stopped -----------------------------------------------------------


def counting(*seeds):
    """The toy with these seeds, and the list of what it ran."""
    ran = []

    def once(condition, seed, images):
        ran.append((condition, seed))
        return TOY.conditions[condition](seed, images)

    return replace(TOY, conditions={c: partial(once, c) for c in "ab"}, seeds=seeds), ran


def test_what_is_kept_is_not_run_again(results, monkeypatch, capsys):
    toy, ran = counting(0, 1)
    monkeypatch.setattr(module, "experiments", lambda: {"toy": toy})
    module.run("toy", "digits", jobs=1)
    assert "already there" not in capsys.readouterr().err
    ledger.forget("toy", "digits", ["b"])
    kept = [path.read_text() for path in ledger.KEPT.rglob("*") if path.is_file()]
    path = module.run("toy", "digits", jobs=1)
    assert ran[4:] == [("b", 0), ("b", 1)]
    err = capsys.readouterr().err
    assert "2 of 4 trainings were already there\n" in err
    assert "50%" in err  # where the bar starts
    rows, seconds = zip(*(ledger.unpacked(text) for text in kept), strict=True)
    content = json.loads(path.read_text())
    assert content["seconds"] >= round(sum(seconds), 1)  # they took what they took
    assert content["rows"][0]["images_per_second"] == np.median(
        [r.images_per_second for (r,) in rows]
    )

    module.run("toy", "digits", jobs=1, only=["a"])  # all of it is kept, until it is dropped
    assert len(ran) == 6
    ledger.forget("toy", "digits")
    assert [path for path in ledger.KEPT.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("what", ["arithmetic", "versions", "images", "labels", "code"])
def test_rows_of_another_setting_do_not_count(what, results, monkeypatch):
    toy, ran = counting(0)
    monkeypatch.setattr(module, "experiments", lambda: {"toy": toy})
    module.run("toy", "digits", jobs=1)
    assert ran == [("a", 0), ("b", 0)]
    module.run("toy", "digits", jobs=1)
    assert len(ran) == 2
    if what == "arithmetic":
        monkeypatch.setattr(module, "fingerprint", lambda: "0" * 16)
    elif what == "versions":
        monkeypatch.setattr(module, "VERSIONED", ("scipy",))
    elif what == "code":
        monkeypatch.setattr(ledger, "code", lambda: "edited")
    else:  # as many of them, but not the same: a folder whose pictures were exchanged
        images = module.load_images("digits", TOY.limit)
        changed = {"x": 1 - images.test.x} if what == "images" else {"y": 9 - images.test.y}
        other = replace(images, test=replace(images.test, **changed))
        monkeypatch.setattr(module, "load_images", lambda *_: other)
    module.run("toy", "digits", jobs=1)
    assert len(ran) == 4


def test_kept_rows_come_back_to_the_last_bit(rng):
    effects = {
        "image": rng.normal(size=50) / 3,
        "draw": np.array([-0.0, 5e-324, 0.1 + 0.2, -1e300]),
        "seed": np.zeros(0),
    }
    measure = Measure("map", np.float64(2 / 3), effects, "digits")
    row = Row("x", "digits", {"map": measure}, np.int64(64), fit_seconds=1 / 3)
    text = ledger.packed([row], 0.1 + 0.2)
    (back,), seconds = ledger.unpacked(text)
    assert seconds == 0.1 + 0.2
    assert list(back.map.effects) == list(effects)
    for source, effect in effects.items():
        assert back.map.effects[source].tobytes() == effect.tobytes()
        assert back.map.effects[source].dtype == np.float64
    assert (back.map.value, back.n_components, back.fit_seconds) == (2 / 3, 64, 1 / 3)
    assert np.isnan(back.mean_cosine)
    assert ledger.packed([back], seconds) == text


def test_correcting_a_sentence_is_no_other_code(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "__file__", str(tmp_path / "evidence" / "ledger.py"))
    source = tmp_path / "method.py"

    def code(text):
        source.write_text(text, encoding="utf-8")
        return ledger.code.__wrapped__()

    before = code('def f():\n    """Doubel."""\n    return 2  # twcie\n')
    assert code('def f():\n    """Double."""\n\n    return 2  # twice\n') == before
    assert code('def f():\n    """Double."""\n    return 3\n') != before


def test_rows_of_two_programs_are_not_mixed(results):
    with pytest.raises(ValueError, match="code was changed while 'toy' ran"):
        module._job("toy", "a", 0, None, results / "x.json", "of before", os.getpid())
    assert not results.exists()


def test_the_command_forgets_when_all_is_done(results, monkeypatch):
    """And not before: whoever stops the last of several experiments has done the first."""
    first, ran = counting(0)
    monkeypatch.setattr(cli, "HOME", results)
    broken = replace(TOY, conditions={"a": lambda *_: 1 / 0})
    two = {"first": replace(first, name="first"), "toy": broken}
    monkeypatch.setattr(module, "experiments", lambda: two)
    command = ["evidence", "--dataset", "digits", "--jobs", "1"]
    done = invoke(*command)
    assert isinstance(done.exception, ZeroDivisionError)
    assert (results / "digits" / "first.json").is_file()
    two["toy"] = TOY
    done = invoke(*command)
    assert done.exit_code == 0, done.output
    assert ran == [("a", 0), ("b", 0)]  # not again
    assert [path for path in ledger.KEPT.rglob("*") if path.is_file()] == []


# An experiment of which only what BUSY does not name comes to an end.
ENDLESS = """
import os
import time
from functools import partial
from pathlib import Path

import numpy as np

from embedlab.lessons.experiments import Experiment
from embedlab.measure.intervals import Measure
from embedlab.measure.scoreboard import Row


def rows(condition, seed, images):
    here = Path(os.environ["TOY"])
    with (here / "log").open("a") as log:
        log.write(f"{condition}{seed}\\n")
    while f"{condition}{seed}" in os.environ.get("BUSY", ""):
        (here / "alive").touch()
        time.sleep(0.05)
    shares = np.random.default_rng([ord(condition), seed]).random(50)
    measures = {"map": Measure.from_units("map", images.name, image=shares)}
    return [Row(condition, images.name, measures, fit_seconds=float(shares[0]))]


toy = Experiment(
    "toy", "", {c: partial(rows, c) for c in "abc"}, seeds=(0, 1), limit=(200, 100, 120)
)
"""


def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_then_stopped_then_finished(tmp_path):
    """The command itself, in a copy of the course with the experiment above, with real workers."""
    course = Path(module.__file__).parents[1]
    unneeded = shutil.ignore_patterns("lesson_*", "__pycache__")
    shutil.copytree(course, tmp_path / "embedlab", ignore=unneeded)
    toy = tmp_path / "embedlab" / "lessons" / "lesson_toy" / "experiments.py"
    toy.parent.mkdir()
    toy.write_text(ENDLESS)
    with (tmp_path / "embedlab" / "training" / "fingerprint.py").open("a") as file:
        file.write('\n\ndef fingerprint():\n    return "f" * 16\n')
    environment = {"PYTHONPATH": str(tmp_path), "TOY": str(tmp_path), "EMBEDLAB_DEVICE": "cpu"}
    log, alive = tmp_path / "log", tmp_path / "alive"
    stored = tmp_path / "results" / "digits" / "toy.json"

    def kept():
        places = (tmp_path / "build" / "evidence").rglob("*.json")
        return sorted(f"{p.parent.name}{p.name[0]}" for p in places)

    def silent():
        alive.unlink(missing_ok=True)
        time.sleep(0.3)
        return not alive.exists()

    def start(jobs, busy=""):
        log.unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "embedlab.cli", "evidence", "toy", "--jobs", jobs],
            cwd=tmp_path,
            env={**os.environ, **environment, "BUSY": busy},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # What a shell starts in the background ignores Ctrl-C, and so would all below it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def ended(number, busy, kept_by_then):
        """Start with two workers, end it by a signal when both are busy, return what it said."""
        process = start("2", busy)
        try:
            until(lambda: log.exists() and len(log.read_text().split()) == 3, 240)
            until(lambda: kept() == kept_by_then, 60)
            # Ctrl-C reaches the whole group; kill -9 the one process.
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            until(silent, 10)
            said = "".join(process.communicate(timeout=60))
        finally:
            process.kill()
        return process.returncode, said

    def finished():
        """What one worker says that is left alone, and what it stores but for the seconds."""
        process = start("1")
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        assert kept() == []
        return said, {**json.loads(stored.read_text()), "seconds": None}

    status, _ = ended(signal.SIGKILL, "a1 b0 b1 c0 c1", ["a0"])
    assert status == -signal.SIGKILL
    assert sorted(log.read_text().split()) == ["a0", "a1", "b0"]

    status, said = ended(signal.SIGINT, "b0 b1 c0 c1", ["a0", "a1"])
    assert status == 130
    assert sorted(log.read_text().split()) == ["a1", "b0", "b1"]
    assert "1 of 6 trainings were already there" in said
    assert "Stopped: 2 of 6 trainings are kept; the same command goes on from there." in said
    assert "Traceback" not in said
    assert not stored.parent.exists()

    said, resumed = finished()
    assert "2 of 6 trainings were already there" in said
    assert log.read_text().split() == ["b0", "b1", "c0", "c1"]
    said, whole = finished()
    assert "already there" not in said
    assert resumed == whole


def test_missing_evidence_is_said(capsys):
    with pytest.raises(FileNotFoundError, match="embedlab evidence nothing"):
        evidence("nothing")
    rows = evidence("label-noise", "faces")
    assert rows["random 0.0"].dataset == "digits"
    assert "No stored evidence 'label-noise' on faces" in capsys.readouterr().out


def test_reproduces(capsys, monkeypatch):
    monkeypatch.setenv("EMBEDLAB_DEVICE", "cpu")
    monkeypatch.setattr(module, "fingerprint", lambda: "here")
    seeds = {"seed": np.array([-0.02, -0.01, 0.0, 0.01, 0.02])}
    here, elsewhere = (Measure("map", 0.8, seeds, "digits", at) for at in ("here", "elsewhere"))

    def live(value, dataset="digits"):
        return Measure("map", value, {"image": np.zeros(100)}, dataset)

    for value, stored, verdict, words in (
        (0.78, here, "holds", "0.780, inside ["),  # that of seed 0
        (0.79, here, "fails", "NOT EQUAL to the stored 0.780"),
        (0.81, elsewhere, "holds", "inside ["),
        (0.6, elsewhere, "fails", "OUTSIDE ["),
    ):
        found = reproduces(live(value), stored, "x")
        assert found.verdict == verdict
        assert found.changed == (verdict == "fails")
        assert words in repr(found)
    assert not reproduces(live(0.6, "faces"), here, "x")
    assert "is on faces, the stored runs on digits" in capsys.readouterr().out


# --- what the experiments are made of -----------------------------------------------------------


def test_methods_are_taught_and_read_as_their_names_say(few, monkeypatch):
    shuffling = METHODS["LeNet-5, shuffled labels"]
    np.testing.assert_array_equal(shuffling.examples(few, 3)[1], shuffled(few.train.y, 3))
    np.testing.assert_array_equal(METHODS["LeNet-5"].examples(few, 3)[1], few.train.y)
    assert isinstance(METHODS["CLIP"].examples(few, 3)[1][0], str)
    fit = SimCLR.fit
    monkeypatch.setattr(SimCLR, "fit", lambda self, *args: fit(self.set_params(epochs=1), *args))
    rows = experiments()["scoreboard"].conditions["SimCLR"](0, few)
    assert [(row.name, row.n_components) for row in rows] == [
        ("SimCLR", 128),
        ("SimCLR, projected", 64),
    ]


def test_random_mistakes_are_exactly_so_many_and_all_wrong(rng):
    y = rng.integers(0, 10, 1_000)
    for share in (0.0, 0.2, 0.8, 1.0):
        assert (symmetric_noise(y, share) != y).sum() == round(share * 1_000)
    wrong = symmetric_noise(y, 1.0)
    assert set(wrong) == set(range(10))
    assert np.bincount((wrong - y) % 10)[1:].min() > 70


def test_systematic_mistakes_take_each_class_for_the_next(rng):
    y = rng.integers(0, 10, 1_000)
    wrong = pair_flip_noise(y, 0.4)
    changed = wrong != y
    assert changed.sum() == 400
    np.testing.assert_array_equal(wrong[changed], (y[changed] + 1) % 10)


def test_mistakes_leave_the_labels_alone_and_check_the_share():
    y = np.arange(10)
    for spoil in (symmetric_noise, pair_flip_noise):
        spoil(y, 0.5)
        np.testing.assert_array_equal(y, np.arange(10))
        with pytest.raises(ValueError, match=r"share=1\.5"):
            spoil(y, 1.5)
    assert sorted(shuffled(y)) == list(y) != list(shuffled(y))


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
    assert next(iter(GRAY_SETS)) == "all"
    assert len(GRAY_SETS["all"]) == 5
    for name, views in GRAY_SETS.items():
        if name.startswith("without"):
            assert len(views) == 4
            assert name.split()[1] not in [type(v).__name__.lower() for v in views]
        if name.startswith("with "):
            assert len(views) == 6
    x = torch.rand(2, 1, 32, 32)
    out = Compose(GRAY_SETS["none"])(x, torch.Generator())
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
