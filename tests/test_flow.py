import pytest
import torch

from embedlab.lessons.lesson_06b.flow import flow_loss, sample
from embedlab.training.draws import normal


def seed(n: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(n)


def to_point(point: torch.Tensor):
    """The exact velocity where every x is the same point: (point - x_t) / (1 - t)."""

    def velocity(x, t, condition):
        return (point - x) / (1 - t).reshape(-1, *[1] * (x.ndim - 1))

    return velocity


@pytest.mark.parametrize("shape", [(5,), (2, 4, 4)])
def test_the_exact_velocity_has_no_loss_and_another_has(shape):
    point = torch.randn(shape, generator=seed(1))
    x, condition = point.expand(64, *shape), torch.ones(64, 3)
    assert flow_loss(to_point(point), x, condition, seed()) < 1e-4
    assert flow_loss(to_point(point + 1), x, condition, seed()) > 0.5


def test_the_way_starts_at_noise_and_ends_at_x():
    seen = {}

    def watch(x_t, t, condition):
        seen.update(x=x_t, t=t)
        return torch.zeros_like(x_t)

    x = torch.full((4_000, 3), 7.0)
    loss = flow_loss(watch, x, torch.ones(4_000, 1), seed())
    late, early = seen["t"] > 0.99, seen["t"] < 0.05
    assert seen["x"][late].mean() == pytest.approx(7, abs=0.2)
    assert seen["x"][early].mean() == pytest.approx(0.175, abs=0.2)
    assert seen["x"][early].std() == pytest.approx(1, abs=0.2)
    # Of no velocity at all the error is that of x - noise: 7 ** 2 + 1.
    assert loss == pytest.approx(50, abs=1)
    assert seen["t"].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("drop", [0.0, 0.3, 1.0])
def test_so_many_conditions_are_dropped_and_the_others_left(drop):
    seen = []

    def watch(x_t, t, condition):
        seen.append(condition)
        return x_t

    given = torch.randn(2_000, 4, generator=seed(2))
    flow_loss(watch, torch.zeros(2_000, 3), given, seed(), drop=drop)
    dropped = (seen[0] == 0).all(dim=1)
    assert dropped.float().mean() == pytest.approx(drop, abs=0.03)
    assert torch.equal(seen[0][~dropped], given[~dropped])


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4)])
@pytest.mark.parametrize("steps", [1, 7])
def test_sampling_arrives_at_the_point(shape, steps):
    """The ways to one point are straight: however few the steps, and never asked at t = 1."""
    point = torch.randn(shape, generator=seed(1))
    made = sample(to_point(point), torch.ones(6, 3), shape, steps, 1.0, seed())
    assert torch.allclose(made, point.expand(6, *shape), atol=1e-4)


def test_a_step_goes_by_what_is_half_a_step_ahead():
    """For dx/dt = 2t that is exact, where the velocity at the beginning falls short."""
    made = sample(lambda x, t, c: 2 * t[:, None].expand_as(x), torch.ones(3, 1), (2,), 4, 1, seed())
    noise = normal((3, 2), seed())
    assert torch.allclose(made, noise + 1, atol=1e-5)


def test_the_look_ahead_starts_from_x():
    """For dx/dt = x, with one step from x: x (1 + 1 + 1/2)."""
    made = sample(lambda x, t, c: x, torch.ones(3, 1), (2,), 1, 1, seed())
    assert torch.allclose(made, 2.5 * normal((3, 2), seed()), atol=1e-5)


@pytest.mark.parametrize(("guidance", "moved"), [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)])
def test_guidance_goes_from_without_the_condition_through_with_it_beyond(guidance, moved):
    def velocity(x, t, condition):  # 1 without the condition, 3 with it
        return torch.ones_like(x) + condition

    made = sample(velocity, torch.full((3, 1), 2.0), (2,), 3, guidance, seed())
    noise = normal((3, 2), seed())
    assert torch.allclose(made, noise + moved, atol=1e-5)


def test_a_seed_gives_the_same_and_another_another():
    still = lambda x, t, condition: torch.zeros_like(x)  # noqa: E731
    a, b, c = (sample(still, torch.ones(3, 1), (2,), 2, 1, seed(n)) for n in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert a.unique(dim=0).shape[0] == 3
