"""Exercises of lesson 05b: hide tokens, a loss on what is hidden, and a teacher that follows."""

from embedlab.lessons.exercises import Exercise, no_gradient, randn, with_gradients

# --- hiding -------------------------------------------------------------------------------------


def keep_some(tokens, noise, n_seen):
    """Of each image's tokens (N, T, D) the n_seen with the lowest noise (N, T), lowest first.

    tokens and noise are torch tensors.
    """
    index = noise.argsort(dim=1)[:, :n_seen]
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


hide = Exercise(
    name="05b-hide",
    solution=keep_some,
    inputs=lambda: [(randn(n, 7, 3), randn(n, 7, seed=1), k) for n, k in ((8, 3), (9, 5))],
    answers=(
        (
            "Every image keeps the same places: each has its own row of noise.",
            lambda tokens, noise, n_seen: tokens[:, noise[0].argsort()[:n_seen]],
        ),
        (
            "These are the tokens with the highest noise.",
            lambda tokens, noise, n_seen: keep_some(tokens, -noise, n_seen),
        ),
        (
            "The right tokens, but not lowest noise first: nothing to sort again.",
            lambda tokens, noise, n_seen: tokens.take_along_dim(
                noise.argsort(dim=1)[:, :n_seen, None].sort(dim=1).values, dim=1
            ),
        ),
        (
            "argsort twice gives ranks; places are what argsort gives once.",
            lambda tokens, noise, n_seen: keep_some(tokens, noise.argsort(dim=1), n_seen),
        ),
        (
            "These are simply the first tokens: the noise is to choose.",
            lambda tokens, noise, n_seen: tokens[:, :n_seen],
        ),
        (
            "tokens[:, index] takes every image's choice from every image: with an index for "
            "each image, use gather.",
            lambda tokens, noise, n_seen: tokens[:, noise.argsort(dim=1)[:, :n_seen]],
        ),
        (
            "tokens[index] takes whole images: use gather, to take from each image its own.",
            lambda tokens, noise, n_seen: tokens[noise.argsort(dim=1)[:, :n_seen]],
        ),
    ),
    hints=(
        "Sorting random numbers is a random order. argsort gives places.",
        "noise.argsort(dim=1)[:, :n_seen] is a choice for each image: tokens.gather can follow it.",
        "tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))",
    ),
)

# --- the loss on what is hidden -----------------------------------------------------------------


def hidden_error(guess, target, hidden):
    """Mean squared error of the hidden patches; guess, target (N, T, D), hidden (N, T) of bool.

    All are torch tensors, and so is the loss.
    """
    return (guess - target).square()[hidden].mean()


def _guesses(n, seed):
    hidden = randn(n, 6, seed=seed + 2) < 0.3
    return randn(n, 6, 4, seed=seed).requires_grad_(), randn(n, 6, 4, seed=seed + 1), hidden


hidden_loss = Exercise(
    name="05b-loss",
    solution=hidden_error,
    inputs=lambda: [_guesses(5, 0), _guesses(3, 2)],
    seen=with_gradients,
    answers=(
        (
            "Seen patches count too: copying what can be seen is no achievement.",
            lambda guess, target, hidden: (guess - target).square().mean(),
        ),
        (
            "These are the seen patches: True in hidden means hidden.",
            lambda guess, target, hidden: hidden_error(guess, target, ~hidden),
        ),
        (
            "Divided by the number of all patches: average over the hidden ones only.",
            lambda guess, target, hidden: ((guess - target) * hidden[:, :, None]).square().mean(),
        ),
        (
            "Divided by the number of hidden patches: each of them has D numbers.",
            lambda guess, target, hidden: hidden_error(guess, target, hidden) * guess.shape[2],
        ),
        (
            "This is a sum: take the mean over patches and pixels.",
            lambda guess, target, hidden: (guess - target).square()[hidden].sum(),
        ),
        (
            "These are absolute errors: square them.",
            lambda guess, target, hidden: (guess - target).abs()[hidden].mean(),
        ),
        no_gradient(hidden_error),
    ),
    hints=(
        "First the squared error of every pixel, (N, T, D). Which of them may count?",
        "A tensor of bool picks: error[hidden] are the rows where it is True.",
        "(guess - target).square()[hidden].mean()",
    ),
)

# --- the teacher --------------------------------------------------------------------------------


def follow(teacher, student, decay):
    """A new teacher, tensor by tensor: the share `decay` of itself, the rest student.

    Both are lists of torch tensors, and so is what is returned. The student is being trained: its
    tensors require a gradient, and the new teacher's must not.
    """
    return [decay * t + (1 - decay) * s.detach() for t, s in zip(teacher, student, strict=True)]


def _attached(out, *args) -> dict:
    n = sum(getattr(tensor, "requires_grad", False) for tensor in out)
    return {"it gives": out, "of its tensors, the number attached to the student's graph is": n}


def _each(formula):
    return lambda teacher, student, decay: [
        formula(t, s.detach(), decay) for t, s in zip(teacher, student, strict=True)
    ]


def _weights(*shapes):
    """Weights of a teacher, and of a student that is being trained."""
    teacher = [randn(*shape, seed=0) for shape in shapes]
    return teacher, [randn(*shape, seed=1).requires_grad_() for shape in shapes]


moving_teacher = Exercise(
    name="05b-teacher",
    solution=follow,
    inputs=lambda: [(*_weights((3, 2), (4,)), 0.9), (*_weights((2,), (5,), (2, 2)), 0.6)],
    seen=_attached,
    answers=(
        (
            "The shares are swapped: with a decay of 0.9 the teacher keeps nine tenths.",
            _each(lambda t, s, decay: (1 - decay) * t + decay * s),
        ),
        ("A copy of the student: the teacher keeps nothing of itself.", _each(lambda t, s, d: s)),
        (
            "The shares do not sum to one: the student's is 1 - decay.",
            _each(lambda t, s, decay: decay * t + s),
        ),
        ("The teacher never learns: the student's share is missing.", _each(lambda t, s, d: t)),
        (
            "The new teacher is still attached to the student's graph: detach the student.",
            lambda teacher, student, decay: [
                t.lerp(s, 1 - decay) for t, s in zip(teacher, student, strict=True)
            ],
        ),
    ),
    hints=(
        "A moving average of each weight: two shares that sum to one.",
        "For each pair of tensors: decay times the teacher's plus (1 - decay) times the student's. "
        "The student is being trained, the teacher is not: detach.",
        "[decay * t + (1 - decay) * s.detach() for t, s in zip(teacher, student)]",
    ),
)
