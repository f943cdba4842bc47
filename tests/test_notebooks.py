"""What every lesson must have, read from the committed files."""

import ast
import re

import nbformat
import pytest

from embedlab.course.claims_page import STATEMENTS, claims_page
from embedlab.course.run import NOTEBOOKS, lesson_number, lessons
from embedlab.lessons.experiments import LIVE
from embedlab.measure.verdicts import Verdict

LESSONS = lessons()
each = pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def words(path):
    """What the cells of a page printed and showed in words."""
    outputs = [output for cell in code(path) for output in cell.outputs]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


def code(path):
    return [c for c in read(path).cells if c.cell_type == "code"]


@each
def test_executed_in_order_and_without_errors(path):
    cells = code(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")


@each
def test_cell_ids_are_names(path):
    ids = [c.id for c in read(path).cells]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z0-9-]+", i) and not re.fullmatch(r"[0-9a-f]{8}", i) for i in ids)


@each
def test_at_least_four_fifths_of_printing_cells_are_compared(path):
    printing = [c for c in code(path) if c.outputs]
    ignored = [c for c in printing if "nbval-ignore-output" in c.metadata.get("tags", [])]
    assert len(ignored) <= 0.2 * len(printing)


@each
def test_tags_are_known(path):
    for cell in read(path).cells:
        for tag in cell.metadata.get("tags", []):
            assert tag == "nbval-ignore-output"


@each
def test_every_figure_has_alt_text(path):
    figures = [o for c in code(path) for o in c.outputs if "image/png" in o.get("data", {})]
    assert figures
    for figure in figures:
        assert len(figure.metadata["image/png"]["alt"]) > 20


@each
def test_no_measured_number_is_typed_into_prose(path):
    number = re.compile(r"(?<![\w./-])(?:0?\.\d{2,}|\d{1,3}(?:\.\d+)?\s?%)")
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert not number.findall(cell.source), cell.source


@each
def test_anatomy(path):
    cells = read(path).cells
    text = "\n".join(c.source for c in cells)
    assert cells[0].source.startswith(f"# {lesson_number(path)} ")
    for part in ("**Questions.**", "**After this lesson**", "**You need**", "**Time.**"):
        assert part in cells[0].source
    for part in ("**Predict.**", "show_source(", "claim", "Your turn", "## Recap", "**Papers.**"):
        assert part in text
    assert "**Go bigger.**" in text
    hidden = [c for c in cells if c.metadata.get("jupyter", {}).get("outputs_hidden")]
    assert len(hidden) >= 3
    assert all(c.metadata["jupyter"]["source_hidden"] for c in hidden)


@each
def test_every_claim_has_a_verdict_on_record_and_keeps_it(path):
    printed = words(path)
    assert len(re.findall(r"margin 0\.\d+: (HOLDS|FAILS|UNDECIDED)", printed)) >= 3
    assert "on record" not in printed
    assert "OUTSIDE" not in printed
    for cell in code(path):
        calls = len(re.findall(r"\bclaims?\(", cell.source))
        assert cell.source.count("expect=") == calls


def test_live_runs_share_one_rate_of_false_alarms():
    printed = "\n".join(map(words, LESSONS))
    assert len(re.findall(r"^live .*, (?:inside|equal)", printed, re.MULTILINE)) == LIVE
    assert "NOT EQUAL" not in printed


def test_what_is_claimed_is_shown():
    """A claim that no cell shows would be judged, and nobody would see it."""
    for path in LESSONS:
        for cell in code(path):
            tree = ast.parse(cell.source)
            hidden = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
            hidden = [node.value for node in hidden if node is not tree.body[-1]]
            calls = {n.func.id for n in hidden if isinstance(n, ast.Call) and hasattr(n.func, "id")}
            assert not calls & {"claim", "claims", "reproduces"}, (path.stem, cell.id)
            assert not re.search(r"\);\s*$", cell.source) or "claim" not in cell.source


def test_the_claims_page_is_up_to_date():
    page = NOTEBOOKS / "claims.md"
    assert page.read_text("utf-8") == claims_page(), "run embedlab refresh"


def test_the_claims_page_counts_verdicts_by_data_set(tmp_path):
    rows = [("C1", "digits", "holds"), ("C1", "digits", "holds"), ("C1", "faces", "fails")]
    rows += [("C2", "digits", "undecided"), ("live", "digits", "holds")]
    cell = nbformat.v4.new_code_cell('claim("C1")\nclaim("C2")')
    for id, dataset, verdict in rows:
        found = Verdict(id, "said", 0.1, 0.0, 0.2, 0.02, verdict, verdict, dataset)
        data = {"text/plain": repr(found), **found._repr_mimebundle_()}
        cell.outputs.append(nbformat.v4.new_output("display_data", data=data))
    path = tmp_path / "07_words.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    table = [line for line in claims_page([path]).splitlines() if line.startswith("|")]
    assert table[0] == "|  | statement | lesson | digits | faces |"
    for line, id, found in zip(
        table[2:], STATEMENTS, (("holds 2", "fails 1"), ("undecided 1", "")), strict=False
    ):
        cells = [part.strip() for part in line.split("|")[1:-1]]
        assert cells == [id, STATEMENTS[id], "[07](07_words.ipynb)", *found]
    assert len(table) == 4


@each
def test_links_lead_somewhere(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#]+)", cell.source):
                assert (NOTEBOOKS / link).exists(), link


@each
def test_set_up_cell_is_ignored_and_prints_where_it_runs(path):
    setup = next(c for c in code(path) if "embedlab.begin(" in c.source)
    assert setup.metadata["tags"] == ["nbval-ignore-output"]
    assert "device" in setup.outputs[0].text
