"""Exercises of lesson 05b: hide tokens, a loss on what is hidden, and a teacher that follows."""

from __future__ import annotations

import torch

from embedlab.lessons.exercises import Exercise, Wrong
from embedlab.lessons.tensors import checked, same

# --- hiding -------------------------------------------------------------------------------------


def keep_some(tokens, noise, n_seen):
    """Of each image's tokens (N, T, D) the n_seen with the lowest noise (N, T), lowest first."""
    return ...


def keep_some_solution(tokens, noise, n_seen):
    """Of each image's tokens (N, T, D) the n_seen with the lowest noise (N, T), lowest first."""
    index = noise.argsort(dim=1)[:, :n_seen]
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def _the_same_for_all(tokens, noise, n_seen):
    return tokens[:, noise[0].argsort()[:n_seen]]


def _the_highest(tokens, noise, n_seen):
    return keep_some_solution(tokens, -noise, n_seen)


def _in_the_images_order(tokens, noise, n_seen):
    index = noise.argsort(dim=1)[:, :n_seen].sort(dim=1).values
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def _ranks_for_places(tokens, noise, n_seen):
    index = noise.argsort(dim=1).argsort(dim=1)[:, :n_seen]
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def _the_first_ones(tokens, noise, n_seen):
    return tokens[:, :n_seen]


def _all_pairs(tokens, noise, n_seen):
    return tokens[:, noise.argsort(dim=1)[:, :n_seen]]


def _test_keep(answer):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(4, 7, 3, generator=generator)
    noise = torch.rand(4, 7, generator=generator)
    try:
        out = checked(answer, keep_some_solution(tokens, noise, 3), tokens, noise, 3)
    except Wrong as wrong:
        if "shape is (4, 4, 3, 3)" in str(wrong):
            raise Wrong(
                "tokens[:, index] takes every image's choice from every image: with an index for "
                "each image, use gather."
            ) from wrong
        raise
    if torch.equal(out, keep_some_solution(tokens, noise, 3)):
        more = torch.randn(2, 9, 5, generator=generator), torch.rand(2, 9, generator=generator), 6
        if not torch.equal(
            checked(answer, keep_some_solution(*more), *more), keep_some_solution(*more)
        ):
            raise Wrong("With another number of tokens it is off: is a number typed in?")
        return
    for wrong, words in (
        (_the_same_for_all, "Every image keeps the same places: each has its own row of noise."),
        (_the_highest, "These are the tokens with the highest noise."),
        (
            _in_the_images_order,
            "The right tokens, but not lowest noise first: nothing to sort again.",
        ),
        (_ranks_for_places, "argsort twice gives ranks; places are what argsort gives once."),
        (_the_first_ones, "These are simply the first tokens: the noise is to choose."),
    ):
        if torch.equal(out, wrong(tokens, noise, 3)):
            raise Wrong(words)
    raise Wrong("Not the tokens at noise.argsort(dim=1)[:, :n_seen].")


keep_exercise = Exercise(
    name="05b-hide",
    stub=keep_some,
    test=_test_keep,
    hints=(
        "Sorting random numbers is a random order. argsort gives places.",
        "index = noise.argsort(dim=1)[:, :n_seen] is (N, n_seen), a choice for each image. "
        "torch.gather takes from each image its own.",
        "tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))",
    ),
    solution=keep_some_solution,
    wrong=(
        (_the_same_for_all, "Every image keeps the same"),
        (_the_highest, "highest noise"),
        (_in_the_images_order, "not lowest noise first"),
        (_ranks_for_places, "argsort twice"),
        (_the_first_ones, "simply the first"),
        (_all_pairs, "from every image"),
    ),
)

# --- the loss on what is hidden -----------------------------------------------------------------


def hidden_error(guess, target, hidden):
    """Mean squared error of the hidden patches; guess, target (N, T, D), hidden (N, T) of bool."""
    return ...


def hidden_error_solution(guess, target, hidden):
    """Mean squared error of the hidden patches; guess, target (N, T, D), hidden (N, T) of bool."""
    return (guess - target).square()[hidden].mean()


def _all_patches(guess, target, hidden):
    return (guess - target).square().mean()


def _seen_patches(guess, target, hidden):
    return (guess - target).square()[~hidden].mean()


def _divided_by_all(guess, target, hidden):
    return ((guess - target).square() * hidden[:, :, None]).mean()


def _summed(guess, target, hidden):
    return (guess - target).square()[hidden].sum()


def _absolute(guess, target, hidden):
    return (guess - target).abs()[hidden].mean()


def _test_hidden_error(answer):
    generator = torch.Generator().manual_seed(0)
    guess, target = torch.randn(2, 5, 6, 4, generator=generator).unbind()
    hidden = torch.rand(5, 6, generator=generator) < 0.6
    out = checked(answer, torch.zeros(()), guess, target, hidden)
    if same(out, hidden_error_solution(guess, target, hidden)):
        leaf = guess.clone().requires_grad_()
        loss = answer(leaf, target, hidden)
        if not loss.requires_grad:
            raise Wrong("No gradient can flow through this loss: stay with torch, detach nothing.")
        return
    for wrong, words in (
        (_all_patches, "Seen patches count too: copying what can be seen is no achievement."),
        (_seen_patches, "These are the seen patches: True in hidden means hidden."),
        (
            _divided_by_all,
            "Divided by the number of all patches: average over the hidden ones only.",
        ),
        (_summed, "This is a sum: take the mean over patches and pixels."),
        (_absolute, "These are absolute errors: square them."),
    ):
        if same(out, wrong(guess, target, hidden)):
            raise Wrong(words)
    raise Wrong("Not the mean of (guess - target)² over the patches where hidden is True.")


hidden_error_exercise = Exercise(
    name="05b-loss",
    stub=hidden_error,
    test=_test_hidden_error,
    hints=(
        "First the squared error of every pixel, (N, T, D). Which of them may count?",
        "A tensor of bool picks: error[hidden] are the rows where it is True.",
        "(guess - target).square()[hidden].mean()",
    ),
    solution=hidden_error_solution,
    wrong=(
        (_all_patches, "Seen patches count too"),
        (_seen_patches, "These are the seen"),
        (_divided_by_all, "number of all patches"),
        (_summed, "This is a sum"),
        (_absolute, "absolute errors"),
    ),
)

# --- the teacher --------------------------------------------------------------------------------


def follow(teacher, student, decay):
    """A new teacher, tensor by tensor: the share `decay` of itself, the rest student."""
    return ...


def follow_solution(teacher, student, decay):
    """A new teacher, tensor by tensor: the share `decay` of itself, the rest student."""
    return [decay * t + (1 - decay) * s.detach() for t, s in zip(teacher, student, strict=True)]


def _swapped(teacher, student, decay):
    return [(1 - decay) * t + decay * s.detach() for t, s in zip(teacher, student, strict=True)]


def _copied(teacher, student, decay):
    return [s.detach().clone() for s in student]


def _added(teacher, student, decay):
    return [decay * t + s.detach() for t, s in zip(teacher, student, strict=True)]


def _stays(teacher, student, decay):
    return [t.clone() for t in teacher]


def _not_detached(teacher, student, decay):
    return [decay * t + (1 - decay) * s for t, s in zip(teacher, student, strict=True)]


def _test_follow(answer):
    generator = torch.Generator().manual_seed(0)
    teacher = [torch.randn(s, generator=generator) for s in ((3, 2), (4,))]
    student = [torch.randn(t.shape, generator=generator).requires_grad_() for t in teacher]
    kept = [t.clone() for t in (*teacher, *student)]
    out = answer(teacher, student, 0.9)
    if not isinstance(out, list | tuple) or len(out) != 2:
        raise Wrong("Return a list with one tensor for each of the teacher's.")
    if not all(torch.equal(a, b) for a, b in zip((*teacher, *student), kept, strict=True)):
        raise Wrong("A tensor that was passed in has changed: make new ones.")

    def like(function):
        expected = function(teacher, student, 0.9)
        return all(same(a, b) for a, b in zip(out, expected, strict=True))

    if like(follow_solution):
        if any(t.requires_grad for t in out):
            raise Wrong("The teacher hangs on the student's gradient: detach the student first.")
        other = answer(teacher, student, 0.5)
        if not all(map(same, other, follow_solution(teacher, student, 0.5))):
            raise Wrong("With another decay it is off: is a number typed in?")
        return
    for wrong, words in (
        (_swapped, "The shares are swapped: with a decay of 0.9 the teacher keeps nine tenths."),
        (_copied, "The teacher is a copy of the student: it keeps nothing of itself."),
        (_added, "The shares do not sum to one: the student's is 1 - decay."),
        (_stays, "The teacher never learns: the student's share is missing."),
    ):
        if like(wrong):
            raise Wrong(words)
    raise Wrong("Not decay * teacher + (1 - decay) * student.")


follow_exercise = Exercise(
    name="05b-teacher",
    stub=follow,
    test=_test_follow,
    hints=(
        "A moving average of each weight: two shares that sum to one.",
        "For each pair of tensors: decay times the teacher's plus (1 - decay) times the student's. "
        "The student is being trained, the teacher is not: detach.",
        "[decay * t + (1 - decay) * s.detach() for t, s in zip(teacher, student)]",
    ),
    solution=follow_solution,
    wrong=(
        (_swapped, "shares are swapped"),
        (_copied, "a copy of the student"),
        (_added, "do not sum to one"),
        (_stays, "never learns"),
        (_not_detached, "hangs on the student"),
    ),
)
