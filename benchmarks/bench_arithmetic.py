"""What the reference arithmetic costs: CPU seconds of a fit, with the book's kernels and its own.

python benchmarks/bench_arithmetic.py
"""

import os
import subprocess
import sys

FIT = """
import time
from embedlab.settings import use_reference_arithmetic
use_reference_arithmetic()
from embedlab import load_images
from embedlab.training.device import set_threads
from embedlab.embedders import Autoencoder, CLIP, KernelLDA, LeNet5, MAE, SimCLR, ViT
from embedlab.data.scenes import load_scenes
set_threads()
images = load_images("digits")
scenes = load_scenes(images).train[:2000]
LeNet5(epochs=1).fit(images.train.x, images.train.y)
for embedder in (
    LeNet5(epochs=6), Autoencoder(epochs=8), SimCLR(epochs=4), ViT(epochs=4), MAE(epochs=8),
    CLIP(epochs=2), KernelLDA()
):
    data = (images.train.x, images.train.y)
    if isinstance(embedder, CLIP):
        data = (scenes.x, scenes.captions)
    start = time.process_time()
    embedder.fit(*data)
    print(type(embedder).__name__, time.process_time() - start)
"""


def seconds(arithmetic: str) -> dict[str, float]:
    """CPU seconds of each fit."""
    environment = {**os.environ, "EMBEDLAB_ARITHMETIC": arithmetic, "EMBEDLAB_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FIT], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}


if __name__ == "__main__":
    rounds = [(seconds("reference"), seconds("native")) for _ in range(2)]
    for name in rounds[0][0]:
        book, own = (min(r[i][name] for r in rounds) for i in (0, 1))
        print(f"{name:12} book {book:6.2f} s   native {own:6.2f} s   {book / own:.2f}x")
