"""What is installed, what this machine has, and which command gets what is missing."""

import os
import platform
from importlib import metadata

from joblib import cpu_count

from embedlab.data.download import manifest, missing
from embedlab.data.load import EMBEDDED
from embedlab.data.weights import efficientnet_lite0, minilm_folder
from embedlab.settings import CHECKOUT, HOME, REFERENCE, data_home, offline, wanted_threads
from embedlab.training.device import pick_budget, pick_device, set_threads
from embedlab.training.fingerprint import differing, fingerprint, software, stored, write

PACKAGES = "embedlab torch torchvision transformers timm scikit-learn numpy jupyterlab nbval"


def adopt() -> None:
    """Make this machine's arithmetic the book's; ``ValueError`` where it is not the reference."""
    if any(os.environ.get(k) != v for k, v in REFERENCE.items()) or wanted_threads() != 1:
        raise ValueError("--adopt needs the reference arithmetic and one thread.")
    set_threads()
    write()


def report() -> None:
    """Print it all, a line each."""
    print(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in PACKAGES.split():
        try:
            print(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            wanted = "-r requirements.txt" if CHECKOUT else "embedlab"
            print(f"{package} MISSING: pip install {wanted}")
    device = pick_device()
    print(f"\ndevice {device}: {pick_budget(device).name} budget")
    print(f"cores {cpu_count()}, threads a lesson {wanted_threads()}")
    set_threads()
    print(f"arithmetic {fingerprint()}: {'not ' if differing() else ''}the book's")
    book = stored()["software"]
    others = [f"{k} {v}, the book's is {book[k]}" for k, v in software().items() if v != book[k]]
    why = f"differs in {', '.join(differing())}" if differing() else "the same in every operation"
    print("  " + "; ".join([why, *others]))
    print(f"\ncourse folder {HOME}\ndata folder {data_home()}{' (offline)' if offline() else ''}")
    for name in EMBEDDED:
        print(f"  {name}: embedded, always there")
    for name in manifest():
        size = sum(entry["bytes"] for entry in missing(name)) / 1e6
        absent = f"MISSING, {size:.0f} MB: embedlab fetch {name}"
        print(f"  {name}: {absent if size else 'present'}")
    for name, find in (("EfficientNet-Lite0", efficientnet_lite0), ("MiniLM", minilm_folder)):
        try:
            find()
            print(f"  weights of {name}: present")
        except OSError as error:
            print(f"  weights of {name}: MISSING. {error}")
