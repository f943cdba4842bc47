"""Experiments: sweeps, ablations and seeds that take longer than a lesson should.

An :class:`Experiment` is a grid of conditions and seeds. :func:`run` trains them all, pools the
seeds, and writes ``results/<dataset>/<name>.json``; a lesson draws its curves from that file and
re-runs one point of it live. What a run has finished is kept (:mod:`embedlab.lessons.ledger`), so
one that was stopped, or killed, goes on from there.
"""

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from threading import Thread

import numpy as np
from scipy import stats

from embedlab.data.images import Images
from embedlab.data.load import EMBEDDED, load_images
from embedlab.embedders.base import Embedder
from embedlab.lessons import ledger, lesson_modules
from embedlab.measure.intervals import Measure
from embedlab.measure.scoreboard import Row, pooled_row, score, stored_rows
from embedlab.measure.verdicts import SHARES, Verdict, Verdicts
from embedlab.settings import RESULTS, results_name, write_whole
from embedlab.training.device import pick_budget, pick_device, set_threads
from embedlab.training.fingerprint import fingerprint

VERSIONED = ("embedlab", "torch", "scikit-learn", "numpy")
Condition = Callable[[int, Images], list[Row]]  # of a seed: the rows of one training


@dataclass(frozen=True)
class Experiment:
    """A grid of trainings: each condition with each seed gives its rows."""

    name: str
    about: str  # what it measures, in a line
    conditions: dict[str, Condition]
    datasets: tuple[str, ...] = ("digits",)  # whose results are committed
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    repeats: str = "seed"  # what the seeds are: a source of chance in the intervals
    # At most so many train, val and test images; else a downloaded set within the machine's budget.
    limit: tuple[int, int, int] | None = None


def scored(embedder: Embedder, images: Images, name: str) -> list[Row]:
    """The whole yardstick, as the one row of a condition."""
    return [score(embedder, images, name)]


def fitted(
    builders: dict[str, Callable[..., Embedder]],
    read: Callable[[Embedder, Images, str], list[Row]] = scored,
) -> dict[str, Condition]:
    """Conditions that fit ``builder(seed=seed)`` on the training images, and `read` their rows."""

    def condition(build, name, seed, images):
        embedder = build(seed=seed).fit(images.train.x, images.train.y)
        return read(embedder, images, name)

    return {name: partial(condition, build, name) for name, build in builders.items()}


def experiments() -> dict[str, Experiment]:
    """Every experiment of the course, by name."""
    from embedlab.lessons import methods  # which needs the class above

    return {
        value.name: value
        for module in (methods, *lesson_modules("experiments"))
        for value in vars(module).values()
        if isinstance(value, Experiment)
    }


def _job(
    name: str, condition: str, seed: int, images: Images, path: Path, code: str, parent: int
) -> tuple[tuple[str, int], str]:
    """Train once and keep the rows, here in the worker: whatever befalls the others."""
    set_threads()
    if os.getpid() != parent and sys.platform != "win32":
        _end_with(parent)
    if ledger.code() != code:  # joblib replaces a worker that has grown too large
        raise ValueError(f"embedlab's code was changed while {name!r} ran: run it again.")
    train = experiments()[name].conditions[condition]
    start = time.perf_counter()
    rows = train(seed, images)
    text = ledger.packed(rows, time.perf_counter() - start)
    write_whole(path, text)
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
    """Run an experiment and write its results file, whole or not at all; the file's path.

    At most `jobs` trainings at a time, one thread each; default one a core, one in all on a GPU.
    With `only`, the rows of the other conditions stay as they are stored. Trainings that are kept
    from a run that was stopped are not done again. They stay until :func:`ledger.forget`, which
    the command calls when all that it was asked for is done: one of several experiments that has
    its file already is then not done again either.
    """
    from joblib import cpu_count

    experiment, device = experiments()[name], pick_device()
    set_threads()  # the fingerprint is to be of the trainings' arithmetic
    conditions = _chosen(experiment, only)
    limit = experiment.limit or (None if dataset in EMBEDDED else pick_budget(device).limit)
    images = load_images(dataset, limit)
    setting = _setting(images, device)
    called, folder = results_name(dataset), "folder:" * dataset.startswith("folder:")
    path = RESULTS / called / f"{name}.json"
    stored = {"rows": [], "seconds": 0}
    if only is not None:
        stored = _stored(path, setting, len(experiment.seeds))
    grid = [(c, s) for c in conditions for s in experiment.seeds]
    places = ledger.places(name, dataset, grid, setting, images)
    jobs = jobs or (1 if device.type != "cpu" else cpu_count())
    texts = _trained(name, dataset, images, places, jobs)
    # All from their text, so that it makes no difference which were kept.
    rows, seconds = _pooled([ledger.unpacked(texts[at]) for at in grid], experiment.repeats)
    content = {
        "name": name,
        "about": experiment.about,
        "dataset": called,
        "command": f"embedlab evidence {name} --dataset {folder}{called}",
        **setting,
        "seconds": round(stored["seconds"] + seconds, 1),
        "rows": [
            {**row, "dataset": called if row["dataset"] == dataset else row["dataset"]}
            for row in ({row["name"]: row for row in stored["rows"]} | rows).values()
        ],
    }
    write_whole(path, _one_row_a_line(content))
    return path


def _chosen(experiment: Experiment, only: Sequence[str] | None) -> list[str]:
    """The conditions to run, each once."""
    chosen = list(dict.fromkeys(experiment.conditions if only is None else only))
    if not chosen:
        raise ValueError("only: name at least one condition.")
    unknown = sorted(set(chosen) - set(experiment.conditions))
    if unknown:
        known = ", ".join(experiment.conditions)
        raise ValueError(
            f"only={unknown[0]!r} is no condition of {experiment.name!r}: use {known}."
        )
    return chosen


def _setting(images: Images, device) -> dict:
    """What else the rows depend on, besides code and seed."""
    import torch

    return {
        "images": [len(images.train), len(images.val), len(images.test)],
        "versions": {package: metadata.version(package) for package in VERSIONED},
        "fingerprint": fingerprint(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "machine": platform.machine(),
    }


def _stored(path: Path, setting: dict, seeds: int) -> dict:
    """The content of a results file, if new rows go with those that are in it."""
    if not path.is_file():
        raise ValueError(f"only: there is no {path.name} yet to add rows to. Run every condition.")
    content = json.loads(path.read_text(encoding="utf-8"))
    other = [key for key, here in setting.items() if content.get(key) != here]
    other += ["seeds"] * any(row["seeds"] != seeds for row in content["rows"])
    if other:
        raise ValueError(
            f"only: {path.name} was measured with other {', '.join(other)}. Run every condition."
        )
    return content


def _pooled(
    trainings: Sequence[tuple[list[Row], float]], repeats: str
) -> tuple[dict[str, dict], float]:
    """The rows of one name pooled, as JSON can hold them; and the seconds of all trainings."""
    by_name: dict[str, list[Row]] = {}
    for rows, _ in trainings:
        for row in rows:
            by_name.setdefault(row.name, []).append(row)
    rows = {name: pooled_row(rows, repeats).to_dict() for name, rows in by_name.items()}
    return rows, sum(seconds for _, seconds in trainings)


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

    Raises
    ------
    FileNotFoundError
        Where nothing is stored for digits either.
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


def reproduces(live: Measure, stored: Measure, text: str) -> Verdict | Verdicts:
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
    Verdict or an empty list
        Shown as the last expression of a cell, or by ``display``; nothing, and a line that says
        so, where the two were measured on different sets.
    """
    if live.dataset != stored.dataset:
        print(f"live {text} is on {live.dataset}, the stored runs on {stored.dataset}")
        return Verdicts()
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
    words = f"live {text}: {live.value:.3f}, {inside if verdict == 'holds' else outside}"
    numbers = live.value - centre, -reach, reach, reach
    return Verdict("live", text, *numbers, verdict, "holds", words=words)
