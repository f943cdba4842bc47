"""`embedlab start` never loses what a learner wrote."""

import json
import os

import nbformat
import pytest

from embedlab.course import start as module
from tests.test_cli import invoke


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson and a glossary."""
    monkeypatch.setattr(module, "ROOT", tmp_path / "course")
    (tmp_path / "course" / "notebooks").mkdir(parents=True)
    release(tmp_path / "course", "one", "1")
    return tmp_path / "course"


def lesson(source, output=""):
    cell = nbformat.v4.new_code_cell(source, id="a", metadata={"tags": ["b"]})
    cell.outputs = [nbformat.v4.new_output("stream", text=output)]
    return nbformat.v4.new_notebook(cells=[cell])


def release(course, source, output=""):
    nbformat.write(lesson(source, output), course / "notebooks" / "02_lenet.ipynb")
    (course / "notebooks" / "glossary.md").write_text(f"# Glossary {source}\n")


def start(folder):
    """What was done with each file: {name: what}."""
    done = invoke("start", str(folder))
    assert done.exit_code == 0, done.output
    return dict(line.split(": ", 1) for line in done.output.splitlines()[:-1])


def source(path):
    return nbformat.read(path, as_version=4).cells[0].source


def edit(path, source):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = source
    nbformat.write(notebook, path)


def test_the_first_time_all_is_laid_and_the_next_time_nothing(course, tmp_path):
    folder = tmp_path / "deep" / "mine"
    assert start(folder) == {"02_lenet.ipynb": "laid", "glossary.md": "laid"}
    names = {path.name for path in folder.iterdir()}
    assert names == {"02_lenet.ipynb", "glossary.md", ".embedlab.json"}
    assert set(start(folder).values()) == {"nothing new"}
    (folder / "02_lenet.ipynb").unlink()
    assert start(folder) == {"02_lenet.ipynb": "laid", "glossary.md": "nothing new"}


def test_what_was_only_run_and_unfolded_is_brought_up_to_date(course, tmp_path):
    start(tmp_path / "mine")
    mine = tmp_path / "mine" / "02_lenet.ipynb"
    ran = lesson("one", "run here")
    ran.cells[0].execution_count = 7
    ran.cells[0].metadata["jupyter"] = {"outputs_hidden": False}
    ran.metadata["language_info"] = {"name": "python"}
    nbformat.write(ran, mine)
    before = mine.read_bytes()
    assert start(tmp_path / "mine")["02_lenet.ipynb"] == "nothing new"
    assert mine.read_bytes() == before
    release(course, "one", "2")  # the same cells, executed anew
    assert start(tmp_path / "mine")["02_lenet.ipynb"] == "brought up to date"
    release(course, "two")
    assert set(start(tmp_path / "mine").values()) == {"brought up to date"}
    assert mine.read_bytes() == (course / "notebooks" / "02_lenet.ipynb").read_bytes()


@pytest.mark.parametrize("how", ["source", "tags", "another cell", "no notebook"])
def test_an_edited_lesson_is_kept_and_the_new_one_laid_beside_it(course, tmp_path, how):
    start(tmp_path / "mine")
    mine, new = (tmp_path / "mine" / f"02_lenet{end}.ipynb" for end in ("", ".new"))
    notebook = nbformat.read(mine, as_version=4)
    if how == "source":
        notebook.cells[0].source += "  # mine"
    elif how == "tags":
        notebook.cells[0].metadata["tags"] = []
    else:
        notebook.cells.append(nbformat.v4.new_markdown_cell("mine"))
    nbformat.write(notebook, mine)
    if how == "no notebook":
        mine.write_bytes(b"\xff half of a file")
    before = mine.read_bytes()
    assert start(tmp_path / "mine")["02_lenet.ipynb"] == "edited, kept; nothing new"
    assert not new.exists()
    for words in ("two", "three"):
        release(course, words)
        said = start(tmp_path / "mine")["02_lenet.ipynb"]
        assert said == "EDITED, kept; the new one is 02_lenet.new.ipynb"
        assert (mine.read_bytes(), source(new)) == (before, words)


def test_a_new_one_that_was_edited_is_kept_too(course, tmp_path):
    start(tmp_path / "mine")
    mine, new, newer = (tmp_path / "mine" / f"02_lenet{end}.ipynb" for end in ("", ".new", ".new2"))
    edit(mine, "mine")
    release(course, "two")
    start(tmp_path / "mine")
    edit(new, "mine again")
    release(course, "three")
    assert start(tmp_path / "mine")["02_lenet.ipynb"].endswith("the new one is 02_lenet.new2.ipynb")
    assert [source(path) for path in (mine, new, newer)] == ["mine", "mine again", "three"]


def test_who_takes_the_new_one_is_up_to_date(course, tmp_path):
    start(tmp_path / "mine")
    mine, new = (tmp_path / "mine" / f"02_lenet{end}.ipynb" for end in ("", ".new"))
    edit(mine, "mine")
    release(course, "two")
    start(tmp_path / "mine")
    new.replace(mine)
    assert start(tmp_path / "mine")["02_lenet.ipynb"] == "nothing new"
    release(course, "three")
    assert start(tmp_path / "mine")["02_lenet.ipynb"] == "brought up to date"


@pytest.mark.parametrize("receipt", [None, "{", "[]"])
def test_where_it_is_not_known_what_was_laid_nothing_is_replaced(course, tmp_path, receipt):
    folder = tmp_path / "mine"
    folder.mkdir()
    nbformat.write(lesson("of somebody"), folder / "02_lenet.ipynb")
    if receipt:
        (folder / ".embedlab.json").write_text(receipt)
    assert "02_lenet.new.ipynb" in start(folder)["02_lenet.ipynb"]
    assert source(folder / "02_lenet.ipynb") == "of somebody"
    assert list(json.loads((folder / ".embedlab.json").read_text())) == [
        "02_lenet.ipynb",
        "glossary.md",
    ]


@pytest.mark.parametrize(
    ("where", "said"),
    [("file", "is a file: name a folder"), ("file/sub", "file"), ("course", "the course itself")],
)
def test_a_folder_that_cannot_be_is_one_clear_sentence(course, tmp_path, where, said):
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = invoke("start", str(tmp_path / where))
    assert done.exit_code == 2
    assert said in done.output
    assert done.output.startswith("embedlab: ")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_the_old_lesson_whole(course, tmp_path, monkeypatch):
    start(tmp_path / "mine")
    release(course, "two")
    before = {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()}

    def write_half(file):
        os.ftruncate(file, 9)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", write_half)
        done = invoke("start", str(tmp_path / "mine"))
    assert done.exit_code == 2
    assert "No space left on device" in done.output
    assert {path: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before
    assert set(start(tmp_path / "mine").values()) == {"brought up to date"}
