"""Evidence: sweeps, ablations and seeds that take longer than a lesson should.

An :class:`Experiment` is a grid of conditions and seeds. :func:`run` trains them all, pools the
seeds, and writes ``results/<dataset>/<name>.json``; a lesson draws its curves from that file and
re-runs one point of it live.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
from scipy import stats

from embedlab.claims import Verdict, record
from embedlab.device import pick_budget, pick_device, set_threads
from embedlab.images import EMBEDDED, Images, load_images
from embedlab.intervals import Measure
from embedlab.scoreboard import RESULTS, Row, pooled_row, stored_rows

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
    found = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, Experiment):
                found[value.name] = value
    return found


def _job(name: str, condition: str, seed: int, images: Images) -> tuple[str, list[Row]]:
    set_threads()
    return condition, experiments()[name].run(condition, seed, images)


def run(
    name: str, dataset: str, jobs: int | None = None, only: Sequence[str] | None = None
) -> Path:
    """Run an experiment and write its results file, whole or not at all.

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
        For an unknown condition, or a stored file that the new rows do not go with.
    """
    from joblib import Parallel, cpu_count, delayed
    from tqdm import tqdm

    experiment = experiments()[name]
    device = pick_device()
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
        "device": device.type if device.type == "cpu" else _device_name(device),
        "machine": platform.machine(),
    }
    kept = _kept(path, setting, experiment) if only is not None else {"rows": [], "seconds": 0}
    jobs = jobs or (1 if device.type != "cpu" else cpu_count())
    grid = [(c, s) for c in conditions for s in experiment.seeds]
    start = time.perf_counter()
    pool = Parallel(n_jobs=jobs, return_as="generator", batch_size=1)
    done = pool(delayed(_job)(name, c, s, images) for c, s in grid)
    by_row: dict[str, list[Row]] = {}
    for _, rows in tqdm(done, total=len(grid), desc=f"{name} on {dataset}", unit="training"):
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
        "seconds": round(kept["seconds"] + time.perf_counter() - start, 1),
        "rows": list(rows.values()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(_one_row_a_line(content), encoding="utf-8")
    draft.replace(path)
    return path


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


def reproduces(live: Measure, stored: Measure, text: str) -> Verdict | None:
    """Whether the training of seed 0, run again, lands where the stored one did.

    On a CPU it may differ by the tolerance that the page's outputs are compared with. On a GPU the
    budget is another, so the prediction interval of one more seed counts there.

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
    n, centre, reach = len(seeds), stored.value + seeds[0], 0.02
    if n > 1 and pick_device().type != "cpu":
        spread = np.std(seeds, ddof=1) * np.sqrt(1 + 1 / n)
        centre, reach = stored.value, max(reach, float(stats.t.ppf(0.975, n - 1) * spread))
    low, high = centre - reach, centre + reach
    inside = "holds" if low <= live.value <= high else "fails"
    verdict = Verdict("live", text, live.value - centre, -reach, reach, 0.02, inside, "holds")
    record("claim", **vars(verdict))
    place = "inside" if inside == "holds" else "OUTSIDE"
    print(f"live {text}: {live.value:.3f}, {place} the stored [{low:.3f}, {high:.3f}]")
    return verdict


def missing_evidence() -> Iterable[tuple[str, str]]:
    """Experiments and data sets whose committed results file is absent."""
    for experiment in experiments().values():
        for dataset in experiment.datasets:
            if not (RESULTS / dataset / f"{experiment.name}.json").is_file():
                yield experiment.name, dataset
