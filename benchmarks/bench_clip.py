"""Seconds to compose scenes and to train CLIP, and what it then reaches, for three seeds.

    python benchmarks/bench_clip.py

One thread on a CPU, as the lessons run.
"""

from __future__ import annotations

import time

import torch

from embedlab import load_images
from embedlab.data.scenes import compose, load_scenes
from embedlab.embedders import CLIP
from embedlab.lessons.lesson_06.experiments import scans_named, single
from embedlab.lessons.lesson_06.matching import recalls
from embedlab.training.device import pick_device, set_threads


def main() -> None:
    threads, device = set_threads(), pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}, {threads} thread")
    images = load_images("digits")
    scenes = load_scenes(images)
    start = time.perf_counter()
    compose(images.train, scenes.nouns, 20_000)
    print(f"20,000 scenes: {time.perf_counter() - start:.1f} s")
    for seed in range(3):
        scenes = load_scenes(images, seed=seed)
        clip = CLIP(seed=seed).fit(scenes.train.x, scenes.train.captions)
        test = scenes.test
        found = recalls(clip.embed_images(test.x), clip.embed_text(test.captions), test.captions)
        print(
            f"seed {seed}: fit {clip.fit_seconds_:.1f} s, scans named "
            f"{scans_named(clip, images, single(scenes.nouns)).value:.3f}, "
            + ", ".join(f"{way} {measure.value:.3f}" for way, measure in found.items())
        )


if __name__ == "__main__":
    main()
