from __future__ import annotations

import re

import nbformat
import pytest

from embedlab import course
from embedlab.claims import Verdict


def write(folder, name, *sources):
    cells = [nbformat.v4.new_markdown_cell(f"# {name}")]
    cells += [nbformat.v4.new_code_cell(s) for s in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """A course of two lessons, one of which fails."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "glossary.md").write_text("# Glossary\n")
    claim = (
        "from embedlab.claims import record\n"
        "record('claim', id='C0', text='said', value=0.1, low=0.05, high=0.15, margin=0.02,"
        " verdict='holds', expected={expected!r})"
    )
    write(notebooks, "00_good", claim.format(expected="holds"), "print('fine')")
    write(notebooks, "01_bad", "print('before')", "1 / 0", "print('after')")
    write(notebooks, "02_changed", claim.format(expected="fails"))
    monkeypatch.setattr(course, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(course, "ROOT", tmp_path)
    return tmp_path


def test_a_failing_lesson_is_named_and_the_others_run(small_course, capsys):
    before = {p: p.read_bytes() for p in (small_course / "notebooks").iterdir()}
    assert course.run_course(None, None, 2) == 1
    out = capsys.readouterr().out
    assert re.search(r"FAILED 01_bad, cell 2 of 3: ZeroDivisionError: division by zero", out)
    assert re.search(r"00_good +2/2 cells +[\d.]+ s  done", out)
    assert "CHANGED C0" in out
    assert "2 lessons ran, 1 failed" in out
    assert str(small_course / "build") in out.replace("\n", "")
    after = {p: p.read_bytes() for p in (small_course / "notebooks").iterdir()}
    assert after == before
    pages = small_course / "build" / "course" / "embedded" / "html"
    assert sorted(p.name for p in pages.glob("*.html")) == [
        "00_good.html",
        "01_bad.html",
        "02_changed.html",
        "glossary.html",
    ]


def test_only_one_lesson_and_status_zero(small_course, capsys):
    assert course.run_course(None, "00", None) == 0
    assert "1 lessons ran, 0 failed" in capsys.readouterr().out


def test_a_changed_verdict_alone_sets_the_status(small_course):
    assert course.run_course(None, "02", 1) == 1


def test_unknown_lesson():
    with pytest.raises(ValueError, match="only='99'"):
        course.lessons("99")


def test_the_dataset_reaches_the_lesson(small_course):
    write(
        small_course / "notebooks",
        "03_env",
        "import os; assert os.environ['EMBEDLAB_DATASET'] == 'photo-crops'",
    )
    assert course.run_course("photo-crops", "03", 1) == 0


def test_pages_need_no_network_and_keep_reveals_folded(tmp_path):
    path = course.lessons("00")[0]
    page = course.export(nbformat.read(path, as_version=4), tmp_path / "page.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?:", page)
    assert "import(" not in page
    hidden = sum(
        bool(c.metadata.get("jupyter", {}).get("outputs_hidden"))
        for c in nbformat.read(path, as_version=4).cells
    )
    assert page.count('<details class="lesson-reveal">') == hidden > 0
    assert "01_pca_lda_kernels.html" in page
    assert '<img alt=""' not in page
    assert re.search(r'<img alt="[^"]{20,}" src="data:image/png', page)


def test_refresh_leaves_a_failing_notebook_as_it_was(small_course):
    path = small_course / "notebooks" / "01_bad.ipynb"
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        course.refresh(path)
    assert path.read_bytes() == before


def test_summary_prints_claims_with_intervals(capsys):
    from rich.console import Console

    verdict = Verdict("C1", "text", 0.1, 0.05, 0.15, 0.02, "holds", "holds")
    assert course.print_claims(Console(width=120), [verdict]) == []
    out = capsys.readouterr().out
    assert "+0.100" in out
    assert "+0.050 +0.150" in out
    assert "holds" in out
