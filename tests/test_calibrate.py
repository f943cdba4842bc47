"""Limits come from what perturbed runs showed, and what no limit can help is listed."""

import json

import nbformat
import pytest

from embedlab.course import calibrate as module
from embedlab.settings import REFERENCE


def notebook(**printed: str):
    cells = [
        nbformat.v4.new_code_cell(
            "", id=id, outputs=[nbformat.v4.new_output("stream", name="stdout", text=text)]
        )
        for id, text in printed.items()
    ]
    cells[0].metadata["tags"] = ["nbval-ignore-output"]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATH", tmp_path / "spread.json")
    path = tmp_path / "07_text.ipynb"
    nbformat.write(notebook(setup="begun", near="mAP 0.900", far="loss 1.10", word="holds"), path)
    return path


def runs(monkeypatch, **by_setting):
    """What each perturbed run printed in place of the stored: {setting: {cell: text}}."""
    stored = {"setup": "begun", "near": "mAP 0.900", "far": "loss 1.10", "word": "holds"}

    def perturbed(path, name, variables, seed):
        return notebook(**{**stored, **by_setting.get(name.replace(" ", "_"), {})})

    monkeypatch.setattr(module, "perturbed", perturbed)


def test_a_limit_is_three_times_the_largest_deviation(lesson, monkeypatch):
    runs(
        monkeypatch,
        weights_1={"setup": "else", "far": "loss 1.20"},
        weights_2={"far": "loss 1.05", "near": "mAP 0.901"},
    )
    assert module.calibrate([lesson], jobs=1) == []
    assert module.limits() == {"07_text": {"far": 0.3}}


def test_limits_of_other_lessons_stay(lesson, monkeypatch):
    module.PATH.write_text(json.dumps({"limits": {"06_clip": {"a": 0.1}, "07_text": {"b": 9.0}}}))
    runs(monkeypatch, weights_1={"far": "loss 1.20"})
    module.calibrate([lesson], jobs=1)
    assert module.limits() == {"06_clip": {"a": 0.1}, "07_text": {"far": 0.3}}


def test_a_changed_word_is_listed_and_has_no_limit(lesson, monkeypatch):
    runs(monkeypatch, native_kernels={"word": "fails"})
    assert module.calibrate([lesson], jobs=1) == [
        "07_text word: words, counts or order, under native kernels"
    ]
    assert module.limits() == {"07_text": {}}


def test_the_check_uses_the_limits_and_writes_nothing(lesson, monkeypatch):
    runs(monkeypatch, weights_1={"far": "loss 1.20"})
    module.calibrate([lesson], jobs=1)
    before = module.PATH.read_bytes()
    runs(monkeypatch, weights_4={"far": "loss 1.40"}, weights_5={"far": "loss 1.41"})
    assert module.calibrate([lesson], check=True, jobs=1) == [
        "07_text far: by 0.31, under weights 5"
    ]
    assert module.PATH.read_bytes() == before


def test_without_limits_nothing_may_differ(lesson):
    assert module.limits() == {}


def test_the_check_has_not_been_seen():
    assert len(module.CALIBRATION) == 6
    assert len(module.CHECK) == 10
    seen = [(tuple(v.items()), seed) for v, seed in module.CALIBRATION.values()]
    assert not [c for c, (v, seed) in module.CHECK.items() if (tuple(v.items()), seed) in seen]
    for variables, _ in [*module.CALIBRATION.values(), *module.CHECK.values()]:
        assert set(variables) <= {*REFERENCE, "EMBEDLAB_ARITHMETIC", "EMBEDLAB_THREADS"}


def test_first_weights_are_nudged_by_a_millionth():
    import torch
    from torch import nn

    import embedlab.training.loop

    before = embedlab.training.loop.to_device
    try:
        exec(module.NUDGE.format(seed=1), {})
        network = nn.Linear(50, 50)
        weights = network.weight.detach().clone()
        embedlab.training.loop.to_device(network, torch.device("cpu"), False)
        change = (network.weight / weights - 1).abs()
        assert 0 < change.mean() < 2e-6
    finally:
        embedlab.training.loop.to_device = before
