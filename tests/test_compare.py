"""The comparison that decides whether a lesson's outputs are still true."""

from math import inf

import nbformat
import pytest

from embedlab.course.compare import deviation, differs

pytest_plugins = ["pytester"]


def printed(text: str) -> list:
    return [nbformat.v4.new_output("stream", name="stdout", text=text)]


def shown(data: dict) -> list:
    return [nbformat.v4.new_output("display_data", data=data)]


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        ("fit 2.9 s", "fit 17.0 s"),
        ("41,213 images/s", "9 images/s"),
        ("<td>2.9 s</td>", "<td>12.1 s</td>"),
        ("a   0.5", "a 0.5"),
        ("0.1 s  597,543 images/s", "0.2 s  5 images/s"),
        ("took 3 min", "took 4 min"),
    ],
)
def test_the_machine_is_never_compared(stored, new):
    assert not differs(printed(stored), printed(new))
    assert deviation(printed(stored), printed(new)) == 0


@pytest.mark.parametrize(
    ("stored", "new", "apart"),
    [
        ("mAP 0.900", "mAP 0.914", 0.014),
        ("mAP 0.900 [0.871, 0.920]", "mAP 0.886 [0.880, 0.910]", 0.014),
        ("difference +0.005", "difference -0.005", 0.01),
        ("loss 1.0e-01", "loss 2.0e-01", 0.1),
        ("loss 3.1e-10", "loss 8.9e-10", 5.8e-10),
        ("1,000.5 and 2.5", "1,000.5 and 4.5", 2.0),
        ("mAP 0.900", "mAP 0.901", 0),  # one unit of the last digit: rounding
        ("loss 1.20e+03", "loss 1.21e+03", 0),
        # min is not minutes
        ("std   0.050\nmin   0.010", "std   0.950\nmin   0.010", 0.9),
        ("accuracy 0.951 min 0.300", "accuracy 0.100 min 0.300", 0.851),
        ("accuracy 0.951 min", "accuracy 0.100 min", 0.851),
        ("mean 0.951 min/max", "mean 0.100 min/max", 0.851),
        # no limit helps words, counts and orders
        ("holds", "fails", inf),
        ("HOLDS", "UNDECIDED", inf),
        ("1029 images", "1030 images", inf),
        ("classes found: ['8', '3']", "classes found: ['8', '5']", inf),
        ("0.900", "0.900 0.100", inf),
        ("loss 0.5", "loss nan", inf),
        ("version 1.2.3", "version 1.2.4", inf),
        ("9 shots", "8 shots", inf),
        ("images 1029\ns 0.5", "images 7\ns 0.5", inf),
        ("max(5, min(30", "max(6, min(30", inf),
        ("grade N", "grade 0.5", inf),
        ("a 0.5\nb 0.4", "b 0.5\na 0.4", inf),
    ],
)
def test_what_is_printed_is_so_far_apart(stored, new, apart):
    assert differs(printed(stored), printed(new))
    assert deviation(printed(stored), printed(new)) == pytest.approx(apart)
    limit = 100.0 if apart == inf else apart
    assert deviation(printed(stored), printed(new), limit) == (inf if apart == inf else 0)


def test_pictures_count_to_the_last_byte_where_they_count():
    a, b = shown({"image/png": "AAAA\n"}), shown({"image/png": "AAAB\n"})
    assert differs(a, b)
    assert not differs(a, b, pictures=False)
    assert deviation(a, b) == 0
    a, b = (shown({"text/html": f"<img src='data:image/png;base64,{x}'>"}) for x in ("AA", "AB"))
    assert differs(a, b)
    assert not differs(a, b, pictures=False)


def test_a_display_that_is_gone_is_seen():
    assert deviation(printed("a") + shown({"text/plain": "b"}), printed("a")) == inf
    assert differs(shown({"image/png": "AAAA"}), [])


def test_stderr_is_not_compared():
    noise = [nbformat.v4.new_output("stream", name="stderr", text="noise")]
    assert not differs(printed("same"), noise + printed("same"))


# --- under nbval ------------------------------------------------------------------------------

CELLS = {
    "the-same": "print('mAP 0.900')",
    "last-digit": "print('mAP 0.902')",
    "within": "print('mAP 0.920')",
    "beyond": "print('mAP 0.922')",
    "a-word": "print('mAP zero')",
    "silenced": "print('mAP 0.900')\n1 + 1;",
    "not-silenced": "print('mAP 0.900')\n1 + 1",
}


def test_exact_needs_the_operations_and_the_software(monkeypatch):
    import tests.nbval_compare as plugin

    for differing, software, exact in (([], "a", True), (["sums"], "a", False), ([], "b", False)):
        monkeypatch.setattr(plugin, "differing", lambda found=differing: found)
        monkeypatch.setattr(plugin, "software", lambda found=software: found)
        monkeypatch.setattr(plugin, "stored", lambda: {"software": "a"})
        assert plugin.exact.__wrapped__() is exact


@pytest.mark.parametrize(
    ("exact", "green", "said"),
    [
        (True, {"the-same", "silenced"}, "to the last digit and pixel."),
        (False, {"the-same", "within", "silenced"}, "within the limits of results/spread.json"),
    ],
)
def test_under_nbval(pytester, monkeypatch, request, exact, green, said):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
    cells = [
        nbformat.v4.new_code_cell(code, outputs=printed("mAP 0.900\n"), execution_count=1, id=id)
        for id, code in CELLS.items()
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), pytester.path / "one.ipynb")
    pytester.makeini("[pytest]\n")
    pytester.makeconftest(
        "import tests.nbval_compare as plugin\n"
        f"plugin.exact = lambda: {exact}\n"
        "plugin.limits = lambda: {'one': dict.fromkeys(('within', 'beyond', 'a-word'), 0.02)}\n"
        "pytest_plugins = ['tests.nbval_compare']\n"
    )
    done = pytester.runpytest_subprocess(
        "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-rpf"
    )
    found = [line.split("::")[1] for line in done.outlines if line.startswith("PASSED")]
    assert [list(CELLS)[int(cell.removeprefix("Cell "))] for cell in found] == [
        name for name in CELLS if name in green
    ]
    assert f"Notebooks compared {said}" in done.stdout.str()
