"""One LeNet-5 fit alone, and beside another: on torch's threads, waiting by spinning or asleep.

    python benchmarks/bench_threads.py

On two cores, or pinned to two: ``taskset -c 0,1 python benchmarks/bench_threads.py``.
"""

import os
import subprocess
import sys
import time

FIT = """
import sys, time
from embedlab import load_images
from embedlab.embedders import LeNet5
import embedlab.training.device, torch
if sys.argv[1] == "torch":
    embedlab.training.device.wanted_threads = torch.get_num_threads
images = load_images("digits")
LeNet5(epochs=1).fit(images.train.x, images.train.y)
print("ready", flush=True)
input()
while True:
    start = time.perf_counter()
    LeNet5(epochs=5).fit(images.train.x, images.train.y)
    print(time.perf_counter() - start, flush=True)
"""
WAYS = {
    "torch's threads, spinning": ("torch", {}),
    "torch's threads, asleep (OMP_WAIT_POLICY=PASSIVE)": ("torch", {"OMP_WAIT_POLICY": "PASSIVE"}),
    "the course's one thread": ("course", {}),
}


def fits(n: int, threads: str, variables: dict) -> float:
    """Seconds of a fit of five epochs, the median of three, while `n` processes fit."""
    command = [sys.executable, "-c", FIT, threads]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    jobs = [subprocess.Popen(command, env={**os.environ, **variables}, **pipes) for _ in range(n)]
    try:
        for job in jobs:
            job.stdout.readline()
        for job in jobs:
            job.stdin.write("\n")
            job.stdin.flush()
        return sorted(float(jobs[0].stdout.readline()) for _ in range(3))[1]
    finally:
        for job in jobs:
            job.kill()


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    for way, setting in WAYS.items():
        alone, beside = fits(1, *setting), fits(2, *setting)
        print(
            f"{way:50} alone {alone:5.1f} s  beside another {beside:5.1f} s  {beside / alone:.1f}x"
        )
