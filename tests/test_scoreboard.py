import io
import json
from dataclasses import replace

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from rich.console import Console
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from embedlab import load_images, score
from embedlab.data.download import DataUnavailable
from embedlab.data.labels import shuffled
from embedlab.embedders import LDA, PCA, KernelLDA, Pixels
from embedlab.measure.scoreboard import MEASURES, Row, pooled_row, stored_rows
from embedlab.measure.verdicts import NUMBERS
from embedlab.show.tables import markdown, numbers, rich_table, table


def test_a_row_has_every_measure_with_its_interval(few):
    row = score(Pixels().fit(few.train.x), few)
    for measure in (row.linear, row.knn, row.five_shot, row.map):
        assert 0 <= measure.low <= measure.value <= measure.high <= 1
    assert row.n_components == 1_024
    assert row.supervision == "none"
    assert row.name == "Pixels-1024"
    assert row.images_per_second > 0


def test_an_unfitted_embedder_is_fitted_on_train(few):
    a, b = PCA(4), PCA(4).fit(few.train.x, few.train.y)
    assert score(a, few).map.value == score(b, few).map.value


def test_any_scikit_learn_pipeline_can_be_scored(few):
    flat = FunctionTransformer(lambda x: x.reshape(len(x), -1))
    row = score(make_pipeline(flat, SklearnPCA(4, random_state=0)), few, "theirs")
    assert row.map.value == pytest.approx(score(PCA(4), few).map.value, abs=1e-3)
    assert row.supervision == "not stated"


class Broken(Pixels):
    def __init__(self, kind="nan"):
        self.kind = kind

    def transform(self, X):
        v = super().transform(X)
        return {"nan": v * np.nan, "short": v[:-1], "flat": v[:, 0]}[self.kind]


@pytest.mark.parametrize(
    ("kind", "words"), [("nan", "NaN"), ("short", "shape"), ("flat", r"need \(N, D\)")]
)
def test_bad_vectors_are_refused(few, kind, words):
    with pytest.raises(ValueError, match=f"Broken.transform gave.*{words}"):
        score(Broken(kind).fit(few.train.x), few)


def test_rows_survive_json(few):
    row = score(PCA(4), few)
    again = Row.from_dict(json.loads(json.dumps(row.to_dict())))
    for key in MEASURES:
        a, b = row.measures[key], again.measures[key]
        assert b.value == pytest.approx(a.value, abs=1e-6)
        assert b.interval() == pytest.approx(a.interval(), abs=1e-3)
        assert (a - b).value == pytest.approx(0, abs=1e-6)


def test_pooled_rows(few):
    rows = [score(PCA(n), few, "PCA") for n in (2, 4)]
    both = pooled_row(rows)
    assert both.seeds == 2
    assert both.map.value == pytest.approx(np.mean([r.map.value for r in rows]))
    assert "seed" in both.map.effects


def test_table_is_sorted_by_map(few):
    rows = [score(PCA(2), few), score(PCA(16), few)]
    shown = table(rows, cost=True)
    assert list(shown.index) == ["PCA-16", "PCA-2"]
    assert shown.loc["PCA-2", "fit"].endswith(" s")
    assert shown.loc["PCA-2", "embeds"].endswith(" images/s")
    assert table([]).empty


def test_page_terminal_and_readme_say_the_same(few):
    rows = [score(PCA(2), few), score(LDA(), few)]
    rows.append(replace(rows[0], name="told", supervision="captions", seeds=5))
    entries = numbers(rows)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(rich_table(entries, few.name))
    lines, cells = console.export_text().splitlines(), markdown(entries).splitlines()
    page = table(rows)
    assert "*: labels, +: captions" in lines[-1]
    assert cells[0].split(" | ")[1:7] == list(page.columns)[:-1]
    assert lines[0].split() == [few.name, *list(page.columns)[1:-1]]
    marks = {"labels": "*", "captions": "+", "none": " "}
    for entry, line, cell in zip(entries, lines[1:], cells[2:], strict=False):
        row = page.loc[entry["name"]]
        name, supervision, length = cell.strip("| ").split(" | ")[:3]
        assert (name, supervision, int(length)) == (entry["name"], row["labels?"], row["length"])
        assert f"{line} "[len(name)] == marks[supervision]
        for value, low, high in entry["measures"].values():
            assert f"{value:.3f} [{low:.3f}, {high:.3f}]" in list(row)
            assert f"**{value:.2f}** <sub>{low:.2f}–{high:.2f}</sub>" in cell
            assert f"{value:.2f} {low:.2f}–{high:.2f}".replace("0.", ".") in line


def test_a_page_holds_the_numbers_of_its_table(few):
    row = score(PCA(2), few)
    data, _ = DisplayFormatter().format(table([row]))
    assert data["text/plain"] == str(table([row]))
    assert "<table" in data["text/html"]
    (entry,) = json.loads(json.dumps(data[NUMBERS]["rows"]))
    assert (entry["name"], entry["dataset"], entry["length"]) == ("PCA-2", few.name, 2)
    assert entry["measures"]["map"] == [row.map.value, row.map.low, row.map.high]
    assert NUMBERS not in DisplayFormatter().format(table([row])[["length"]])[0]


def test_the_yardstick_on_fashion_mnist():
    """The same code on downloaded data: labels help there as well, and nonsense does not."""
    try:
        images = load_images("fashion-mnist", limit=(2_000, 500, 500))
    except DataUnavailable as error:
        pytest.skip(f"Fashion-MNIST is not tested: {error}")
    rows = {
        "pixels": score(Pixels(), images),
        "kernel LDA": score(KernelLDA(), images),
        "shuffled": score(KernelLDA().fit(images.train.x, shuffled(images.train.y)), images),
    }
    assert (rows["kernel LDA"].map - rows["pixels"].map).low > 0.1
    assert (rows["pixels"].map - rows["shuffled"].map).low > 0.1


def test_stored_scoreboards_hold_what_the_course_promises():
    """The figures that lessons and README stand on, mean of five seeds, digits by writer."""
    rows = stored_rows("digits")
    lenet = rows["LeNet-5"]
    assert lenet.seeds == 5
    assert lenet.linear.value >= 0.95
    assert lenet.map.value >= 0.88
    assert rows["LDA"].map.value >= 0.78
    assert rows["kernel LDA"].map.value >= 0.90
    for control in ("random LeNet-5", "LeNet-5, shuffled labels"):
        assert rows[control].map.value < rows["pixels"].map.value
    assert stored_rows("no-such-set") == {}
