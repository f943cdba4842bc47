"""How far honest runs of the lessons lie apart on other machines: measured, not chosen.

Another kind of machine rounds otherwise, and training makes much of little. So each lesson is run
again under perturbations as small as that, and each cell's limit is three times the largest
deviation that it showed. It is how climate models are tested: Baker et al. (2015),
https://doi.org/10.5194/gmd-8-2829-2015
"""

import hashlib
import json
import os
from collections.abc import Iterable
from math import inf
from pathlib import Path

import nbformat

from embedlab.course.compare import deviation
from embedlab.course.stopping import pool
from embedlab.settings import REFERENCE, ROOT, write_whole

PATH = ROOT / "results" / "spread.json"
NATIVE = dict.fromkeys(REFERENCE, "") | {"EMBEDLAB_ARITHMETIC": "native"}
NUDGE = """\
import embedlab.lessons.experiments, embedlab.training.loop, torch
# No training is to equal its stored one.
embedlab.lessons.experiments.fingerprint = lambda: "nudged"
def _nudged(network, device, fast, move=embedlab.training.loop.to_device):
    generator = torch.Generator().manual_seed({seed})
    for weights in network.parameters():
        weights.data *= 1 + 1e-6 * torch.randn(weights.shape, generator=generator)
    return move(network, device, fast)
embedlab.training.loop.to_device = _nudged"""

IGNORED = {f"EMBEDLAB_{name}" for name in ("DATASET", "THREADS", "ARITHMETIC")}

# What a run is perturbed by: environment variables, and a seed of noise on each network's first
# weights. The limits come from the first; the second, which they have not seen, check them.
CALIBRATION = {
    "weights 1": ({}, 1),
    "weights 2": ({}, 2),
    "weights 3": ({}, 3),
    "native kernels": (NATIVE, None),
    "plain kernels of torch": ({"ATEN_CPU_CAPABILITY": "default"}, None),
    "SSE convolutions": ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, None),
}
CHECK = {
    **{f"weights {seed}": ({}, seed) for seed in (4, 5, 6, 7, 8)},
    "native kernels, weights 9": (NATIVE, 9),
    "native kernels, two threads": ({**NATIVE, "EMBEDLAB_THREADS": "2"}, None),
    "only MKL native": ({"MKL_CBWR": "AUTO"}, None),
    "OpenBLAS for SSE": ({"OPENBLAS_CORETYPE": "Nehalem"}, None),
    "AVX convolutions, plain torch": (
        {"ONEDNN_MAX_CPU_ISA": "AVX", "ATEN_CPU_CAPABILITY": "default"},
        None,
    ),
}


def limits() -> dict[str, dict[str, float]]:
    """The stored limits: for each notebook, those of its cells that deviated at all."""
    return json.loads(PATH.read_text(encoding="utf-8"))["limits"] if PATH.is_file() else {}


def perturbed(path: Path, name: str, variables: dict, seed: int | None) -> nbformat.NotebookNode:
    """A lesson run under one perturbation; taken from ``build/calibrate`` where it has been."""
    from embedlab.course.run import _client
    from embedlab.lessons.ledger import code, packages

    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    stored = [file.read_bytes() for file in sorted((ROOT / "results").glob("*/*"))]
    state = hashlib.sha256(repr((cells, code(), packages(), stored)).encode()).hexdigest()[:12]
    kept = ROOT / "build" / "calibrate" / state / name.replace(" ", "-") / path.name
    if kept.is_file():
        return nbformat.read(kept, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    if seed is not None:
        setup = next(i for i, c in enumerate(notebook.cells) if "embedlab.begin(" in c.source)
        notebook.cells[setup].source += "\n" + NUDGE.format(seed=seed)
    mine = {k: v for k, v in os.environ.items() if k not in IGNORED}
    environment = {**mine, **REFERENCE, "EMBEDLAB_DEVICE": "cpu", "TQDM_DISABLE": "1", **variables}
    _client(notebook, path).execute(env={k: v for k, v in environment.items() if v})
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, nbformat.writes(notebook))
    return notebook


def deviations(path: Path, new: nbformat.NotebookNode, limit: dict[str, float]) -> dict[str, float]:
    """By cell id, how far outputs lie from the stored ones where that is beyond its limit."""
    cells = zip(nbformat.read(path, as_version=4).cells, new.cells, strict=True)
    found = {
        old.id: deviation(old.outputs, now.outputs, limit.get(old.id, 0.0))
        for old, now in cells
        if old.cell_type == "code" and "nbval-ignore-output" not in old.metadata.get("tags", [])
    }
    return {cell: value for cell, value in found.items() if value}


def calibrate(paths: Iterable[Path], check: bool = False, jobs: int | None = None) -> list[str]:
    """Run lessons under each perturbation; write their limits, or `check` the stored on others.

    A line for each cell that no limit can help, because a word, a whole number or an order changed;
    with `check`, which writes nothing, for each that was outside its limit.
    """
    from joblib import cpu_count
    from tqdm import tqdm

    settings = CHECK if check else CALIBRATION
    grid = [(path, name, *setting) for path in paths for name, setting in settings.items()]
    known = limits()
    worst: dict[str, dict[str, float]] = {path.stem: {} for path, *_ in grid}
    bad = []
    with pool(jobs or cpu_count()) as threads:
        runs = threads.map(lambda job: perturbed(*job), grid)
        for (path, name, *_), new in tqdm(zip(grid, runs, strict=True), total=len(grid)):
            limit = known.get(path.stem, {}) if check else {}
            for cell, value in deviations(path, new, limit).items():
                if check or value == inf:
                    how = "words, counts or order" if value == inf else f"by {value:.3g}"
                    bad.append(f"{path.stem} {cell}: {how}, under {name}")
                else:
                    worst[path.stem][cell] = max(value, worst[path.stem].get(cell, 0.0))
    if not check:
        new = {
            stem: {cell: float(f"{3 * value:.3g}") for cell, value in sorted(cells.items())}
            for stem, cells in worst.items()
        }
        # Read again: another lesson may have been calibrated in the meantime.
        content = {
            "perturbations": list(settings),
            "limits": dict(sorted((limits() | new).items())),
        }
        write_whole(PATH, json.dumps(content, indent=1) + "\n")
    return bad
