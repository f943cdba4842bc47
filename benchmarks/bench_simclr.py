"""Training steps a second of SimCLR: ours, a bare forward and backward pass, and lightly's recipe.

    uv pip install -e ".[benchmarks]"
    python benchmarks/bench_simclr.py
    python benchmarks/bench_simclr.py --fashion

The same encoder, the same images, the same augmentations in kind and strength. lightly runs as its
documentation shows it: its transform on PIL images in a DataLoader, with 0 and with 2 workers, its
loss, one forward pass a view. The sides take turns, and the medians are compared. The bare pass
gets views that lie ready, and takes no step of an optimiser.

On a CUDA GPU the encoder is a ResNet-18 with a 3x3 stem and no max-pool, and seconds for an epoch
of 50,000 images at batch 512 are written to ``results/simclr-<GPU>.json`` as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from importlib import metadata

import torch
from bench_score import peak
from jitter import ColorJitter, Sometimes
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from embedlab import load_images
from embedlab.embedders import SimCLR
from embedlab.embedders.shared.contrastive import ProjectionHead
from embedlab.embedders.shared.conv import ConvEncoder
from embedlab.embedders.simclr import nt_xent
from embedlab.settings import RESULTS
from embedlab.training.augment import (
    Blur,
    Compose,
    Flip,
    Grayscale,
    ResizedCrop,
)
from embedlab.training.device import pick_budget, pick_device
from embedlab.training.loop import to_device, train

TEMPERATURE = 0.5
# SimCLR's own views for small images; lightly's arguments below say the same.
VIEWS = Compose(
    (
        ResizedCrop(area=0.3),
        Flip(0.5),
        Sometimes(ColorJitter(0.4, 0.4, 0.4, 0.1), 0.8),
        Grayscale(0.2),
        Sometimes(Blur(2.0), 0.5),
    )
)
LIGHTLY = {
    "input_size": 32,
    "min_scale": 0.3,
    "hf_prob": 0.5,
    "cj_prob": 0.8,
    "cj_strength": 1.0,
    "cj_bright": 0.4,
    "cj_contrast": 0.4,
    "cj_sat": 0.4,
    "cj_hue": 0.1,
    "random_gray_scale": 0.2,
    "gaussian_blur": 0.5,
    "sigmas": (0.1, 2),
    "normalize": None,
}


def resnet18() -> nn.Module:
    """ResNet-18 for 32x32 images: a 3x3 stem, no max-pool, no head."""
    from torchvision.models import resnet18

    network = resnet18(num_classes=1)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool, network.fc = nn.Identity(), nn.Identity()
    return network


def network(encoder: str) -> nn.Module:
    if encoder == "resnet18":
        return nn.Sequential(resnet18(), ProjectionHead(512, 128))
    return nn.Sequential(ConvEncoder(3, width=int(encoder)), ProjectionHead(128, 64))


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def ours(net, images, steps, batch_size, device) -> float:
    """Seconds of `steps` steps of the course's own training loop, views included."""

    def loss(net, index, generator):
        batch = images[index]
        views = VIEWS(torch.cat([batch, batch]), generator)
        return nt_xent(*net(views).float().chunk(2), TEMPERATURE)

    start = time.perf_counter()
    train(net, loss, steps * batch_size, epochs=1, batch_size=batch_size, lr=1e-3, seed=0)
    synchronise(device)
    return time.perf_counter() - start


def bare(net, images, steps, batch_size, device) -> float:
    """Seconds of `steps` forward and backward passes on views that lie ready."""
    fast = device.type == "cuda"
    to_device(net, device, fast).train()
    views = torch.cat([images[:batch_size]] * 2).clone()
    synchronise(device)
    start = time.perf_counter()
    for _ in range(steps):
        net.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            value = nt_xent(*net(views).float().chunk(2), TEMPERATURE)
        value.backward()
    synchronise(device)
    return time.perf_counter() - start


class Pictures(Dataset):
    """PIL images, as they come from files, and the transform of the recipe."""

    def __init__(self, images: torch.Tensor, transform):
        pixels = (255 * images).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        self.pictures = [Image.fromarray(p) for p in pixels]
        self.transform = transform

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        return self.transform(self.pictures[i])


class LightlysRecipe:
    """lightly's documented SimCLR loop; workers are started once, outside the time taken."""

    def __init__(self, net, images, batch_size, workers, device):
        from lightly.loss import NTXentLoss
        from lightly.transforms import SimCLRTransform

        self.net, self.device = to_device(net, device, device.type == "cuda").train(), device
        self.criterion = NTXentLoss(temperature=TEMPERATURE)
        self.loader = DataLoader(
            Pictures(images, SimCLRTransform(**LIGHTLY)),
            batch_size=batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        self.steps = len(self.loader)
        self.epoch()

    def epoch(self) -> float:
        """Seconds of one pass over all images."""
        start = time.perf_counter()
        for x0, x1 in self.loader:
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"
            ):
                z0, z1 = (self.net(x.to(self.device, non_blocking=True)) for x in (x0, x1))
                loss = self.criterion(z0.float(), z1.float())
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        synchronise(self.device)
        return time.perf_counter() - start


def compare(encoder: str, images: torch.Tensor, batch_size: int, rounds: int, device) -> dict:
    """Median steps a second of every side."""
    steps = len(images) // batch_size
    on_device = images.to(device)
    sides = {
        "ours": lambda: ours(network(encoder), on_device, steps, batch_size, device),
        "bare forward and backward": lambda: bare(
            network(encoder), on_device, steps, batch_size, device
        ),
    }
    try:
        for workers in (0, 2):
            recipe = LightlysRecipe(network(encoder), images, batch_size, workers, device)
            sides[f"lightly, {workers} workers"] = recipe.epoch
    except ImportError:
        print('lightly is not installed: uv pip install -e ".[benchmarks]"')
    taken = {name: [] for name in sides}
    for name in ("ours", "bare forward and backward"):
        sides[name]()  # the first pass pays for allocations and kernels
    for _ in range(rounds):
        for name, side in sides.items():
            taken[name].append(side())
    return {name: steps / statistics.median(seconds) for name, seconds in taken.items()}


def report(title: str, rates: dict) -> None:
    print(f"\n{title}")
    for name, rate in rates.items():
        ratio = "" if name == "ours" else f"   ours is {rates['ours'] / rate:.2f} of it"
        print(f"  {name:28} {rate:8.2f} steps/s{ratio}")


def fashion() -> None:
    """Seconds and memory of one SimCLR on ten thousand images of Fashion-MNIST."""
    device = pick_device()
    images = load_images("fashion-mnist", pick_budget(device).limit)
    simclr = SimCLR(seed=0).fit(images.train.x)
    print(
        f"\nSimCLR on {len(images.train):,} images of Fashion-MNIST, {len(simclr.loss_curve_)} "
        f"epochs: {simclr.fit_seconds_:.0f} s, peak memory {peak():.2f} GB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--widths", nargs="+", default=["16", "24", "28"], help="of the encoder")
    parser.add_argument("--fashion", action="store_true", help="SimCLR on Fashion-MNIST instead")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.fashion:
        return fashion()
    os.environ.setdefault("TQDM_DISABLE", "1")
    device = pick_device()
    crops = torch.from_numpy(load_images("photo-crops").train.x).contiguous()
    if device.type != "cuda":
        images = torch.cat([crops] * 3)
        for width in options.widths:
            rates = compare(width, images, options.batch_size, options.rounds, device)
            report(
                f"{options.threads} threads, batch {options.batch_size}, ConvEncoder of width "
                f"{width}{' (the course’s)' if width == '16' else ''}",
                rates,
            )
        return
    size, batch = 50_000, 512
    images = torch.cat([crops] * (size // len(crops) + 1))[:size]
    rates = compare("resnet18", images, batch, min(options.rounds, 3), device)
    name = torch.cuda.get_device_name(device)
    report(f"{name}, ResNet-18, batch {batch}", rates)
    epoch = {side: round(size / batch / rate, 2) for side, rate in rates.items()}
    print("seconds an epoch of 50,000 images:", epoch)
    content = {
        "command": "python benchmarks/bench_simclr.py",
        "device": name,
        "versions": {p: metadata.version(p) for p in ("torch", "torchvision")},
        "batch_size": batch,
        "seconds_an_epoch_of_50000_images": epoch,
    }
    path = RESULTS / f"simclr-{name.lower().replace(' ', '-')}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
