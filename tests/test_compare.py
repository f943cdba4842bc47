"""The comparison that decides whether a lesson's outputs are still true."""

from __future__ import annotations

import nbformat
import pytest

from tests.nbval_tolerance import settle

pytest_plugins = ["pytester"]


def agree(a, b, atol=0.02, rtol=0.0):
    return len(set(settle(a, b, atol, rtol))) == 1


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("mAP 0.900", "mAP 0.914"),
        ("mAP 0.900 [0.871, 0.920]", "mAP 0.886 [0.880, 0.910]"),
        ("difference +0.005", "difference -0.005"),
        ("fit 2.9 s", "fit 17.0 s"),
        ("41,213 images/s", "9 images/s"),
        ("<td>2.9 s</td>", "<td>12.1 s</td>"),
        ("a   0.5", "a 0.51"),
    ],
)
def test_passes(stored, new):
    assert agree(stored, new)


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("mAP 0.900", "mAP 0.930"),
        ("mAP 0.900 [0.871, 0.920]", "mAP 0.900 [0.871, 0.950]"),
        ("holds", "fails"),
        ("HOLDS", "UNDECIDED"),
        ("1029 images", "1030 images"),
        ("classes found: ['8', '3']", "classes found: ['8', '5']"),
        ("0.900", "0.900 0.100"),
        ("loss 0.5", "loss nan"),
        ("version 1.2.3", "version 1.2.4"),
        ("9 shots", "8 shots"),
        ("std   0.050\nmin   0.010", "std   0.950\nmin   0.010"),
        ("accuracy 0.951 min 0.300", "accuracy 0.100 min 0.300"),
        ("images 1029\ns 0.5", "images 7\ns 0.5"),
        ("max(5, min(30", "max(6, min(30"),
        ("grade N", "grade 0.5"),
    ],
)
def test_fails(stored, new):
    assert not agree(stored, new)


def test_relative_tolerance_is_a_tag_of_losses():
    assert agree("loss 10.0", "loss 12.0", rtol=0.3)
    assert not agree("loss 10.0", "loss 14.0", rtol=0.3)


def run_notebook(pytester, source, stored, tags=()):
    """nbval's outcome for a cell that runs `source` and has `stored` on record."""
    output = nbformat.v4.new_output("stream", name="stdout", text=stored)
    cell = nbformat.v4.new_code_cell(source, outputs=[output], execution_count=1)
    cell.metadata["tags"] = list(tags)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, pytester.path / "one.ipynb")
    pytester.makeini("[pytest]\n")
    done = pytester.runpytest_subprocess(
        "-p", "tests.nbval_tolerance", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider"
    )
    return done.parseoutcomes()


@pytest.mark.parametrize(
    ("printed", "tags", "outcome"),
    [
        ("0.914", (), "passed"),
        ("0.930", (), "failed"),
        ("0.930", ("nbval-atol=0.05",), "passed"),
        ("1.100", ("nbval-rtol=0.3",), "passed"),
        ("zero", (), "failed"),
    ],
)
def test_under_nbval(pytester, monkeypatch, request, printed, tags, outcome):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    assert run_notebook(pytester, f"print('mAP {printed}')", "mAP 0.900\n", tags) == {outcome: 1}


def test_stderr_is_not_compared(pytester, monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    source = "import sys; print('same'); print('noise', file=sys.stderr)"
    assert run_notebook(pytester, source, "same\n") == {"passed": 1}


def test_a_trailing_semicolon_silences_a_cell(pytester, monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    assert run_notebook(pytester, "print('same')\n1 + 1;", "same\n") == {"passed": 1}
    assert run_notebook(pytester, "print('same')\n1 + 1", "same\n") == {"failed": 1}
