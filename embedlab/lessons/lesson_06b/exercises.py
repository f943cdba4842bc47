"""Exercises of lesson 06b: the way from noise to a picture, guidance, and following it."""

import numpy as np
import torch

from embedlab.lessons.exercises import Exercise, randn

# --- the way ------------------------------------------------------------------------------------


def on_the_way(x, noise, t):
    """Pictures at time t (N,) of the straight way from noise (t = 0) to x (t = 1), (N, C, H, W).

    All are torch tensors.
    """
    t = t[:, None, None, None]
    return (1 - t) * noise + t * x


def _under_way(n, *shape):
    t = torch.linspace(0.2, 0.9, n)
    return (*randn(2, n, *shape, seed=n), t)


way = Exercise(
    name="06b-way",
    solution=on_the_way,
    inputs=lambda: [_under_way(4, 3, 5, 4), _under_way(3, 1, 2, 3)],
    answers=(
        (
            "Backwards: at t = 0 there is only noise, at t = 1 none.",
            lambda x, noise, t: on_the_way(noise, x, t),
        ),
        (
            "The picture is there from the start: it must come as the noise goes.",
            lambda x, noise, t: x + on_the_way(0 * x, noise, t),
        ),
        (
            "Every picture has its own time, and yours all use the first.",
            lambda x, noise, t: (1 - t[0]) * noise + t[0] * x,
        ),
        (
            "The times run along the columns of the pictures: t[:, None, None, None] gives each "
            "picture its own.",
            lambda x, noise, t: (1 - t) * noise + t * x,
        ),
        ("This is always half way: t says how far.", lambda x, noise, t: (x + noise) / 2),
    ),
    hints=(
        "A straight line between two points: two shares that sum to one.",
        "Each picture has its own t: give t the shape (N, 1, 1, 1), so that it is one number for a "
        "whole picture.",
        "(1 - t[:, None, None, None]) * noise + t[:, None, None, None] * x",
    ),
)

# --- guidance -----------------------------------------------------------------------------------


def guided(free, given, guidance):
    """A velocity from one without the condition (free) and one with it (given); 1: as given.

    free and given are torch tensors of one shape, guidance is a number.
    """
    return free + guidance * (given - free)


def _velocities():
    return torch.tensor([1.0, 0.0, -1.0]), torch.tensor([2.0, 3.0, -1.5])


guidance = Exercise(
    name="06b-guidance",
    solution=guided,
    inputs=lambda: [(*_velocities(), 0.0), (*_velocities(), 1.0), (*_velocities(), 2.5)],
    answers=(
        (
            "This goes away from the condition: start at free and go towards given.",
            lambda free, given, guidance: given + guidance * (free - given),
        ),
        (
            "This only makes the velocity longer: free has no part in it.",
            lambda free, given, guidance: guidance * given,
        ),
        (
            "With a guidance of 1 it must be given itself: start at free, not at given.",
            lambda free, given, guidance: given + guidance * (given - free),
        ),
        (
            "The difference alone: add it to free.",
            lambda free, given, guidance: guidance * (given - free),
        ),
        (
            "An average stays between the two: guidance above 1 must go beyond given.",
            lambda free, given, guidance: (free + guidance * given) / (1 + guidance),
        ),
    ),
    hints=(
        "given - free is what the condition changes. How much of it do you want?",
        "At a guidance of 0 the answer is free, at 1 it is given; above 1 the same line goes on.",
        "free + guidance * (given - free)",
    ),
)

# --- following ----------------------------------------------------------------------------------


def follow_velocity(velocity, x, steps):
    """From noise x at t = 0 to t = 1 in equal steps of Euler's method, along velocity(x, t).

    Each step keeps the velocity of its beginning. x is a torch tensor, t a number.
    """
    for i in range(steps):
        x = x + velocity(x, i / steps) / steps
    return x


def _velocity(x, t):
    return torch.cos(x) + (1 + t**2) * torch.tensor([0.5, -1.0])


# Euler's method at other times, or with steps of another length.
def _with(times=lambda n: np.arange(n) / n, length=lambda n: 1 / n):
    def answer(velocity, x, steps):
        for t in times(steps):
            x = x + velocity(x, t) * length(steps)
        return x

    return answer


def _midpoint(velocity, x, steps):
    for i in range(steps):
        half = x + velocity(x, i / steps) / (2 * steps)
        x = x + velocity(half, (i + 0.5) / steps) / steps
    return x


follow = Exercise(
    name="06b-follow",
    solution=follow_velocity,
    inputs=lambda: [(_velocity, randn(3, 2, seed=n), n) for n in (5, 9, 10)],
    answers=(
        ("Each step goes the whole way: divide the velocity by steps.", _with(length=lambda n: 1)),
        ("The velocity points from noise to picture: add it.", _with(length=lambda n: -1 / n)),
        ("Time runs from 0 to 1: step i happens at i / steps.", _with(range)),
        ("Time runs backwards: the noise is at t = 0.", _with(lambda n: 1 - np.arange(n) / n)),
        (
            "Each step asks at its end: ask where it begins.",
            _with(lambda n: np.arange(1, n + 1) / n),
        ),
        ("No step begins at 1: step i is at i / steps.", _with(lambda n: np.linspace(0, 1, n))),
        (
            "Ten times 0.1 is less than 1 to a computer, so ten steps become eleven: count them.",
            _with(lambda n: [t for t in np.cumsum([0] + [1 / n] * n) if t < 1]),  # while t < 1
        ),
        ("Asked for once only: ask for the velocity anew each step.", lambda v, x, n: x + v(x, 0)),
        ("Half a step ahead (midpoint): Euler's method asks where a step begins.", _midpoint),
    ),
    hints=(
        "A velocity is a way in unit time. How long is one of `steps` equal steps?",
        "Step i begins at time i / steps and lasts 1 / steps.",
        "x = x + velocity(x, i / steps) / steps, for i in range(steps)",
    ),
)
