"""The reference arithmetic is set early, only where it helps, and over nobody's wishes."""

import os
import subprocess
import sys

import pytest

from embedlab.settings import REFERENCE, use_reference_arithmetic

CLEAN = {k: v for k, v in os.environ.items() if k not in {*REFERENCE, "EMBEDLAB_ARITHMETIC"}}
SET = f"import os; print(sum(k in os.environ for k in {list(REFERENCE)}))"


def run(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**CLEAN, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_import_is_light_and_changes_nothing():
    loaded = "import sys, embedlab; print({'numpy', 'torch', 'matplotlib'} & set(sys.modules))"
    assert run(loaded) == "set()"
    assert run(f"import embedlab\n{SET}") == "0"
    assert run(f"from embedlab.embedders import PCA\n{SET}") == "0"


def test_every_exported_name_is_there():
    import embedlab

    for name in embedlab.__all__:
        assert callable(getattr(embedlab, name))
    with pytest.raises(AttributeError, match="'embedlab' has no attribute 'beginn'"):
        embedlab.beginn  # noqa: B018


def set_up(before="", **variables):
    code = f"{before}\nfrom embedlab import settings; settings.use_reference_arithmetic(); {SET}"
    return run(code, **variables)


needs_avx2 = pytest.mark.skipif(
    run("from embedlab.settings import _has_avx2; print(_has_avx2())") != "True",
    reason="a processor without AVX2, or no telling",
)


@needs_avx2
def test_begin_sets_it():
    assert run(f"import embedlab; embedlab.begin(); {SET}", EMBEDLAB_DEVICE="cpu") == "5"


def test_what_is_on_record_does_not_bind_on_a_set_that_replaces_the_lessons_own():
    code = "import embedlab; embedlab.begin(); from embedlab.measure.verdicts import Verdict; "
    for wanted, news_on in (("", ""), ("digits", ""), ("photo-crops", "photo-crops")):
        assert run(f"{code}print([Verdict.news_on])", EMBEDLAB_DATASET=wanted) == str([news_on])


@needs_avx2
def test_set_where_it_helps():
    assert set_up() == "5"
    assert set_up("import numpy") == "0"
    assert set_up(EMBEDLAB_ARITHMETIC="native") == "0"
    assert set_up(EMBEDLAB_DEVICE="cuda") == "0"
    assert set_up(EMBEDLAB_DEVICE="cpu") == "5"


@needs_avx2
def test_what_the_user_has_set_stays():
    code = "from embedlab import settings; settings.use_reference_arithmetic(); import os; "
    code += "print(os.environ['MKL_CBWR'], os.environ['ATEN_CPU_CAPABILITY'])"
    assert run(code, MKL_CBWR="AVX2") == "AVX2 avx2"


def test_an_unknown_arithmetic_is_an_error(monkeypatch):
    monkeypatch.setenv("EMBEDLAB_ARITHMETIC", "exact")
    with pytest.raises(ValueError, match="'exact' must be 'reference' or 'native'"):
        use_reference_arithmetic()


def test_an_old_processor_is_left_alone():
    assert set_up("from embedlab import settings; settings._has_avx2 = lambda: False") == "0"
