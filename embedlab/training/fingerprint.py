"""A fingerprint of this machine's arithmetic: the course's own operations, and what they gave.

Machines with the same fingerprint have given the same numbers to the last digit. It also catches a
library that computes wrongly.
"""

import hashlib
import json
import platform
from functools import cache
from importlib import metadata

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

from embedlab.settings import ROOT
from embedlab.training.draws import Dropout, normal
from embedlab.training.loop import seeded

PATH = ROOT / "results" / "fingerprint.json"
VERSIONED = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "matplotlib", "pillow")


def _backward(module: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """What `module` gives for `x`, and the gradients of its squares."""
    x = x.clone().requires_grad_()
    out = module(x)
    out.square().sum().backward()
    return [out, x.grad, *(parameter.grad for parameter in module.parameters())]


def _products(a, b, x) -> list:
    inside = a.numpy() @ b.numpy(), (a.T @ a).double().numpy() @ b.double().numpy()
    return [a @ b, a[:7] @ b[:, :3], a.double() @ b.double(), a @ b[:, 0], x @ x.mT, *inside]


def _functions(a, b, x) -> list:
    names = "exp tanh sigmoid erf erfinv sin cos".split()
    few = [(x + 0.6).log(), F.gelu(x), x.flatten(1).softmax(1), F.normalize(x.flatten(1))]
    return [getattr(x, name)() for name in names] + few


def _networks(a, b, x) -> list:
    modules = nn.Conv2d(8, 12, 5, padding=2), nn.ConvTranspose2d(8, 6, 4, stride=2)
    return [part for module in modules for part in _backward(module, x)]


def _norms(a, b, x) -> list:
    modules = nn.BatchNorm2d(8), nn.LayerNorm([16, 16]), nn.GroupNorm(2, 8)
    return [part for module in modules for part in _backward(module, x)]


def _sums(a, b, x) -> list:
    inside = x.numpy().sum(), x.numpy().std(0), np.linalg.norm(b.numpy(), axis=1)
    return [x.sum(), x.mean((0, 2, 3)), x.var(0), *inside]


def _resampling(a, b, x) -> list:
    warped = F.grid_sample(x, 2 * x[:, :2].movedim(1, 3), align_corners=False)
    return [warped, F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)]


def _training(a, b, x) -> list:
    # Its own network and loop: an edit of the course's is no other arithmetic.
    convolutions = [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh()]
    network = nn.Sequential(
        *convolutions,
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for images in torch.rand(10, 32, 1, 32, 32):
        optimizer.zero_grad()
        F.cross_entropy(network(images), torch.arange(32) % 10).backward()
        optimizer.step()
    return list(network.parameters())


def _numpy(a, b, x) -> list:
    x = np.abs(a.numpy()) + 0.1
    steps = np.round(10 * b.numpy())  # with ties, whose order is the sorting code's own
    return [np.exp(x), np.log(x), np.sqrt(x), x**1.5, np.exp(x.astype(float)), np.argsort(steps)]


def _draws(a, b, x) -> list:
    generator = torch.Generator().manual_seed(0)
    uniform, order = (
        torch.rand(1000, generator=generator),
        torch.randperm(1000, generator=generator),
    )
    start = nn.init.trunc_normal_(torch.empty(1000), generator=generator)
    return [uniform, order, start, normal((1000,), generator), Dropout()(torch.ones(1000))]


OPERATIONS = {
    "draws": _draws,
    "NumPy's functions": _numpy,
    "products": _products,
    "functions": _functions,
    "convolutions": _networks,
    "normalisation": _norms,
    "sums": _sums,
    "resampling": _resampling,
    "eigenvalues": lambda a, b, x: scipy.linalg.eigh((a.T @ a).double().numpy()),
    "singular values": lambda a, b, x: np.linalg.svd(a.numpy(), full_matrices=False),
    "logistic regression": lambda a, b, x: [
        LogisticRegression().fit(a[:, :20].numpy(), np.arange(len(a)) % 7).coef_
    ],
    "ten steps of LeNet-5": _training,
}


def _hash(parts) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(np.ascontiguousarray(torch.as_tensor(part).detach()).tobytes())
    return sha.hexdigest()[:16]


@cache
def operations() -> dict[str, str]:
    """The hash of what each of the course's operations gives here, in about a second."""
    with seeded(0):
        inputs = [torch.rand(shape) - 0.5 for shape in ((512, 84), (84, 300), (64, 8, 16, 16))]
    hashes = {}
    for name, operation in OPERATIONS.items():
        with seeded(0):
            hashes[name] = _hash(operation(*inputs))
    return hashes


def fingerprint() -> str:
    """One hash, of 16 hexadecimal digits, of everything in :func:`operations`."""
    return hashlib.sha256(json.dumps(operations()).encode()).hexdigest()[:16]


def software() -> dict[str, str]:
    """What else decides the numbers and the pictures: the versions, and the system."""
    versions = {package: metadata.version(package) for package in VERSIONED}
    return {**versions, "system": platform.system()}


def stored() -> dict:
    """The book's own: ``operations`` and ``software`` of the machine that the pages come from."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def differing() -> list[str]:
    """The operations that give something else here than in the book; none on the reference."""
    book = stored()["operations"]
    return [name for name, value in operations().items() if book.get(name) != value]


def write() -> None:
    """Make this machine's arithmetic the book's."""
    content = {"software": software(), "operations": operations()}
    PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
