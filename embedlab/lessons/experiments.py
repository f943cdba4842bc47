"""Evidence: sweeps, ablations and seeds that take longer than a lesson should.

An :class:`Experiment` is a grid of conditions and seeds. :func:`run` trains them all, pools the
seeds, and writes ``results/<dataset>/<name>.json``; a lesson draws its curves from that file and
re-runs one point of it live. What a run has finished is kept (:mod:`embedlab.lessons.ledger`), so
one that was stopped, or killed, goes on from there.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import Thread

import numpy as np
from scipy import stats

from embedlab.data.images import Images
from embedlab.data.load import EMBEDDED, load_images
from embedlab.lessons import ledger
from embedlab.lessons.__init__ import lesson_modules
from embedlab.measure.intervals import Measure
from embedlab.measure.record import record
from embedlab.measure.scoreboard import Row, pooled_row, stored_rows
from embedlab.measure.verdicts import SHARES, Verdict
from embedlab.settings import RESULTS
from embedlab.training.device import pick_budget, pick_device, set_threads
from embedlab.training.fingerprint import fingerprint

VERSIONED = ("embedlab", "torch", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Experiment:
    """A grid of trainings.

    Attributes
    ----------
    name : str
    about : str
        What it measures, in a line.
    conditions : tuple of str
    run : callable
        ``run(condition, seed, images)`` gives the rows of one training.
    datasets : tuple of str
        Sets whose results are committed.
    seeds : tuple of int
    repeats : str
        What the seeds are: a source of chance in the intervals.
    limit : (int, int, int), optional
        At most so many train, val and test images. Default: a downloaded set within the machine's
        budget, an embedded one whole.
    """

    name: str
    about: str
    conditions: tuple[str, ...]
    run: Callable[[str, int, Images], list[Row]]
    datasets: tuple[str, ...] = ("digits",)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    repeats: str = "seed"
    limit: tuple[int, int, int] | None = None


def experiments() -> dict[str, Experiment]:
    """Every experiment of the course, by name."""
    from embedlab.lessons import methods  # which needs the class above

    found = {}
    for module in (methods, *lesson_modules("experiments")):
        for value in vars(module).values():
            if isinstance(value, Experiment):
                found[value.name] = value
    return found


def _job(
    name: str, condition: str, seed: int, images: Images, path: Path, code: str, parent: int
) -> tuple[tuple[str, int], str]:
    """Train once and keep the rows, here in the worker: whatever befalls the others."""
    set_threads()
    if os.getpid() != parent and sys.platform != "win32":
        _end_with(parent)
    if ledger.code() != code:  # joblib replaces a worker that has grown too large
        raise ValueError(f"embedlab's code was changed while {name!r} ran: run it again.")
    experiment = experiments()[name]
    start = time.perf_counter()
    rows = experiment.run(condition, seed, images)
    text = ledger.packed(rows, time.perf_counter() - start)
    ledger.write_whole(path, text, path.with_suffix(f".{os.getpid()}.tmp"))
    return (condition, seed), text


@cache
def _end_with(parent: int) -> None:
    """End this worker when its parent is gone: it would train on, for nobody."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nor begin the next when Ctrl-C ended this one

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def run(
    name: str, dataset: str, jobs: int | None = None, only: Sequence[str] | None = None
) -> Path:
    """Run an experiment and write its results file, whole or not at all.

    Trainings that are kept from a run that was stopped are not done again. They stay until
    :func:`embedlab.lessons.ledger.forget`, which the command calls when all that it was asked for
    is done: one of several experiments that has its file already is then not done again either.
    The file's ``seconds`` are those of its trainings added up, as if one followed another; so they
    depend neither on where a run was stopped nor on `jobs`.

    Parameters
    ----------
    name : str
        Of an experiment.
    dataset : str
        Any name that :func:`embedlab.load_images` takes.
    jobs : int, optional
        Trainings at a time, one thread each. Default: one a core; one in all on a GPU.
    only : sequence of str, optional
        Conditions to run; the rows of the others stay as they are stored, which needs a file that
        was measured on as many images, with the same versions and seeds, on such a device.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        For an unknown condition, a stored file that the new rows do not go with, or code that was
        edited under the run.
    KeyboardInterrupt
        On Ctrl-C, with a sentence that says how much is kept.
    """
    from joblib import cpu_count

    experiment = experiments()[name]
    device = pick_device()
    set_threads()  # the fingerprint is to be of the trainings' arithmetic
    limit = experiment.limit or (None if dataset in EMBEDDED else pick_budget(device).limit)
    conditions = list(dict.fromkeys(experiment.conditions if only is None else only))
    if not conditions:
        raise ValueError("only: name at least one condition.")
    unknown = sorted(set(conditions) - set(experiment.conditions))
    if unknown:
        known = ", ".join(experiment.conditions)
        raise ValueError(f"only={unknown[0]!r} is no condition of {name!r}: use {known}.")
    images = load_images(dataset, limit)
    path = RESULTS / dataset / f"{name}.json"
    setting = {
        "images": [len(images.train), len(images.val), len(images.test)],
        "versions": {package: metadata.version(package) for package in VERSIONED},
        "fingerprint": fingerprint(),
        "device": device.type if device.type == "cpu" else _device_name(device),
        "machine": platform.machine(),
    }
    kept = _kept(path, setting, experiment) if only is not None else {"rows": [], "seconds": 0}
    jobs = jobs or (1 if device.type != "cpu" else cpu_count())
    grid = [(c, s) for c in conditions for s in experiment.seeds]
    places = ledger.places(name, dataset, grid, setting, images)
    texts = _trained(name, dataset, images, places, jobs)
    seconds: float = kept["seconds"]
    by_row: dict[str, list[Row]] = {}
    for at in grid:  # all from their text, so that it makes no difference which were kept
        rows, took = ledger.unpacked(texts[at])
        seconds += took
        for row in rows:
            by_row.setdefault(row.name, []).append(row)
    new = {n: pooled_row(rows, experiment.repeats).to_dict() for n, rows in by_row.items()}
    rows = {**{row["name"]: row for row in kept["rows"]}, **new}
    content = {
        "name": name,
        "about": experiment.about,
        "dataset": dataset,
        "command": f"embedlab evidence {name} --dataset {dataset}",
        **setting,
        "seconds": round(seconds, 1),
        "rows": list(rows.values()),
    }
    ledger.write_whole(path, _one_row_a_line(content), path.with_suffix(".tmp"))
    return path


def _trained(
    name: str, dataset: str, images: Images, places: dict[tuple[str, int], Path], jobs: int
) -> dict[tuple[str, int], str]:
    """What is kept of each training in `places`, once those that are missing are done too."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    texts = {at: place.read_text("utf-8") for at, place in places.items() if place.is_file()}
    if texts:
        print(f"{len(texts)} of {len(places)} trainings were already there", file=sys.stderr)
    todo = [
        delayed(_job)(name, *at, images, place, ledger.code(), os.getpid())
        for at, place in places.items()
        if at not in texts
    ]
    pool = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    bar = {"total": len(places), "initial": len(texts), "unit": "training"}
    try:
        for at, text in tqdm(pool(todo), desc=f"{name} on {dataset}", **bar):
            texts[at] = text
    except KeyboardInterrupt:
        there = sum(place.is_file() for place in places.values())
        raise KeyboardInterrupt(
            f"Stopped: {there} of {len(places)} trainings are kept; "
            "the same command goes on from there."
        ) from None
    return texts


def _kept(path: Path, setting: dict, experiment: Experiment) -> dict:
    """The stored content of a results file, if it was measured in this setting."""
    if not path.is_file():
        raise ValueError(f"only: there is no {path.name} yet to add rows to. Run every condition.")
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, here in setting.items():
        if content.get(key) != here:
            raise ValueError(
                f"only: {path.name} was measured with {key} {content.get(key)}, here it is {here}. "
                "Run every condition."
            )
    if {row["seeds"] for row in content["rows"]} != {len(experiment.seeds)}:
        raise ValueError(f"only: {path.name} has rows of other seeds. Run every condition.")
    return content


def _device_name(device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _one_row_a_line(content: dict) -> str:
    """JSON in which a changed row is one changed line."""
    rows = ",\n  ".join(json.dumps(row, default=float) for row in content["rows"])
    head = json.dumps({**content, "rows": []}, indent=1)
    return head.replace('"rows": []', f'"rows": [\n  {rows}\n ]') + "\n"


def evidence(name: str, dataset: str = "digits") -> dict[str, Row]:
    """The stored rows of an experiment, by name.

    Parameters
    ----------
    name : str
    dataset : str
        Where nothing is stored for it, the rows of digits are shown, and that is said.

    Returns
    -------
    dict of str to Row
    """
    rows = stored_rows(dataset, name)
    if not rows and dataset != "digits":
        print(
            f"No stored evidence {name!r} on {dataset}: what follows was measured on digits. "
            f"`embedlab evidence {name} --dataset {dataset}` makes it."
        )
        rows = stored_rows("digits", name)
    if not rows:
        raise FileNotFoundError(
            f"{RESULTS / 'digits' / name}.json is missing: run `embedlab evidence {name}`."
        )
    return rows


# Live re-runs of stored trainings in all lessons: one false alarm in twenty courses, not in twenty
# re-runs. A test counts them.
LIVE = 27


def reproduces(live: Measure, stored: Measure, text: str) -> Verdict | None:
    """Whether the training of seed 0, run again, gives what the stored one gave.

    Where the stored was measured with this machine's arithmetic, it must be the same number.
    Elsewhere it must lie in the prediction interval of one more seed, or within one test image, at
    a rate of false alarms of 5% for all the lessons together.

    Parameters
    ----------
    live : Measure
        Of one training.
    stored : Measure
        Pooled over seeds.
    text : str
        What was run again.

    Returns
    -------
    Verdict or None
        None, and a line that says so, where the two were measured on different sets.
    """
    if live.dataset != stored.dataset:
        print(f"live {text} is on {live.dataset}, the stored runs on {stored.dataset}")
        return None
    seeds = stored.effects.get("seed", np.zeros(1))
    n = len(seeds)
    image = 1 / len(live.effects["image"]) if "image" in live.effects else 0.0
    t = stats.t.ppf(1 - 0.025 / LIVE, n - 1) if n > 1 else 0.0
    spread = np.std(seeds, ddof=min(1, n - 1)) * np.sqrt(1 + 1 / n)
    centre, reach = stored.value, max(t * spread, image)
    low, high = centre - reach, centre + reach
    if live.name in SHARES:
        low, high = max(low, 0.0), min(high, 1.0)
    where = f"[{low:.3f}, {high:.3f}], where one more seed should be"
    inside, outside = f"inside {where}", f"OUTSIDE {where}"
    if pick_device().type == "cpu" and stored.fingerprint == fingerprint():
        # The same line where all is well, or pages would read otherwise on other machines.
        centre, reach = stored.value + seeds[0], 1e-4  # what the file's four decimals keep
        outside = f"NOT EQUAL to the stored {centre:.3f}"
    verdict = "holds" if abs(live.value - centre) <= reach else "fails"
    print(f"live {text}: {live.value:.3f}, {inside if verdict == 'holds' else outside}")
    found = Verdict("live", text, live.value - centre, -reach, reach, reach, verdict, "holds")
    record("claim", **vars(found))
    return found


def missing_evidence() -> Iterable[tuple[str, str]]:
    """Experiments and data sets whose committed results file is absent."""
    for experiment in experiments().values():
        for dataset in experiment.datasets:
            if not (RESULTS / dataset / f"{experiment.name}.json").is_file():
                yield experiment.name, dataset
