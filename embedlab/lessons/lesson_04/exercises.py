"""Exercises of lesson 04: the loss of SimCLR, uniformity, and the triplet loss."""

import torch
import torch.nn.functional as F

from embedlab.lessons.exercises import Exercise, no_gradient, with_gradients


def _two_views(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (n, d) of unequal lengths, with gradients; row i of both belongs to image i."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(n, d, generator=generator).requires_grad_()
    return 3 * a, a + 0.7 * torch.randn(n, d, generator=generator)


def _along_the_sphere(out, *args) -> dict:
    """A loss of unit vectors, and its gradients but for the part that would change a length.

    That part differs between right answers: |a - b|² is 2 - 2 a·b on the sphere only.
    """
    look = with_gradients(out, *args)
    flows = look["its backward() gives"]
    if isinstance(flows, list):
        pairs = zip(flows, args[: len(flows)], strict=True)
        flows = [g - (g * z).sum(dim=1, keepdim=True) * z for g, z in pairs]
    return look | {"its backward() gives": flows}


# --- NT-Xent ----------------------------------------------------------------------------------


def my_nt_xent(a, b, temperature):
    """NT-Xent of two batches of views (N, D), any length; row i of both belongs to image i.

    a and b are torch tensors, and so is the loss.
    """
    z = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-torch.inf)
    partner = torch.arange(len(z)).roll(len(a))
    return torch.nn.functional.cross_entropy(logits, partner)


# NT-Xent with one thing changed.
def _with(diagonal=torch.eye, fill=-torch.inf, length=F.normalize, over=float, step=None, ask=2):
    def answer(a, b, temperature):
        z = length(torch.cat([a, b]))
        logits = (z @ z.T / over(temperature)).masked_fill(diagonal(len(z)) > 0, fill)
        place = torch.arange(len(z))
        partner = place ^ step if step else place.roll(len(a))
        return F.cross_entropy(logits[: ask * len(a)], partner[: ask * len(a)])

    return answer


def _in_place(a, b, temperature):
    z = F.normalize(torch.cat([a, b]))
    e = torch.exp(z @ z.T / temperature).fill_diagonal_(0)
    return -(e.roll(len(a), dims=1).diag() / e.sum(dim=1)).log().mean()


def _own_batch(n):
    return torch.block_diag(torch.ones(n // 2, n // 2), torch.ones(n // 2, n // 2))


nt_xent = Exercise(
    name="04-nt-xent",
    solution=my_nt_xent,
    inputs=lambda: [(*_two_views(6, 4), 0.3), (*_two_views(9, 5), 0.7)],
    seen=with_gradients,
    answers=(
        ("The diagonal is left in: each view finds itself.", _with(diagonal=torch.zeros)),
        ("A logit of 0 on the diagonal still counts, exp(0) is 1: use -inf.", _with(fill=0)),
        ("The temperature makes no difference: divide by it.", _with(over=lambda t: 1)),
        ("Divide by the temperature: a low one makes logits large.", _with(over=lambda t: 1 / t)),
        ("These are dot products: first bring vectors to length one.", _with(length=torch.clone)),
        ("Only the views in a ask for their partner; those in b have to as well.", _with(ask=1)),
        ("A view has 2N - 2 wrong answers: its own batch counts too.", _with(diagonal=_own_batch)),
        ("Wrong positives: the partner of view i is i + N, not the next.", _with(step=1)),
        ("The number is right; its gradient stops at b.", lambda a, b, t: my_nt_xent(a, b.data, t)),
        ("backward() fails: what it needs is changed in place. Mask the logits.", _in_place),
        no_gradient(my_nt_xent),
    ),
    hints=(
        "It is a classifier: each of the 2N views names its partner among the other 2N - 1.",
        "Take all cosines of torch.cat([a, b]), none with itself. Row i's class is i + N or i - N.",
        "logits.fill_diagonal_(-torch.inf), then torch.nn.functional.cross_entropy.",
    ),
)

# --- alignment and uniformity -----------------------------------------------------------------


def evenness(z):
    """Log of the mean of exp(-2 squared distance) over pairs of different vectors.

    z is a torch tensor (N, D) of vectors of length one; so is what is returned, of one number.
    """
    return torch.pdist(z).square().mul(-2).exp().mean().log()


def _on_the_sphere(n, d):
    return [F.normalize(v, dim=1) for v in _two_views(n, d)]


uniformity = Exercise(
    name="04-uniformity",
    solution=evenness,
    inputs=lambda: [(z,) for z in (*_on_the_sphere(6, 4), *_on_the_sphere(9, 3))],
    seen=_along_the_sphere,
    answers=(
        (
            "Each vector is paired with itself too, at distance 0: leave these pairs out.",
            lambda z: torch.cdist(z, z).square().mul(-2).exp().mean().log(),
        ),
        (
            "The distances are not squared.",
            lambda z: torch.pdist(z).mul(-2).exp().mean().log(),
        ),
        (
            "The mean of the logarithms is just the mean squared distance: it does not notice "
            "clumps. Exponential first, then mean, then log.",
            lambda z: torch.pdist(z).square().mul(-2).mean(),
        ),
        ("The logarithm is missing.", lambda z: evenness(z).exp()),
        (
            "The sign of the exponent is wrong: vectors that are far apart are to count little.",
            lambda z: torch.pdist(z).square().mul(2).exp().mean().log(),
        ),
        no_gradient(evenness),
    ),
    hints=(
        "First all distances between different vectors: torch.pdist gives each pair once.",
        "From the inside out: square, times -2, exp, mean, log.",
        "torch.pdist(z).square(), then .mul(-2).exp().mean().log().",
    ),
)

# --- the triplet loss -------------------------------------------------------------------------


def my_triplet_loss(anchor, positive, negative, margin):
    """Mean over a batch of max(0, d(anchor, positive) - d(anchor, negative) + margin).

    d is the squared distance; the vectors are torch tensors (N, D) of length one.
    """
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return (near - far + margin).clamp(min=0).mean()


def _uncut(anchor, positive, negative, margin):
    return (2 * anchor * (negative - positive)).sum(dim=1).mean() + margin


def _triplets():
    for n, d, margin in ((8, 4, 1.0), (8, 4, 0.2), (9, 3, 1.0)):
        a, b = _on_the_sphere(n, d)
        yield a, b, b.detach().roll(1, 0).requires_grad_(), margin


triplet = Exercise(
    name="04-triplet",
    solution=my_triplet_loss,
    inputs=lambda: list(_triplets()),
    seen=_along_the_sphere,
    answers=(
        ("Nothing is cut at 0: triplets that are fine already keep being pushed apart.", _uncut),
        (
            "The signs are swapped: this pushes the positive away and pulls the negative.",
            lambda a, p, n, margin: my_triplet_loss(a, n, p, margin),
        ),
        (
            "The margin is missing: all vectors in one point would have loss 0.",
            lambda a, p, n, margin: my_triplet_loss(a, p, n, 0),
        ),
        (
            "The margin has the wrong sign: the negative is to be farther by it, so add it.",
            lambda a, p, n, margin: my_triplet_loss(a, p, n, -margin),
        ),
        (
            "Cut each triplet at 0 before the mean: a very good one may not pay for a bad.",
            lambda *args: _uncut(*args).clamp(min=0),
        ),
        (
            "These are distances: the loss takes squared ones.",
            lambda a, p, n, margin: F.triplet_margin_loss(a, p, n, margin),
        ),
        no_gradient(my_triplet_loss),
    ),
    hints=(
        "Two squared distances an anchor: to its positive and to its negative.",
        "(anchor - positive).square().sum(dim=1) is one of them. Their difference plus the margin "
        "is cut at 0 for each triplet.",
        "(near - far + margin).clamp(min=0).mean()",
    ),
)
