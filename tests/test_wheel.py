"""The package without its checkout: built, installed in an empty folder, and used from another."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from embedlab.measure.scoreboard import stored_rows
from embedlab.settings import REFERENCE, ROOT

USE = """
import sys
from pathlib import Path
from embedlab import cli, evidence, load_images, score, show_source
from embedlab.embedders import PCA
from embedlab.lessons.lesson_06b.experiments import CHECKPOINT

images = load_images("digits", limit=(200, 100, 120))
row = score(PCA(8).fit(images.train.x), images)
assert 0.3 < row.map.value < 0.9
print(*evidence("scoreboard"), sep=", ")
print(CHECKPOINT.stat().st_size)
show_source(PCA)
cli.app(["doctor"], standalone_mode=False)
assert not cli.app(["course"], standalone_mode=False)
modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "embedlab"]
assert all(Path(module.__file__).is_relative_to(sys.argv[1]) for module in modules), modules
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Where a wheel of a copy of the project is installed; stale leftovers of a build included."""
    root = tmp_path_factory.mktemp("wheel")
    for name in ("embedlab", "notebooks", "results"):
        shutil.copytree(ROOT / name, root / "copy" / name, ignore=shutil.ignore_patterns("__py*"))
    stale = root / "copy" / "build" / "lib" / "embedlab" / "gone.py"
    for folder in (root / "copy" / "data", stale.parent):
        folder.mkdir(parents=True)
    stale.touch()
    files = "pyproject.toml setup.py MANIFEST.in README.md LICENSE data/manifest.toml"
    for name in files.split():
        shutil.copy(ROOT / name, root / "copy" / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", "dist", "./copy"]
    subprocess.run(pip + build, cwd=root, check=True)
    (wheel,) = (root / "dist").glob("*.whl")
    install = ["install", "--no-index", "--no-deps", "--no-compile", "--target", "site", wheel]
    subprocess.run(pip + install, cwd=root, check=True)
    return root / "site"


@pytest.fixture
def run(site, tmp_path):
    """Run Python in an empty folder, where only the installed package is to be had."""
    mine = {k: v for k, v in os.environ.items() if k != "EMBEDLAB_DATA" and k not in REFERENCE}

    def run(*words, folder="."):
        return subprocess.run(
            [sys.executable, "-W", "ignore", *map(str, words)],
            cwd=tmp_path / folder,
            env={**mine, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
        )

    return run


def test_the_wheel_holds_the_lessons_and_no_more(site):
    book = site / "embedlab" / "book"
    for name in ("notebooks", "results"):
        for path in (ROOT / name).rglob("[!.]*"):
            if path.is_file() and ".ipynb_checkpoints" not in path.parts:
                assert (book / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    assert [path.name for path in (book / "data").iterdir()] == ["manifest.toml"]
    assert not (site / "embedlab" / "gone.py").exists()
    assert {path.name for path in site.iterdir()} >= {"embedlab"}
    assert not {"tests", "notebooks", "results"} & {path.name for path in site.iterdir()}


def test_the_library_the_stored_results_the_doctor_and_a_lesson(run, site, tmp_path):
    """One process, to load torch once, in a folder where `embedlab start` has been."""
    (tmp_path / ".embedlab.json").write_text("{}")
    code = "from embedlab import settings; assert settings.HOME == settings.Path.cwd()"
    lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbformat.write(lesson, tmp_path / "99_own.ipynb")
    done = run("-c", USE, site)
    assert done.returncode == 0, done.stderr
    rows, size, *told = done.stdout.splitlines()
    assert rows == ", ".join(stored_rows())
    assert int(size) == (ROOT / "results" / "digits" / "drawing.safetensors").stat().st_size
    assert told[0] == "# embedlab/embedders/linear.py: PCA"
    assert f"data folder {tmp_path / 'data'} (offline)" in told
    assert "  fashion-mnist: MISSING, 31 MB: embedlab fetch fashion-mnist" in told
    assert "MISSING: pip" not in done.stdout
    assert "1 of 1 lesson ran" in done.stdout
    assert (tmp_path / "build" / "course" / "embedded" / "html" / "99_own.html").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {".embedlab.json", "99_own.ipynb", "build"}


def test_the_command(run, tmp_path):
    embedlab = ("-m", "embedlab.cli")
    refused = run(*embedlab, "course")
    assert refused.returncode == 2
    assert "`embedlab start FOLDER`" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    done = run(*embedlab, "start", "mine")
    assert done.returncode == 0, done.stderr
    assert "00_start_here.ipynb: laid" in done.stdout.splitlines()
    assert "cd mine" in done.stdout
    lessons = sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(p.name for p in (tmp_path / "mine").glob("*.ipynb")) == lessons
    (tmp_path / "mine" / "deeper").mkdir()
    where = "from embedlab import settings as s; print(s.HOME, s.RESULTS, s.data_home())"
    for folder, home in ((".", tmp_path), ("mine/deeper", tmp_path / "mine")):
        told = run("-c", where, folder=folder).stdout
        assert told == f"{home} {home / 'results'} {home / 'data'}\n"
    test = run(*embedlab, "test", folder="mine")
    assert test.returncode == 2
    assert test.stderr == (
        "embedlab: test is for the course's own code and tests: run it in their checkout.\n"
    )
