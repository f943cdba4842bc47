"""What lessons 06 and 06b measure; and 06's cells on a real CLIP, run with a tiny one."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from embedlab import show_source
from embedlab.data import captions
from embedlab.data.scenes import load_scenes
from embedlab.embedders import CLIP
from embedlab.lessons.lesson_06.experiments import (
    evaluate_clip,
    scans_named,
    single,
    withheld,
    withheld_row,
)
from embedlab.show.plots import show
from tests.test_pretrained_clip import save_tiny

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "06_clip.ipynb"


@pytest.fixture(scope="module")
def scenes(digits):
    return load_scenes(digits, n=(3_000, 20, 300, 100))


@pytest.fixture(scope="module")
def clip(scenes):
    return CLIP(epochs=15).fit(scenes.train.x, scenes.train.captions)


def test_every_puzzle_is_in_the_row(clip, scenes, digits):
    with pytest.warns(UserWarning, match="'add'"):
        row = evaluate_clip(clip, digits, scenes, "x")
    assert row.measures["scans"].value > 0.5
    assert row.measures["a wrong object named"].value > 0.6
    assert len(row.measures["scans"].effects["image"]) == len(digits.test)
    assert {"unseen pairs", "seen counts", "image to text @5", "no ..."} <= set(row.measures)


def test_prompts_in_another_order_name_other_classes(clip, digits, scenes):
    """The control: with each class's prompt given to the next, nearly nothing is right."""
    prompts = single(scenes.nouns)
    right = scans_named(clip, digits, prompts).value
    assert scans_named(clip, digits, prompts[1:] + prompts[:1]).value < 0.2 < right


def test_only_images_of_the_withheld_classes_count(clip, digits, scenes):
    pair = withheld(1, digits)
    row = withheld_row(clip, digits, scenes.nouns, pair, "x")
    assert pair == (2, 3)
    assert row.measures["two words"].effects == {}
    assert row.measures["two words"].value >= row.measures["all words"].value


def test_the_cells_on_a_real_clip(digits, empty_cache, monkeypatch, capsys):
    """Through the same call, from the cache that a download fills, with no network."""
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, 4).cells}
    names = dict(
        CLIP=CLIP,
        captions=captions,
        images=digits,
        nouns=captions.nouns(digits.class_names),
        np=np,
        plt=plt,
        scans_named=scans_named,
        show=show,
        show_source=show_source,
        single=single,
    )
    exec(cells["real"], names)
    assert names["real"] is None
    assert "embedlab fetch clip:openai/clip-vit-base-patch32" in capsys.readouterr().out

    folder = empty_cache / "models--openai--clip-vit-base-patch32"
    save_tiny(folder / "snapshots" / ("0" * 40), longest=77)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    exec(cells["real"], names)
    exec(cells["real-show"], names)
    said = capsys.readouterr().out
    assert "photographs with their own caption" in said
    assert "one to four cats, counted as" in said
