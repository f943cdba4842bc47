"""Everything that a variable named ``EMBEDLAB_...`` sets, the folders, the reference arithmetic.

The reference arithmetic are five variables that make NumPy and torch use the same code on any PC.
They only count where they are set before NumPy and torch are loaded, so this module loads neither.
"""

import ctypes
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"


def data_home() -> Path:
    """Folder of the downloaded data: ``EMBEDLAB_DATA``, or the course's own ``data/``."""
    return Path(os.environ.get("EMBEDLAB_DATA") or ROOT / "data").expanduser().resolve()


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


def record_file() -> str:
    """``EMBEDLAB_RECORD``, the file that a run writes what it found to; or empty."""
    return os.environ.get("EMBEDLAB_RECORD", "")


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
    """Set the five variables, for this process and those that it starts.

    A variable that the user has set stays. Nothing is done with ``EMBEDLAB_ARITHMETIC=native``,
    where ``EMBEDLAB_DEVICE`` names a GPU, on a processor without AVX2 (OpenBLAS would crash there),
    or where NumPy or torch is loaded, because it would come too late.

    Returns
    -------
    bool
        Whether they were set.

    Raises
    ------
    ValueError
        Where ``EMBEDLAB_ARITHMETIC`` is neither ``reference`` nor ``native``.
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
