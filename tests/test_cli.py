import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from typer.testing import CliRunner

from embedlab import cli
from embedlab.course.readme import with_scoreboard
from embedlab.data import download as sources

runner = CliRunner()
COMMANDS = (
    "start doctor course fetch embed similar evidence checkpoint scoreboard test lab refresh "
    "calibrate mutants anywhere"
).split()


def invoke(*words, **env):
    return runner.invoke(cli.app, list(words), env={"COLUMNS": "200", **env})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_listed_and_has_help(command):
    assert f" {command} " in invoke("--help").output
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 4


def test_doctor_says_what_is_missing_and_how_to_get_it(tmp_path):
    done = invoke("doctor", EMBEDLAB_DATA=str(tmp_path))
    assert done.exit_code == 0
    assert "fashion-mnist: MISSING, 31 MB: embedlab fetch fashion-mnist" in done.output
    assert "digits: embedded" in done.output
    assert "weights of EfficientNet-Lite0: present" in done.output
    assert "weights of MiniLM: present" in done.output
    assert "device" in done.output
    assert str(tmp_path) in done.output


def test_fetch_offline_is_one_clear_sentence(tmp_path):
    done = invoke("fetch", "fashion-mnist", EMBEDLAB_DATA=str(tmp_path), EMBEDLAB_OFFLINE="1")
    assert done.exit_code == 2
    for word in ("'fashion-mnist'", str(tmp_path), "embedlab fetch fashion-mnist", "EMBEDLAB_DATA"):
        assert word in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fetch", "mnist"), "no such set: mnist"),
        (("evidence", "nothing"), "no such experiment: nothing"),
        (("evidence", "--only", "SimCLR"), "--only needs the name of one experiment"),
        (("evidence", "scoreboard", "--only", "SimKLR"), "only='SimKLR' is no condition"),
        (("course", "--only", "99"), "only='99'"),
        (("scoreboard", "--dataset", "nothing"), "no stored scoreboard for 'nothing'"),
    ],
)
def test_wrong_words_are_named(words, said):
    done = invoke(*words)
    assert done.exit_code == 2
    assert said in done.output


def test_scoreboard():
    assert "kernel LDA" in invoke("scoreboard").output
    assert "| kernel LDA | labels | 9 |" in invoke("scoreboard", "--markdown").output


def test_readme_shows_the_stored_scoreboard():
    """`embedlab scoreboard --readme` has nothing to change."""
    text = (sources.ROOT / "README.md").read_text(encoding="utf-8")
    assert with_scoreboard(text) == text
    with pytest.raises(ValueError, match="README"):
        with_scoreboard("no marks")


def test_test_runs_every_step_on_the_cpu_and_stops_at_the_first_failure(tmp_path, monkeypatch):
    """Kernels start in notebooks/, where a relative data folder would mean another place."""
    seen = []

    class Step:
        def __init__(self, command, cwd, env, start_new_session):
            seen.append((command[2], env))

        def wait(self):
            return 3 if seen[-1][0] == "nbstripout" else 0

    monkeypatch.setattr(cli.subprocess, "Popen", Step)
    monkeypatch.chdir(tmp_path)
    done = invoke("test", EMBEDLAB_DATASET="faces", EMBEDLAB_DATA="stick")
    assert done.exit_code == 3
    assert [name for name, _ in seen] == ["ruff", "ruff", "nbstripout"]
    assert all(env["EMBEDLAB_DEVICE"] == "cpu" for _, env in seen)
    assert all("EMBEDLAB_DATASET" not in env for _, env in seen)
    assert all(env["EMBEDLAB_DATA"] == str(tmp_path / "stick") for _, env in seen)


def test_lab_opens_the_first_lesson_without_the_news(monkeypatch):
    seen = {}

    def run(command, cwd, env):
        seen.update(command=command, env=env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(cli.subprocess, "run", run)
    assert invoke("lab", "--no-browser").exit_code == 0
    assert seen["command"][-2] == "notebooks/00_start_here.ipynb"
    assert seen["command"][-1] == "--no-browser"
    folder = seen["env"]["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]
    config = Path(folder, "labconfig", "page_config.json").read_text()
    assert "apputils-extension:announcements" in config


# The command line in another folder. Where pytest runs in the background, SIGINT is ignored.
STOPPABLE = """
import signal, sys
from pathlib import Path
from embedlab import cli
from embedlab.course import run as course
signal.signal(signal.SIGINT, signal.default_int_handler)
cli.ROOT = course.HOME = Path(sys.argv[1])
course.NOTEBOOKS = course.HOME / "notebooks"
cli.app(sys.argv[2:])
"""
SLOW = """import os
import time
from pathlib import Path

Path(os.environ["STARTED"]).touch()
time.sleep(100)"""


def processes(root):
    """All that were started for the course in `root`, by their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("STARTED") == f"{root / 'started'}":
                found.append(process)
    return found


@pytest.mark.skipif(os.name == "nt", reason="there are no process groups")
@pytest.mark.parametrize(
    ("words", "when", "number", "said"),
    [
        ("course --jobs 1", "running", signal.SIGINT, "Stopped: 1 of 3 lessons had run; their"),
        ("course --only 01", "starting", signal.SIGTERM, "Stopped: 0 of 1 lesson had run."),
        ("test --nbval -n 1", "running", signal.SIGINT, "Stopped in step pytest."),
    ],
)
def test_a_signal_ends_everything_within_three_seconds(tmp_path, words, when, number, said):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "glossary.md").write_text("# Glossary\n")
    for name, source in (("00_quick", "1"), ("01_slow", SLOW), ("02_never", SLOW)):
        cells = [nbformat.v4.new_code_cell(source)] * (name != "02_never" or "course" in words)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), notebooks / f"{name}.ipynb")
    started = tmp_path / "started"
    child = subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, str(tmp_path), *words.split()],
        env={**os.environ, "STARTED": str(started)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not (started.exists() if when == "running" else processes(tmp_path)[1:]):
            assert child.poll() is None
            time.sleep(0.05)
        start = time.monotonic()
        os.killpg(child.pid, number)
        out = child.communicate(timeout=60)[0]
        seconds = time.monotonic() - start
    finally:
        left = processes(tmp_path)
        for process in left:
            process.kill()
    assert child.returncode == 130
    assert said in out
    assert seconds < 3
    assert not left
