"""Everything that a variable named ``EMBEDLAB_...`` sets, the folders, the reference arithmetic.

What came with the package is read from its checkout or, where it was installed from a wheel, from
``embedlab/book``, which setup.py puts there. What it writes (downloads, ``build/``, new results)
goes to the folder that ``embedlab start`` made, where the current folder is in one; else to the
checkout; else to the current folder.

The reference arithmetic are five variables that make NumPy and torch use the same code on any PC.
They only count where they are set before NumPy and torch are loaded, so this module loads neither.
"""

import ctypes
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = None if (PACKAGE / "book").is_dir() else PACKAGE.parent
ROOT = CHECKOUT or PACKAGE / "book"  # what came with the package: only read
RECEIPT = ".embedlab.json"  # in a folder that `embedlab start` made: what it has laid there


def _started(here: Path) -> Path | None:
    """The folder that ``embedlab start`` made, where `here` is that or is in it."""
    for folder in (here, *here.parents):
        if folder == CHECKOUT:
            return None
        if os.path.isfile(folder / RECEIPT):
            return folder
    return None


STARTED = _started(Path.cwd())
HOME = STARTED or CHECKOUT or Path.cwd()  # where things are written
NOTEBOOKS = STARTED or ROOT / "notebooks"
RESULTS = HOME / "results"


def results_name(dataset: str) -> str:
    """A set's name in results: of ``folder:PATH`` its last part, as the rest is this machine's."""
    return Path(dataset.removeprefix("folder:")).name


def stored_results(dataset: str, name: str) -> Path:
    """The results of an experiment: those that were measured here, or else the book's."""
    file = Path(results_name(dataset), f"{name}.json")
    return RESULTS / file if (RESULTS / file).is_file() else ROOT / "results" / file


def write_whole(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, whenever the process is killed or the power goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")  # two processes may write the same
    try:
        with draft.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # or its new name might reach the disk before its content
        return draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def data_home() -> Path:
    """Folder of the downloaded data: ``EMBEDLAB_DATA``, or ``data/`` where things are written."""
    return Path(os.environ.get("EMBEDLAB_DATA") or HOME / "data").expanduser().resolve()


def make_folders_absolute() -> None:
    """Let a relative folder mean the same in kernels, which start where the lessons are."""
    for name in ("EMBEDLAB_DATA", "TORCH_HOME", "HF_HOME"):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())


def offline() -> bool:
    """Whether ``EMBEDLAB_OFFLINE`` forbids any attempt to download."""
    return os.environ.get("EMBEDLAB_OFFLINE", "") not in ("", "0")


def wanted_device() -> str:
    """``EMBEDLAB_DEVICE``, such as ``"cpu"`` or ``"cuda:1"``; empty where the machine decides."""
    return os.environ.get("EMBEDLAB_DEVICE", "")


def wanted_threads() -> int:
    """``EMBEDLAB_THREADS``, one where that is not set."""
    wanted = os.environ.get("EMBEDLAB_THREADS") or "1"
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ValueError(f"EMBEDLAB_THREADS={wanted!r} must be a whole number of at least 1.")
    return int(wanted)


def wanted_dataset() -> str:
    """``EMBEDLAB_DATASET``, the image set that takes the place of each lesson's own; or empty."""
    return os.environ.get("EMBEDLAB_DATASET", "")


# Kernels for AVX2, which nearly every x86-64 PC since 2013 has. Left alone, each library picks
# others on each processor, which add the same numbers in another order.
REFERENCE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",  # with AVX2, MKL still takes other paths on Intel and on AMD
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


def use_reference_arithmetic() -> bool:
    """Set the five variables, for this process and those that it starts; whether that was done.

    A variable that the user has set stays. Nothing is done with ``EMBEDLAB_ARITHMETIC=native``,
    where ``EMBEDLAB_DEVICE`` names a GPU, on a processor without AVX2 (OpenBLAS would crash there),
    or where NumPy or torch is loaded, because it would come too late. ValueError for another
    arithmetic.
    """
    wanted = os.environ.get("EMBEDLAB_ARITHMETIC") or "reference"
    if wanted not in ("reference", "native"):
        raise ValueError(f"EMBEDLAB_ARITHMETIC={wanted!r} must be 'reference' or 'native'.")
    possible = (
        wanted == "reference"
        and (wanted_device() or "cpu").startswith("cpu")
        and not {"numpy", "torch"} & set(sys.modules)
        and _has_avx2()
    )
    if possible:
        for name, value in REFERENCE.items():
            if name != "NPY_DISABLE_CPU_FEATURES" or "NPY_ENABLE_CPU_FEATURES" not in os.environ:
                os.environ.setdefault(name, value)  # NumPy refuses both
    return possible


def _has_avx2() -> bool:
    """Whether this is an x86-64 processor with AVX2; False where there is no telling."""
    if sys.platform == "win32":
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(40))
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
