"""How long `score` takes, and how much memory, on all of Fashion-MNIST with vectors of 84 numbers.

    python benchmarks/bench_score.py

Trains LeNet-5 for one epoch to have real vectors; neither that nor loading is counted as time, and
the images are counted as memory. Two runs of mAP, in blocks and by one whole matrix of ranks, show
what the blocks save.
"""

from __future__ import annotations

import resource
import sys
import time

from embedlab import load_images, score
from embedlab.embedders import LeNet5
from embedlab.measure.retrieval import mean_average_precision
from embedlab.training.device import set_threads


def peak() -> float:
    """Largest resident memory of this process so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main() -> None:
    set_threads()
    images = load_images("fashion-mnist")
    print(images)
    lenet = LeNet5(epochs=1, augment=False).fit(images.train.x, images.train.y)
    print(f"before scoring: peak memory {peak():.2f} GB")
    start = time.perf_counter()
    row = score(lenet, images)
    print(f"score: {time.perf_counter() - start:.1f} s, peak memory {peak():.2f} GB")
    print(f"linear {row.linear}  kNN {row.knn}  5-shot {row.five_shot}  mAP {row.map}")
    vectors = lenet.transform(images.test.x)
    for block, name in ((512, "in blocks of 512 queries"), (len(vectors), "as one matrix")):
        start = time.perf_counter()
        mean_average_precision(vectors, images.test.y, block)
        took = time.perf_counter() - start
        print(f"mAP {name}: {took:.1f} s, peak memory {peak():.2f} GB")


if __name__ == "__main__":
    main()
