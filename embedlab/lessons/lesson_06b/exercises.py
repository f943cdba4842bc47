"""Exercises of lesson 06b: the way from noise to a picture, guidance, and following it."""

from __future__ import annotations

import torch

from embedlab.lessons.exercises import Exercise, Wrong
from embedlab.lessons.tensors import checked, same

# --- the way ------------------------------------------------------------------------------------


def on_the_way(x, noise, t):
    """Pictures at time t (N,) of the straight way from noise (t = 0) to x (t = 1), (N, C, H, W)."""
    return ...


def on_the_way_solution(x, noise, t):
    """Pictures at time t (N,) of the straight way from noise (t = 0) to x (t = 1), (N, C, H, W)."""
    t = t[:, None, None, None]
    return (1 - t) * noise + t * x


def _backwards(x, noise, t):
    return on_the_way_solution(noise, x, t)


def _noise_added(x, noise, t):
    return x + (1 - t)[:, None, None, None] * noise


def _one_time(x, noise, t):
    return (1 - t[0]) * noise + t[0] * x


def _along_columns(x, noise, t):
    return (1 - t) * noise + t * x


def _halfway(x, noise, t):
    return (x + noise) / 2


def _test_way(answer):
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, 4, 3, 5, 4, generator=generator).unbind()
    t = torch.rand(4, generator=generator)
    out = checked(answer, x, x, noise, t)
    if same(out, on_the_way_solution(x, noise, t)):
        return
    for wrong, words in (
        (_backwards, "Backwards: at t = 0 there is only noise, at t = 1 none."),
        (_noise_added, "The picture is there from the start: it must come as the noise goes."),
        (_one_time, "Every picture has its own time, and yours all use the first."),
        (
            _along_columns,
            "The times run along the columns of the pictures: t[:, None, None, None] gives each "
            "picture its own.",
        ),
        (_halfway, "This is always half way: t says how far."),
    ):
        if same(out, wrong(x, noise, t)):
            raise Wrong(words)
    raise Wrong("Not (1 - t) times the noise plus t times x, each picture with its own t.")


way_exercise = Exercise(
    name="06b-way",
    stub=on_the_way,
    test=_test_way,
    hints=(
        "A straight line between two points: two shares that sum to one.",
        "Each picture has its own t: give t the shape (N, 1, 1, 1), so that it is one number for a "
        "whole picture.",
        "(1 - t[:, None, None, None]) * noise + t[:, None, None, None] * x",
    ),
    solution=on_the_way_solution,
    wrong=(
        (_backwards, "Backwards"),
        (_noise_added, "from the start"),
        (_one_time, "yours all use the first"),
        (_along_columns, "along the columns"),
        (_halfway, "always half way"),
    ),
)

# --- guidance -----------------------------------------------------------------------------------


def guided(free, given, guidance):
    """A velocity from one without the condition (free) and one with it (given); 1: as given."""
    return ...


def guided_solution(free, given, guidance):
    """A velocity from one without the condition (free) and one with it (given); 1: as given."""
    return free + guidance * (given - free)


def _other_side(free, given, guidance):
    return given + guidance * (free - given)


def _scaled(free, given, guidance):
    return guidance * given


def _mixed_in(free, given, guidance):
    return given + guidance * (given - free)


def _not_from_free(free, given, guidance):
    return guidance * (given - free)


def _average(free, given, guidance):
    return (free + guidance * given) / (1 + guidance)


def _test_guided(answer):
    generator = torch.Generator().manual_seed(0)
    free, given = torch.randn(2, 3, 1, 4, 4, generator=generator).unbind()
    out = checked(answer, free, free, given, 2.5)
    if same(out, guided_solution(free, given, 2.5)):
        return
    for wrong, words in (
        (_other_side, "This goes away from the condition: start at free and go towards given."),
        (_scaled, "This only makes the velocity longer: free has no part in it."),
        (_mixed_in, "With a guidance of 1 it must be given itself: start at free, not at given."),
        (_not_from_free, "The difference alone: add it to free."),
        (_average, "An average stays between the two: guidance above 1 must go beyond given."),
    ):
        if same(out, wrong(free, given, 2.5)):
            raise Wrong(words)
    raise Wrong("Not free + guidance * (given - free).")


guided_exercise = Exercise(
    name="06b-guidance",
    stub=guided,
    test=_test_guided,
    hints=(
        "given - free is what the condition changes. How much of it do you want?",
        "At a guidance of 0 the answer is free, at 1 it is given; above 1 the same line goes on.",
        "free + guidance * (given - free)",
    ),
    solution=guided_solution,
    wrong=(
        (_other_side, "away from the condition"),
        (_scaled, "free has no part"),
        (_mixed_in, "start at free, not at given"),
        (_not_from_free, "difference alone"),
        (_average, "An average"),
    ),
)

# --- following ----------------------------------------------------------------------------------


def follow_velocity(velocity, x, steps):
    """From noise x at t = 0 to t = 1 in equal steps, along velocity(x, t), t a number."""
    return ...


def follow_velocity_solution(velocity, x, steps):
    """From noise x at t = 0 to t = 1 in equal steps, along velocity(x, t), t a number."""
    for i in range(steps):
        x = x + velocity(x, i / steps) / steps
    return x


def _too_far(velocity, x, steps):
    for i in range(steps):
        x = x + velocity(x, i / steps)
    return x


def _time_counted(velocity, x, steps):
    for i in range(steps):
        x = x + velocity(x, i) / steps
    return x


def _time_back(velocity, x, steps):
    for i in range(steps):
        x = x + velocity(x, 1 - i / steps) / steps
    return x


def _first_velocity(velocity, x, steps):
    return x + velocity(x, 0.0)


def _away(velocity, x, steps):
    for i in range(steps):
        x = x - velocity(x, i / steps) / steps
    return x


def _in_place(velocity, x, steps):
    for i in range(steps):
        x += velocity(x, i / steps) / steps
    return x


def _test_follow(answer):
    generator = torch.Generator().manual_seed(0)
    start, target = torch.randn(2, 3, 2, 4, 4, generator=generator).unbind()

    def velocity(x, t):
        return torch.cos(x) + (1 + t**2) * target

    out = checked(lambda x: answer(velocity, x, 5), start, start)
    if same(out, follow_velocity_solution(velocity, start, 5)):
        if not same(answer(velocity, start, 9), follow_velocity_solution(velocity, start, 9)):
            raise Wrong("With another number of steps it is off: is a number typed in?")
        return
    for wrong, words in (
        (_too_far, "Each step goes the whole way: divide the velocity by the number of steps."),
        (_time_counted, "Time runs from 0 to 1: step i happens at i / steps."),
        (_time_back, "Time runs backwards: the noise is at t = 0."),
        (_first_velocity, "The velocity is asked for once only: ask anew after each step."),
        (_away, "The velocity points from noise to picture: add it."),
    ):
        if same(out, wrong(velocity, start.clone(), 5)):
            raise Wrong(words)
    raise Wrong("Not x + velocity(x, i / steps) / steps, for each step i from 0.")


follow_exercise = Exercise(
    name="06b-follow",
    stub=follow_velocity,
    test=_test_follow,
    hints=(
        "A velocity is a way in unit time. How long is one of `steps` equal steps?",
        "Step i begins at time i / steps and lasts 1 / steps.",
        "x = x + velocity(x, i / steps) / steps, for i in range(steps)",
    ),
    solution=follow_velocity_solution,
    wrong=(
        (_too_far, "the whole way"),
        (_time_counted, "from 0 to 1"),
        (_time_back, "Time runs backwards"),
        (_first_velocity, "once only"),
        (_away, "add it"),
        (_in_place, "has changed"),
    ),
)
