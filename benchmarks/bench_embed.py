"""Pictures a second of embed: against the bare network on ready tensors, and a script of ten lines.

    python benchmarks/bench_embed.py
    python benchmarks/bench_embed.py --large

JPEGs of 256x256 pixels, crops of scikit-image's photographs, through EfficientNet-Lite0 on two
cores. The sides take turns, and the ratios are taken within a round. The bare network is measured
twice: as torch runs it on two threads, and as embed does, two copies on a thread each.

``--large`` compares the peak memory of ``embedlab embed`` on 20,000 files with that on 2,000.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
import torch
from bench_score import peak
from PIL import Image
from skimage import data

from embedlab import embed
from embedlab.embedders import Pretrained
from embedlab.embedders.anything import key_of
from embedlab.embedders.files import BATCH_SIZE, default_workers, embed_into
from embedlab.search.shards import writing

NAMES = "astronaut chelsea coffee rocket cat brick grass gravel".split()
BARE, COPIES, SCRIPT = "bare, a network on two threads", "bare, two copies", "script, one by one"


def make_pictures(folder: Path, n: int) -> list[Path]:
    """JPEGs in a folder: 200 crops, again and again, each file with a number behind its end."""
    rng = np.random.default_rng(0)
    contents = []
    for i in range(min(n, 200)):
        whole = Image.fromarray(getattr(data, NAMES[i % len(NAMES)])()).convert("RGB")
        side = rng.integers(200, min(whole.size))
        left, top = (rng.integers(0, size - side) for size in whole.size)
        crop = whole.crop((left, top, left + side, top + side)).resize((256, 256))
        file = io.BytesIO()
        crop.save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    paths = [folder / f"{i:05d}.jpg" for i in range(n)]
    for i, path in enumerate(paths):
        path.write_bytes(contents[i % len(contents)] + str(i).encode())
    return paths


def in_turn(embedder: Pretrained, ready: list[torch.Tensor]) -> None:
    torch.set_num_threads(2)
    for batch in ready:
        embedder.embed_tensors(batch)


def in_copies(embedder: Pretrained, ready: list[torch.Tensor]) -> None:
    torch.set_num_threads(1)
    copies = [deepcopy(embedder) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        [*pool.map(lambda i: [copies[i].embed_tensors(b) for b in ready[i::2]], range(2))]


def script(embedder: Pretrained, paths: list[Path]) -> None:
    """What people write: open, transform, run, one picture after another."""
    torch.set_num_threads(2)
    with torch.inference_mode():
        for path in paths:
            tensor = embedder.preprocess_(Image.open(path).convert("RGB"))
            embedder.embed_tensors(tensor[None]).numpy()


def into_folder(embedder: Pretrained, paths: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder, writing(folder, key_of(embedder)) as writer:
        embed_into(writer, paths, embedder)


def compare(n: int, rounds: int) -> None:
    embedder = Pretrained(batch_size=BATCH_SIZE).fit()
    with tempfile.TemporaryDirectory() as folder:
        paths = make_pictures(Path(folder), n)
        pictures = [Image.open(path).convert("RGB") for path in paths[:BATCH_SIZE]]
        batch = torch.stack([embedder.preprocess_(picture) for picture in pictures])
        ready = [batch] * (n // BATCH_SIZE)
        sides = {
            "embed": lambda: embed(paths, embedder),
            "embedlab embed": lambda: into_folder(embedder, paths),
            BARE: lambda: in_turn(embedder, ready),
            COPIES: lambda: in_copies(embedder, ready),
            SCRIPT: lambda: script(embedder, paths),
        }
        in_turn(embedder, ready[:1])  # the first pass pays for allocations and kernels
        rates = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                start = time.perf_counter()
                side()
                rates[name].append(n / (time.perf_counter() - start))
    print(f"{n:,} pictures, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for name, rate in rates.items():
        print(f"  {name:32} {statistics.median(rate):8.1f} images/s")
    for ours in ("embed", "embedlab embed"):
        for other in (BARE, COPIES, SCRIPT):
            pairs = zip(rates[ours], rates[other], strict=True)
            print(f"  {ours} is {statistics.median(a / b for a, b in pairs):.2f} of {other}")


def memory(n: int) -> None:
    """Print the peak memory of this process after embedding `n` files."""
    with tempfile.TemporaryDirectory() as folder:
        into_folder(Pretrained().fit(), make_pictures(Path(folder), n))
    print(peak())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=2000 // BATCH_SIZE * BATCH_SIZE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="Memory instead.")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        return memory(options.memory_of)
    if options.large:
        found = []
        for n in (2_000, 20_000):
            command = [sys.executable, __file__, "--memory-of", str(n)]
            found.append(float(subprocess.check_output(command, text=True)))
            print(f"{n:,} files: peak memory {found[-1]:.3f} GB")
        return print(f"{found[1] / found[0] - 1:+.1%}")
    print(f"{default_workers()} workers")
    compare(options.n, options.rounds)


if __name__ == "__main__":
    main()
