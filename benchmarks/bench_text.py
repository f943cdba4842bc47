"""MiniLM: sentences a second beside sentence-transformers' own ``encode``, and whether they agree.

    python benchmarks/bench_text.py

The same weights, texts, batch size, device and threads. Both are timed in turn, several times, in
seconds of the clock and of the processor: where other jobs run, the latter say more.
"""

from __future__ import annotations

import inspect
import re
import statistics
import time
import warnings

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sklearn.utils.discovery import all_estimators
from tqdm import tqdm

from embedlab.data.weights import minilm_folder
from embedlab.embedders import TextEmbedder
from embedlab.training.device import pick_device, set_threads

N, BATCH_SIZE, ROUNDS = 1000, 64, 5


def sentences(n: int) -> list[str]:
    """Sentences and paragraphs of mixed lengths, from what scikit-learn says of its classes."""
    found = {}
    for _, cls in all_estimators():
        for paragraph in inspect.getdoc(cls).split("\n\n"):
            whole = " ".join(paragraph.split())
            found |= dict.fromkeys([whole, *re.split(r"(?<=[.:?]) ", whole)])
    texts = [text for text in found if text]
    return [texts[i] for i in np.random.default_rng(0).choice(len(texts), n, replace=False)]


def timed(function, texts) -> tuple[np.ndarray, float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    vectors = function(texts)
    return vectors, time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    warnings.simplefilter("ignore")  # of long texts, which both cut off
    threads, device = set_threads(), pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    texts = sentences(N)
    words = np.array([len(text.split()) for text in texts])
    print(
        f"{name}, {threads} thread, {N} texts of {words.min()} to {words.max()} words, half of "
        f"them up to {np.median(words):.0f}, batches of {BATCH_SIZE}"
    )
    ours = TextEmbedder("minilm", batch_size=BATCH_SIZE).fit()
    theirs = SentenceTransformer(str(minilm_folder()), device=str(device))
    ways = {
        "embedlab": ours.transform,
        "sentence-transformers": lambda x: theirs.encode(
            x, batch_size=BATCH_SIZE, show_progress_bar=False
        ),
    }
    vectors, clock, processor = {}, {w: [] for w in ways}, {w: [] for w in ways}
    for function in ways.values():
        function(texts[:BATCH_SIZE])  # the first of a process is slow
    for _ in tqdm(range(ROUNDS), desc="rounds"):
        for way, function in ways.items():
            vectors[way], seconds, used = timed(function, texts)
            clock[way].append(seconds)
            processor[way].append(used)
    for what, seconds in (("clock", clock), ("processor", processor)):
        best = {way: N / min(s) for way, s in seconds.items()}
        pairs = zip(*seconds.values(), strict=True)
        ratio = statistics.median(theirs / ours for ours, theirs in pairs)
        rates = ", ".join(f"{way} {rate:.0f} sentences/s" for way, rate in best.items())
        print(f"by the {what}: {rates} (best of {ROUNDS}); ours/theirs, median: {ratio:.3f}")
    print(f"largest difference of a number: {np.abs(np.subtract(*vectors.values())).max():.1e}")


if __name__ == "__main__":
    main()
