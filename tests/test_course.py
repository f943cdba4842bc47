import io
import re
from pathlib import Path

import nbformat
import pytest
from rich.console import Console

from embedlab.course import run as course
from embedlab.measure.scoreboard import stored_rows
from embedlab.measure.verdicts import Verdict
from embedlab.show.tables import numbers, rich_table


def write(folder, name, *sources, printed="fine\n", said=None, **metadata):
    cells = [nbformat.v4.new_markdown_cell(f"# {name}")]
    cells += [nbformat.v4.new_code_cell(s) for s in sources]
    cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)]
    cells[-1].metadata.update(metadata)
    if said:
        shown = {"text/plain": repr(said)}
        cells[1].outputs = [nbformat.v4.new_output("display_data", data=shown)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """A course of three lessons: one fails, and one has another verdict than on record."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "glossary.md").write_text("# Glossary\n")
    claim = "from embedlab.measure.verdicts import Verdict\ndisplay(Verdict(*{}))"
    good, changed = (
        ("C0", "said", 0.1, 0.05, 0.15, 0.02, "holds", expected) for expected in ("holds", "fails")
    )
    write(notebooks, "00_good", claim.format(good), "print('fine')", said=Verdict(*good))
    write(notebooks, "01_bad", "print('before')", "1 / 0", "print('after')")
    write(notebooks, "02_changed", claim.format(changed), "print('fine')", said=Verdict(*changed))
    monkeypatch.setattr(course, "NOTEBOOKS", notebooks)
    monkeypatch.setattr(course, "HOME", tmp_path)
    return tmp_path


def test_a_failing_lesson_is_named_and_the_others_run(small_course, capsys):
    before = {p: p.read_bytes() for p in (small_course / "notebooks").iterdir()}
    assert course.run_course(None, None, 2) == 1
    out = capsys.readouterr().out
    assert re.search(r"FAILED 01_bad, cell 2 of 3: ZeroDivisionError: division by zero", out)
    assert re.search(r"00_good +2/2 cells +[\d.]+ s  done", out)
    assert "CHANGED C0: holds, on record fails: said" in out
    assert "2 of 3 lessons ran" in out
    assert "the book" not in out
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


def test_a_changed_verdict_sets_the_status_only_where_that_is_asked_for(small_course, capsys):
    assert course.run_course(only="02") == 0
    assert "A difference close to its margin" in capsys.readouterr().out
    assert course.run_course(only="02", strict=True) == 1
    assert "CHANGED C0" in capsys.readouterr().out


def test_cells_that_are_not_the_book_s_are_counted(small_course, capsys):
    notebooks = small_course / "notebooks"
    write(notebooks, "03_other", "print('0.123')", printed="0.124\n")
    write(notebooks, "04_own", "print('mine')", printed="", tags=["nbval-ignore-output"])
    assert course.run_course(only="03") == 0
    assert "1 cell of 1 lesson differs from the book" in capsys.readouterr().out
    assert course.run_course(only="04") == 0
    assert "Every number and picture is the book's, to the last digit." in capsys.readouterr().out
    assert course.run_course("photo-crops", only="03") == 0
    assert "the book" not in capsys.readouterr().out


def test_in_a_folder_of_ones_own_the_book_is_the_packages_and_edited_lessons_are_not_compared(
    small_course, capsys, monkeypatch
):
    """What a learner has run, cleared or tried is neither the book nor another arithmetic."""
    folder = small_course / "mine"
    folder.mkdir()
    monkeypatch.setattr(course, "ROOT", small_course)
    monkeypatch.setattr(course, "STARTED", folder)
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    same = "Every number and picture is the book's"
    write(small_course / "notebooks", "03_plain", "print('fine')")
    write(folder, "03_plain", "print('fine')", printed="cleared")
    assert course.run_course() == 0
    out = capsys.readouterr().out
    assert same in out
    assert "Not compared" not in out
    write(folder, "04_own", "print('0.123')", printed="")
    assert course.run_course() == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Not compared with the book: 1 edited lesson. {same}" in out
    write(folder, "03_plain", "print('mine')", printed="")
    assert course.run_course(only="03") == 0
    out = capsys.readouterr().out
    assert "Not compared with the book: 1 edited lesson." in out
    assert same not in out


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


def printed(table, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_claims_are_counted_by_id_or_listed_with_intervals():
    verdicts = [
        Verdict("C10", "text", 0.1, 0.05, 0.15, 0.02, verdict, "holds")
        for verdict in ("holds", "holds", "fails", "undecided")
    ]
    verdicts.append(Verdict("C9", "text", 0.1, 0.05, 0.15, 0.02, "holds", None))
    lines = [line.split() for line in printed(course.claims_counted(verdicts)).splitlines()]
    assert lines[0] == 2 * ["claims", "holds", "fails", "undecided", "changed"]
    assert lines[1] == ["C9", "1", "C10", "2", "1", "1", "2"]
    listed = printed(course.claims_table(verdicts), width=120)
    for word in ("+0.100", "+0.050 +0.150", "fails (on record: holds)"):
        assert word in listed


def test_the_scoreboard_takes_a_line_a_method():
    rows = list(stored_rows().values())
    lines = printed(rich_table(numbers(rows), "digits")).splitlines()
    assert len(lines) == len(rows) + 2  # the last says what the marks are
    assert all("…" not in line for line in lines)
    best = max(rows, key=lambda row: row.map.value).map
    assert lines[1].endswith(f"{best.value:.2f} {best.low:.2f}–{best.high:.2f}".replace("0.", "."))


def test_the_end_of_the_whole_course_fits_two_screens():
    """Every stored row, 24 claim ids, three changed verdicts, other last digits."""
    run = course.Run(Path("00_all.ipynb"), nbformat.v4.new_notebook(), differing=12)
    run.rows = [{**row, "seeds": 1} for row in numbers(stored_rows().values())]
    run.claims = [
        Verdict(f"C{i}", "long " * 20, 0.1, 0.05, 0.15, 0.02, "holds", "fails" if i < 3 else None)
        for i in range(24)
    ]
    console = Console(width=80, record=True, file=io.StringIO())
    course.summary(console, [run], embedded=True)
    lines = console.export_text().splitlines()
    assert len(lines) + 2 <= 2 * 24  # the last line, which holds a path, may take two
    assert sum(line.startswith("CHANGED C") for line in lines) == 3
    assert "12 cells of 1 lesson differ from the book" in " ".join(lines)
