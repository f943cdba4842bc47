"""Exercises of lesson 08: read a layer with a hook, and make vectors four times smaller."""

import torch
from torch import nn

from embedlab.lessons.exercises import Exercise


def _random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- a hook -------------------------------------------------------------------------------------


def output_of(network, layer, x):
    """What a layer gives while the network runs on x, tensors; leave the network as it was."""
    seen, module = [], network.get_submodule(layer)
    hook = module.register_forward_hook(lambda module, inputs, out: seen.append(out.clone()))
    network(x)
    hook.remove()
    return seen[0]


class _Small(nn.Sequential):
    """As in ResNets, a ReLU works in place, and something is added between two children."""

    def forward(self, x):
        return self[3](self[2](self[1](self[0](x)) + 1))


def _small():
    return _Small(nn.InstanceNorm2d(3), nn.ReLU(inplace=True), nn.Sigmoid(), nn.Tanh())


def _hooks_left(out, network, layer, x) -> dict:
    left = sum(len(m._forward_hooks) for m in network.modules())
    return {"it gives": out, "the number of hooks left on the network is": left}


# A hook with one thing changed.
def _hook(kept=lambda inputs, out: out.clone(), then=lambda h: h.remove(), out=lambda seen: seen):
    def answer(network, layer, x):
        seen, module = [], network.get_submodule(layer)
        hook = module.register_forward_hook(lambda m, i, o: seen.append(kept(i[0], o)))
        network(x)
        then(hook)
        return out(seen[0])

    return answer


hook = Exercise(
    name="08-hook",
    solution=output_of,
    inputs=lambda: [(_small(), i, _random(2, 3, 4, 4, seed=1)) for i in "023"],
    seen=_hooks_left,
    answers=(
        ("A ReLU in place changes what you kept: keep out.clone().", _hook(lambda i, o: o)),
        ("The hook stays, and sees every later batch: remove it.", _hook(then=lambda h: None)),
        ("This is what goes in: (module, inputs, output).", _hook(lambda i, o: i.clone())),
        ("This is what the whole network gives.", lambda network, layer, x: network(x)),
        ("The layer gets the image, not what comes before.", lambda n, layer, x: n[int(layer)](x)),
        (
            "forward() does more than its children, one after the other: run the network.",
            lambda n, layer, x: nn.Sequential.forward(n[: int(layer) + 1], x),
        ),
        ("Averaged over the places: keep the map.", _hook(out=lambda m: m.mean(dim=(2, 3)))),
        ("This is the first image only.", _hook(out=lambda m: m[0])),
    ),
    hints=(
        "module.register_forward_hook(f): f(module, inputs, output) is called when it runs.",
        "network.get_submodule(layer); keep output.clone(); run network(x); remove the hook.",
        "lambda module, inputs, out: seen.append(out.clone())",
    ),
)

# --- int8 ---------------------------------------------------------------------------------------


def to_int8(vectors):
    """Vectors (N, D), a float tensor, as int8: each row times what makes its largest number ±127.

    To the nearest whole number. Cosines must hardly change.
    """
    scale = 127 / vectors.abs().amax(dim=1, keepdim=True)
    return (vectors * scale).round().to(torch.int8)


def _typed(out, vectors) -> dict:
    return {"it gives": out, "its type is": str(getattr(out, "dtype", "")).removeprefix("torch.")}


# int8 with one thing changed.
def _int8(largest=lambda v: v.abs().amax(1, keepdim=True), top=127, whole=torch.round):
    return lambda v: whole(v * (top / largest(v))).int().to(torch.int8)


int8 = Exercise(
    name="08-int8",
    solution=to_int8,
    inputs=lambda: [(_random(n, 1, seed=n).exp() * _random(n, 9, seed=0),) for n in (4, 6)],
    seen=_typed,
    answers=(
        ("to(torch.int8) cuts towards zero: round first.", _int8(whole=torch.trunc)),
        ("Rounded downwards: round to the nearest.", _int8(whole=torch.floor)),
        ("128 does not fit into int8 and becomes -128: 127 is the most.", _int8(top=128)),
        ("255 does not fit into int8: numbers wrapped round. 127 is the most.", _int8(top=255)),
        (
            "One scale for all: short rows get few steps. Each its own.",
            _int8(lambda v: v.abs().max()),
        ),
        ("You scaled columns: that changes cosines.", _int8(lambda v: v.abs().amax(0))),
        ("The largest may be negative: take abs() first.", _int8(lambda v: v.amax(1, True))),
        ("Divided by its length, a row ends below 127.", _int8(lambda v: v.norm(dim=1)[:, None])),
        ("Not scaled: nearly all becomes 0 or 1.", _int8(torch.ones_like, 1)),
        ("You moved zero: that changes cosines.", lambda v: to_int8(v - v.mean(1, keepdim=True))),
        ("Still of float: to(torch.int8) saves the bytes.", lambda v: to_int8(v).float()),
    ),
    hints=(
        "int8 holds whole numbers from -128 to 127. By what must a row be multiplied?",
        "127 over the row's largest absolute value, vectors.abs().amax(dim=1, keepdim=True).",
        "(vectors * scale).round().to(torch.int8)",
    ),
)
