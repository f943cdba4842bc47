"""Exercises of lesson 04: the loss of SimCLR, the triplet loss, and uniformity."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from embedlab.lessons.exercises import Exercise, Wrong


def _two_views(n: int = 6, d: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors of unequal lengths; row i of both belongs to image i."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(n, d, generator=generator)
    return 3 * a, a + 0.7 * torch.randn(n, d, generator=generator)


def _number(answer, *args) -> float:
    loss = answer(*args)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        raise Wrong("Return the loss as a tensor of one number: the mean over the batch.")
    return loss.item()


def _near(x: float, y: float) -> bool:
    return abs(x - y) < 1e-4


def _check_gradients(answer, solution, vectors, *rest) -> None:
    """The loss must pull on every vector as the solution's does."""
    pulls = []
    for function in (answer, solution):
        leaves = [v.clone().requires_grad_() for v in vectors]
        loss = function(*leaves, *rest)
        if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
            raise Wrong("No gradient can flow through this loss: stay with torch, detach nothing.")
        try:
            grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            raise Wrong(
                "The number is right, but backward() fails: a tensor that the gradient needs is "
                "changed in place. Change the logits before the exponential, or use masked_fill."
            ) from error
        pulls.append(
            [torch.zeros_like(v) if g is None else g for g, v in zip(grads, vectors, strict=True)]
        )
    if not all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*pulls, strict=True)):
        raise Wrong("The number is right and its gradient is not: a part of the loss is detached.")


# --- NT-Xent ----------------------------------------------------------------------------------


def my_nt_xent(a, b, temperature):
    """NT-Xent of two batches of views (N, D), any length; row i of both belongs to image i."""
    return ...


def my_nt_xent_solution(a, b, temperature):
    """NT-Xent of two batches of views (N, D), any length; row i of both belongs to image i."""
    n = len(a)
    z = F.normalize(torch.cat([a, b]), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * n).roll(n)
    return F.cross_entropy(logits, partner)


def _diagonal_left_in(a, b, temperature):
    z = F.normalize(torch.cat([a, b]), dim=1)
    return F.cross_entropy(z @ z.T / temperature, torch.arange(len(z)).roll(len(a)))


def _diagonal_of_zeros(a, b, temperature):
    z = F.normalize(torch.cat([a, b]), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(0)
    return F.cross_entropy(logits, torch.arange(len(z)).roll(len(a)))


def _no_temperature(a, b, temperature):
    return my_nt_xent_solution(a, b, 1.0)


def _times_temperature(a, b, temperature):
    return my_nt_xent_solution(a, b, 1 / temperature)


def _no_normalisation(a, b, temperature):
    z = torch.cat([a, b])
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z)).roll(len(a)))


def _one_direction(a, b, temperature):
    z = F.normalize(torch.cat([a, b]), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits[: len(a)], torch.arange(len(z)).roll(len(a))[: len(a)])


def _other_views_only(a, b, temperature):
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    logits = a @ b.T / temperature
    target = torch.arange(len(a))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _the_next_is_the_partner(a, b, temperature):
    z = F.normalize(torch.cat([a, b]), dim=1)
    logits = z @ z.T / temperature
    logits.fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.arange(len(z)) ^ 1)


def _detached_partner(a, b, temperature):
    return my_nt_xent_solution(a, b.detach(), temperature)


def _exponentials_in_place(a, b, temperature):
    z = F.normalize(torch.cat([a, b]), dim=1)
    e = torch.exp(z @ z.T / temperature)
    e.fill_diagonal_(0)
    right = e[torch.arange(len(z)), torch.arange(len(z)).roll(len(a))]
    return -(right / e.sum(dim=1)).log().mean()


def _test_nt_xent(answer):
    a, b = _two_views()
    kept = a.clone(), b.clone()
    t = 0.3
    value = _number(answer, a, b, t)
    if not (torch.equal(a, kept[0]) and torch.equal(b, kept[1])):
        raise Wrong("The vectors that were passed in have changed: make new tensors.")

    def like(wrong):
        return _near(value, wrong(a, b, t).item())

    if like(my_nt_xent_solution):
        other = _two_views(9, 5)
        if not _near(_number(answer, *other, 0.7), my_nt_xent_solution(*other, 0.7).item()):
            raise Wrong("With another batch size or temperature it is off: is a number typed in?")
        _check_gradients(answer, my_nt_xent_solution, (a, b), t)
        return
    if like(_diagonal_left_in):
        raise Wrong(
            "The diagonal is left in: each view finds itself, with cosine 1, and looks no further."
        )
    if like(_diagonal_of_zeros):
        raise Wrong("A logit of 0 on the diagonal still counts, exp(0) is 1: use minus infinity.")
    if like(_no_temperature):
        raise Wrong("The temperature makes no difference: divide the cosines by it.")
    if like(_times_temperature):
        raise Wrong("Divide by the temperature: a low one has to make the logits large.")
    if like(_no_normalisation):
        raise Wrong("These are dot products: bring every vector to length one first.")
    if like(_one_direction):
        raise Wrong("Only the views in a ask for their partner; those in b have to ask as well.")
    if like(_other_views_only):
        raise Wrong(
            "Each view is compared with the other batch only: with 2N views there are 2N - 2 wrong "
            "answers, those of its own batch too."
        )
    if like(_the_next_is_the_partner):
        raise Wrong("Wrong positives: the partner of view i is i + N, not the next in the row.")
    raise Wrong(
        "Not the cross-entropy of a (2N, 2N) matrix of cosines over the temperature, where the "
        "right answer of row i is column i + N, and of row i + N column i."
    )


nt_xent_exercise = Exercise(
    name="04-nt-xent",
    stub=my_nt_xent,
    test=_test_nt_xent,
    hints=(
        "It is a classifier: each of the 2N views names its partner among the other 2N - 1. "
        "What are its logits, and which is the right class?",
        "Put both batches in one (torch.cat), normalise, and take all cosines. Rule out that a "
        "view names itself. The right class of row i is i + N for a, i - N for b.",
        "logits.fill_diagonal_(-torch.inf); partner = torch.arange(2 * n).roll(n); "
        "F.cross_entropy(logits, partner).",
    ),
    solution=my_nt_xent_solution,
    wrong=(
        (_diagonal_left_in, "finds itself"),
        (_diagonal_of_zeros, "exp(0) is 1"),
        (_no_temperature, "makes no difference"),
        (_times_temperature, "make the logits large"),
        (_no_normalisation, "These are dot products"),
        (_one_direction, "those in b have to ask"),
        (_other_views_only, "those of its own batch too"),
        (_the_next_is_the_partner, "Wrong positives"),
        (_detached_partner, "its gradient is not"),
        (_exponentials_in_place, "backward() fails"),
    ),
)

# --- alignment and uniformity -----------------------------------------------------------------


def evenness(z):
    """Log of the mean of exp(-2 squared distance) over pairs of different vectors; z is (N, D)."""
    return ...


def evenness_solution(z):
    """Log of the mean of exp(-2 squared distance) over pairs of different vectors; z is (N, D)."""
    return torch.pdist(z).square().mul(-2).exp().mean().log()


def _pairs_with_itself(z):
    return torch.cdist(z, z).square().mul(-2).exp().mean().log()


def _not_squared(z):
    return torch.pdist(z).mul(-2).exp().mean().log()


def _mean_of_logs(z):
    return torch.pdist(z).square().mul(-2).mean()


def _no_log(z):
    return torch.pdist(z).square().mul(-2).exp().mean()


def _test_evenness(answer):
    z = F.normalize(_two_views()[0], dim=1)
    value = _number(answer, z)
    if _near(value, evenness_solution(z).item()):
        other = F.normalize(_two_views(9, 3)[1], dim=1)
        if not _near(_number(answer, other), evenness_solution(other).item()):
            raise Wrong("With another number of vectors it is off: is a number typed in?")
        _check_gradients(answer, evenness_solution, (z,))
        return
    if _near(value, _pairs_with_itself(z).item()):
        raise Wrong("Each vector is paired with itself too, at distance 0: leave these pairs out.")
    if _near(value, _not_squared(z).item()):
        raise Wrong("The distances are not squared.")
    if _near(value, _mean_of_logs(z).item()):
        raise Wrong(
            "The mean of the logarithms is just the mean squared distance: it does not notice "
            "clumps. Exponential first, then mean, then log."
        )
    if _near(value, _no_log(z).item()):
        raise Wrong("The logarithm is missing.")
    raise Wrong("Not log mean exp(-2 d²) over the pairs of different vectors.")


uniformity_exercise = Exercise(
    name="04-uniformity",
    stub=evenness,
    test=_test_evenness,
    hints=(
        "First all distances between different vectors: torch.pdist gives each pair once.",
        "From the inside out: square, times -2, exp, mean, log.",
        "torch.pdist(z).square(), then .mul(-2).exp().mean().log().",
    ),
    solution=evenness_solution,
    wrong=(
        (_pairs_with_itself, "paired with itself"),
        (_not_squared, "not squared"),
        (_mean_of_logs, "does not notice"),
        (_no_log, "logarithm is missing"),
    ),
)

# --- the triplet loss -------------------------------------------------------------------------


def my_triplet_loss(anchor, positive, negative, margin):
    """Mean over a batch of max(0, d(a, p) - d(a, n) + margin); d squared, vectors (N, D) normed."""
    return ...


def my_triplet_loss_solution(anchor, positive, negative, margin):
    """Mean over a batch of max(0, d(a, p) - d(a, n) + margin); d squared, vectors (N, D) normed."""
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return (near - far + margin).clamp(min=0).mean()


def _can_be_negative(anchor, positive, negative, margin):
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return (near - far + margin).mean()


def _swapped(anchor, positive, negative, margin):
    return my_triplet_loss_solution(anchor, negative, positive, margin)


def _no_margin(anchor, positive, negative, margin):
    return my_triplet_loss_solution(anchor, positive, negative, 0.0)


def _mean_before_max(anchor, positive, negative, margin):
    return _can_be_negative(anchor, positive, negative, margin).clamp(min=0)


def _roots(anchor, positive, negative, margin):
    near = (anchor - positive).norm(dim=1)
    far = (anchor - negative).norm(dim=1)
    return (near - far + margin).clamp(min=0).mean()


def _test_triplet(answer):
    a, b = (F.normalize(v, dim=1) for v in _two_views(8))
    args = (a, b, b.roll(1, 0))
    margin = 1.0
    value = _number(answer, *(v.clone() for v in args), margin)

    def like(wrong):
        return _near(value, wrong(*args, margin).item())

    if like(my_triplet_loss_solution):
        if not _near(_number(answer, *args, 0.2), my_triplet_loss_solution(*args, 0.2).item()):
            raise Wrong("With another margin it is off: use `margin`.")
        a, b = (F.normalize(v, dim=1) for v in _two_views(9, 3))
        other = (b, a, a.roll(2, 0))
        if not _near(_number(answer, *other, 1.0), my_triplet_loss_solution(*other, 1.0).item()):
            raise Wrong("With vectors of another length it is off: is a number typed in?")
        _check_gradients(answer, my_triplet_loss_solution, args, margin)
        return
    if like(_swapped):
        raise Wrong("The signs are swapped: this pushes the positive away and pulls the negative.")
    if like(_no_margin):
        raise Wrong("The margin is missing: all vectors in one point would have loss 0.")
    if like(_mean_before_max):
        raise Wrong("Cut each triplet at 0 before the mean: a very good one may not pay for a bad.")
    if like(_can_be_negative):
        raise Wrong("Nothing is cut at 0: triplets that are fine already keep being pushed apart.")
    if like(_roots):
        raise Wrong("These are distances: the loss takes squared ones.")
    raise Wrong("Not the mean of max(0, |a - p|² - |a - n|² + margin).")


triplet_exercise = Exercise(
    name="04-triplet",
    stub=my_triplet_loss,
    test=_test_triplet,
    hints=(
        "Two squared distances an anchor: to its positive and to its negative.",
        "(anchor - positive).square().sum(dim=1) is one of them. Their difference plus the margin "
        "is cut at 0 for each triplet.",
        "(near - far + margin).clamp(min=0).mean()",
    ),
    solution=my_triplet_loss_solution,
    wrong=(
        (_can_be_negative, "Nothing is cut"),
        (_swapped, "signs are swapped"),
        (_no_margin, "The margin is missing"),
        (_mean_before_max, "before the mean"),
        (_roots, "These are distances"),
    ),
)
