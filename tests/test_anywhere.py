import copy
import json
import os
import shutil
import subprocess

import nbformat
import numpy as np
import pytest

from embedlab import embedders as package
from embedlab.course.run import lessons
from embedlab.embedders import OneHot, Pixels
from embedlab.embedders.catalogue import METHODS
from tests import anywhere
from tests.test_cli import invoke


@pytest.fixture
def notebook():
    return nbformat.read(lessons("01")[0], as_version=4)


def test_every_method_and_every_embedder_has_a_short_fit():
    found = anywhere.embedders()
    assert set(METHODS) <= set(found)
    assert {type(e).__name__ for e in found.values()} == set(package.__all__)


def test_what_is_told_of_a_fit_is_its_hashes(monkeypatch, capsys):
    fits = {"pixels": {"images": np.zeros(3)}, "operations": {"sums": "abc"}}
    monkeypatch.setattr(anywhere, "short_fits", fits.items)
    anywhere.tell()
    (name, hashes, _), (_, operations, _) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (name, len(hashes["images"])) == ("pixels", 64)
    assert operations == {"sums": "abc"}


def test_the_short_fits_are_short_and_of_all(monkeypatch):
    few = {"pixels": Pixels(), "CLIP": METHODS["CLIP"].build(0, 9), "OneHot": OneHot()}
    monkeypatch.setattr(anywhere, "embedders", lambda: few)
    monkeypatch.setattr(anywhere, "EPOCHS", 1)
    monkeypatch.setattr("embedlab.training.fingerprint.operations", dict)
    assert [name for name, _ in anywhere.short_fits()] == ["operations", *few, "Prior", "Painter"]
    assert few["CLIP"].epochs == 1


def test_a_lesson_compared_with_itself_is_the_same(notebook):
    cells, counts = anywhere.compared(notebook, notebook)
    assert cells == []
    assert counts["numbers"] > 100
    assert counts["pictures"] > 3
    assert counts["other numbers"] == counts["other pictures"] == 0


def test_a_doctored_number_and_picture_are_reported(notebook, monkeypatch, capsys):
    new = copy.deepcopy(notebook)
    new.metadata["seconds"] = 90
    printed = next(
        c for c in new.cells if any("0.9" in o.get("text", "") for o in c.get("outputs", ()))
    )
    printed.outputs[0].text = printed.outputs[0].text.replace("0.9", "0.8", 1)
    shown = next(c for c in new.cells if anywhere._shown(c.get("outputs", ()))[1])
    output = next(o for o in shown.outputs if "image/png" in o.get("data", ()))
    output.data["image/png"] = output.data["image/png"].replace("iVBOR", "iVBOS", 1)
    monkeypatch.setattr(anywhere, "emulated", lambda path, model: new)
    total = anywhere.follow("Intel", anywhere.of_lesson(lessons("01")[0], "Haswell-v4"))
    out = capsys.readouterr().out
    assert total["not"] == 1
    assert f"DIFFERS in {', '.join(c.id for c in new.cells if c in (printed, shown))}; 1 of" in out
    assert "1.5 min" in out


def test_another_vector_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(
        anywhere, "told", lambda python: [["CLIP", {"images": "a", "texts": "b"}, 1]]
    )
    total = anywhere.follow("AMD", anywhere.of_fits([], {"CLIP": {"images": "a", "texts": "c"}}))
    assert total == {"not": 1}
    assert "DIFFERS in texts" in capsys.readouterr().out


def test_a_job_that_fails_is_not_the_same(capsys):
    assert anywhere.follow("AMD", anywhere.of_lesson(anywhere.ROOT / "none", "x")) == {"not": 1}
    assert "FAILED" in capsys.readouterr().out


def test_a_qemu_that_is_not_there_is_one_clear_sentence():
    done = invoke("anywhere", EMBEDLAB_QEMU="/nowhere/qemu")
    assert done.exit_code == 2
    assert done.output == (
        "embedlab: '/nowhere/qemu' is no program: set EMBEDLAB_QEMU to qemu-x86_64.\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="a script of bash")
def test_where_qemu_cannot_be_fetched_it_says_what_to_do(tmp_path):
    for program in ("mkdir", "bash"):
        os.symlink(shutil.which(program), tmp_path / program)
    done = subprocess.run(
        [str(tmp_path / "bash"), anywhere.ROOT / "tests" / "get-qemu", tmp_path / "qemu"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    for word in ("QEMU 8 or later", "10.0", "7.2", "EMBEDLAB_QEMU"):
        assert word in done.stderr
