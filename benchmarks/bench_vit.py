"""Seconds of one training of ViT, MAE and data2vec, and what hiding patches in batches saves.

    python benchmarks/bench_vit.py

One thread on a CPU, as the lessons run. The second part times one step of MAE with its choice of
patches gathered for the whole batch, and image by image; and one with nothing hidden from the
encoder.
"""

from __future__ import annotations

import statistics
import time

import torch

from embedlab import load_images
from embedlab.embedders import MAE, Data2Vec, ViT
from embedlab.embedders.shared.masking import random_masks
from embedlab.embedders.shared.patches import pick
from embedlab.embedders.shared.transformer import ViTEncoder
from embedlab.training.device import pick_device, set_threads


def pick_one_by_one(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return torch.stack([t[i] for t, i in zip(tokens, index, strict=True)])


def milliseconds(step, device: torch.device, rounds: int = 30) -> float:
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        took.append(1_000 * (time.perf_counter() - start))
    return statistics.median(took)


def main() -> None:
    threads, device = set_threads(), pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}, {threads} thread")
    images = load_images("digits")
    for embedder in (ViT(), MAE(), Data2Vec()):
        fitted = embedder.fit(images.train.x, images.train.y)
        print(f"{type(fitted).__name__:10} one training on digits {fitted.fit_seconds_:.1f} s")
    for patch_size in (8, 4):
        encoder = ViTEncoder(1, patch_size).to(device)
        x = torch.rand(256, 1, 32, 32, device=device)
        n = (32 // patch_size) ** 2
        seen, _ = random_masks(len(x), n, 3 * n // 4, torch.Generator().manual_seed(0))
        seen = seen.to(device)

        def step(choose, encoder=encoder, x=x, seen=seen):
            placed = encoder.place(encoder.embed(x))
            encoder.read(choose(placed, seen)).square().mean().backward()

        print(f"256 images of {n} patches, forward and backward:")
        for words, choose in (
            ("three quarters hidden, gathered in a batch", pick),
            ("three quarters hidden, image by image", pick_one_by_one),
            ("nothing hidden", lambda placed, seen: placed),
        ):
            print(f"  {words:44}{milliseconds(lambda c=choose, s=step: s(c), device):8.1f} ms")


if __name__ == "__main__":
    main()
