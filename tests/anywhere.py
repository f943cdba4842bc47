"""Other processors give the same numbers to the last digit. Run by ``make anywhere``.

QEMU runs Python as on an Intel and on an AMD processor, instruction by instruction: a short fit of
every embedder, whose vectors must be this machine's, and lessons, whose outputs must be the stored
ones. Products take a hundred times as long there as here, convolutions thirty times.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

from embedlab.course.compare import NUMBER, PICTURE, differs, fields
from embedlab.course.stopping import pool
from embedlab.settings import use_reference_arithmetic

ROOT = Path(__file__).resolve().parents[1]
PROCESSORS = {"Intel Haswell": "Haswell-v4", "AMD Rome": "EPYC-Rome"}  # and QEMU's names of them
# What QEMU cannot do of them, said so that it does not warn; nothing that computes is in it.
LESS = ",-misalignsse,-topoext,-perfctr-core,-clzero,-xsavec,-xsaves"
LESSONS, MORE = ("00", "01"), ("02", "04", "05", "06")  # minutes each, and hours
IMAGES, EPOCHS = 100, 3
TEXTS = ["seven", "a small seven", "two eights above a nought", "football", "soccer"]
OTHERS = "; {other numbers} of {numbers} numbers, {other pictures} of {pictures} pictures differ"


def embedders() -> dict:
    """Every embedder of the course, unfitted, by name."""
    from embedlab import embedders as package
    from embedlab.embedders.catalogue import METHODS

    found = {
        name: method.build(0, 9).set_params(**how)
        for first, method in METHODS.items()
        for name, how in {first: {}, **method.also}.items()
    }
    kinds = {type(embedder) for embedder in found.values()}
    rest = [getattr(package, name) for name in package.__all__ if name != "Untrained"]
    return found | {kind.__name__: kind() for kind in rest if kind not in kinds}


def short_fits() -> Iterator[tuple[str, dict]]:
    """What operations, every embedder and the drawing give after a moment: (name, arrays)."""
    from embedlab.data.load import load_images
    from embedlab.data.scenes import load_scenes
    from embedlab.embedders.text import EmbedderOfTexts
    from embedlab.lessons.lesson_06b.drawing import Painter, Prior
    from embedlab.training.device import set_threads
    from embedlab.training.fingerprint import operations

    set_threads()
    yield "operations", operations()
    images = load_images("digits", limit=(IMAGES, IMAGES, IMAGES))
    scenes = load_scenes(images, n=(IMAGES, 0, 0, 0)).train
    for name, embedder in embedders().items():
        if "epochs" in embedder.get_params():
            embedder.set_params(epochs=EPOCHS)
        if isinstance(embedder, EmbedderOfTexts):
            yield name, {"texts": embedder.fit(TEXTS).transform(TEXTS)}
        elif embedder.supervision == "captions":
            embedder.fit(scenes.x, scenes.captions)
            x, said = embedder.embed_images(scenes.x), embedder.embed_text(scenes.captions)
            yield name, {"images": x, "texts": said}
        else:
            embedder.fit(images.train.x, images.train.y)
            yield name, {"images": embedder.transform(images.test.x[:30])}
    imagined = Prior(epochs=EPOCHS).fit(said, x).imagine(said[:2])
    yield "Prior", {"vectors": imagined}
    painter = Painter(epochs=EPOCHS).fit(x[:32], scenes.x[:32])  # three steps
    yield "Painter", {"drawings": painter.draw(imagined, steps=3)}


def tell() -> None:
    """Print the hashes of :func:`short_fits`, a line of JSON each: what runs on each processor."""
    use_reference_arithmetic()
    start = time.perf_counter()
    for name, parts in short_fits():
        hashes = {
            part: value if isinstance(value, str) else hashlib.sha256(value.tobytes()).hexdigest()
            for part, value in parts.items()
        }
        print(json.dumps([name, hashes, time.perf_counter() - start]), flush=True)
        start = time.perf_counter()


def emulator() -> str:
    """The QEMU that ``EMBEDLAB_QEMU`` names, or the one that ``tests/get-qemu`` brings."""
    get = ["bash", str(ROOT / "tests" / "get-qemu"), str(ROOT / "build" / "qemu")]
    if named := os.environ.get("EMBEDLAB_QEMU"):
        get = [named, "--version"]
    try:
        done = subprocess.run(get, capture_output=True, text=True)
    except OSError as error:
        raise OSError(f"{get[0]!r} is no program: set EMBEDLAB_QEMU to qemu-x86_64.") from error
    if done.returncode:
        raise OSError(done.stderr.strip())
    return os.path.abspath(named or done.stdout.strip())


def _environment() -> dict[str, str]:
    mine = ("EMBEDLAB_DATASET", "EMBEDLAB_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return {**kept, "EMBEDLAB_DEVICE": "cpu", "TQDM_DISABLE": "1"}


def told(python: list[str]) -> Iterator[tuple[str, dict[str, str], float]]:
    """What :func:`tell` prints where `python` is the command that runs Python, as it comes."""
    command = [*python, "-W", "ignore", "-m", "tests.anywhere"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=pipe, text=True) as process:
        yield from map(json.loads, process.stdout)
    if process.returncode:
        raise RuntimeError(f"Python ended with status {process.returncode}.")


def emulated(path: Path, model: str):
    """A lesson as run on a processor; from ``build/anywhere`` where it has been."""
    import nbformat
    from nbclient import NotebookClient

    notebook, start = nbformat.read(path, as_version=4), time.perf_counter()
    files = sorted([*(ROOT / "embedlab").rglob("*.py"), *(ROOT / "results").glob("*/*")])
    parts = [cell.source.encode() for cell in notebook.cells] + [f.read_bytes() for f in files]
    parts += sorted(f"{d.name} {d.version}".encode() for d in metadata.distributions())
    state = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    kept = ROOT / "build" / "anywhere" / state / model / path.name
    if kept.is_file():
        return nbformat.read(kept, as_version=4)
    patient = dict(timeout=None, startup_timeout=3600, iopub_timeout=3600, record_timing=False)
    where = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, kernel_name=model, resources=where, **patient)
    client.execute(env=_environment())
    notebook.metadata["seconds"] = time.perf_counter() - start
    kept.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, kept.with_suffix(".tmp"))
    return nbformat.read(kept.with_suffix(".tmp").replace(kept), as_version=4)


def _shown(outputs: list) -> tuple[list[str], list[str]]:
    """The numbers and the pictures of a cell; a table's are there twice, and count once."""
    texts = [text for kind, text in fields(outputs, False) if kind != "text/html"]
    whole = [content for kind, content in fields(outputs) if kind == "image/png"]
    inside = [picture for _, content in fields(outputs) for picture in PICTURE.findall(content)]
    return [n[0] for text in texts for n in NUMBER.finditer(text)], whole + inside


def compared(stored, new) -> tuple[list[str], Counter]:
    """The cells that differ; and how many numbers and pictures there are, and how many differ."""
    cells, counts = [], Counter()
    for old, now in zip(stored.cells, new.cells, strict=True):
        if old.cell_type != "code" or "nbval-ignore-output" in old.metadata.get("tags", []):
            continue
        if differs(old.outputs, now.outputs):
            cells.append(old.id)
        pairs = zip(("numbers", "pictures"), _shown(old.outputs), _shown(now.outputs), strict=True)
        for kind, a, b in pairs:
            counts[kind] += len(a)
            counts[f"other {kind}"] += sum(x != y for x, y in zip_longest(a, b))
    return cells, counts


def of_fits(python: list[str], here: dict[str, dict[str, str]]) -> Iterator[tuple]:
    """Each short fit: its name, seconds, what of it is not as `here`, and no counts."""
    for name, hashes, seconds in told(python):
        bad = [part for part, value in hashes.items() if value != here[name][part]]
        yield name, seconds, bad, Counter()


def of_lesson(path: Path, model: str) -> Iterator[tuple]:
    """One lesson: its name, seconds, the cells that are not as stored, and counts."""
    import nbformat

    new = emulated(path, model)
    yield path.stem, new.metadata["seconds"], *compared(nbformat.read(path, as_version=4), new)


def follow(processor: str, job: Iterator[tuple]) -> Counter:
    """Print a line for each thing compared on a processor, as it comes, and sum up."""
    total = Counter()
    try:
        for name, seconds, bad, counts in job:
            verdict = f"DIFFERS in {', '.join(bad)}" if bad else "same"
            verdict += OTHERS.format_map(counts) if counts else ""
            print(f"{processor:14} {name:26} {seconds / 60:5.1f} min  {verdict}", flush=True)
            total += counts + Counter({"not" if bad else "same": 1})
    except Exception as error:  # a cell that raises, a dead kernel: that job's failure alone
        print(f"{processor:14} FAILED: {str(error).strip().splitlines()[-1]}", flush=True)
        total["not"] += 1
    return total


def run_all(whole: bool = False) -> int:
    """Short fits and lessons on each processor; 0 if all is the same to the last digit."""
    qemu, start = emulator(), time.perf_counter()
    print("short fits on this machine", flush=True)
    here = {name: hashes for name, hashes, _ in told([sys.executable])}
    with tempfile.TemporaryDirectory() as folder, pool(2) as threads:
        os.environ["JUPYTER_PATH"] = folder
        jobs = []
        for processor, model in PROCESSORS.items():
            python = [qemu, "-cpu", model + LESS, sys.executable]
            words = ["-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
            spec = {"argv": python + words, "display_name": processor, "language": "python"}
            file = Path(folder, "kernels", model, "kernel.json")
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(spec))
            jobs.append((processor, of_fits(python, here)))
        for number in LESSONS + MORE * whole:
            (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
            for processor in list(PROCESSORS)[: 2 if number in LESSONS else 1]:
                jobs.append((processor, of_lesson(path, PROCESSORS[processor])))
        total = sum(threads.map(lambda job: follow(*job), jobs), Counter())
    minutes = (time.perf_counter() - start) / 60
    summary = "{same} the same to the last digit, {not} not" + OTHERS
    print(f"{summary.format_map(total)}; {minutes:.0f} min")
    return 1 if total["not"] else 0


if __name__ == "__main__":
    tell()
