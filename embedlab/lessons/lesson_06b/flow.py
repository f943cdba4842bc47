"""Flow matching: learn which way to push noise so that it becomes an image, or a vector."""

from collections.abc import Callable, Sequence

import torch

from embedlab.training.draws import normal

# network(x, t, condition): which way to go from x, (N, ...), at the times t, (N,).
Velocity = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def flow_loss(
    network: Velocity,
    x: torch.Tensor,
    condition: torch.Tensor,
    generator: torch.Generator,
    drop: float = 0.1,
) -> torch.Tensor:
    """On the straight way from noise to `x`, does the network know the direction?

    Parameters
    ----------
    network : callable
        ``network(x_t, t, condition)`` gives a velocity of the shape of `x_t`; t is 0 where there
        is only noise, and 1 where there is none.
    x : torch.Tensor, shape (N, ...)
        Images or vectors to learn to make, of about unit spread, as the noise is.
    condition : torch.Tensor, shape (N, D)
        What each of them is to be made from.
    generator : torch.Generator
        On the CPU: a seed gives the same noise on every device.
    drop : float
        Share of the conditions replaced by zeros, which stand for "anything".

    Returns
    -------
    torch.Tensor
        Mean squared error of the velocity.

    References
    ----------
    Lipman et al. (2022), Flow matching for generative modeling. Liu et al. (2022), Flow straight
    and fast: learning to generate and transfer data with rectified flow.
    """
    noise = normal(x.shape, generator).to(x.device)
    t = torch.rand(len(x), generator=generator).to(x.device)
    kept = (torch.rand(len(x), generator=generator) >= drop).to(x.device)
    along = t.reshape(-1, *[1] * (x.ndim - 1))  # (N, 1, ...): one time for a whole image
    x_t = (1 - along) * noise + along * x
    velocity = network(x_t, t, condition * kept[:, None])
    return (velocity - (x - noise)).square().mean()


def sample(
    network: Velocity,
    condition: torch.Tensor,
    shape: Sequence[int],
    steps: int,
    guidance: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Start from noise and follow the velocities, in equal steps.

    Parameters
    ----------
    network : callable
        As in :func:`flow_loss`.
    condition : torch.Tensor, shape (N, D)
    shape : sequence of int
        Of one image or vector.
    steps : int
        More steps follow the curve more closely. Each asks the network four times.
    guidance : float
        0: the condition is not looked at; 1: as learned; more: away from what would be made
        without it.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    torch.Tensor, shape (N, ...)
        One for each condition.

    References
    ----------
    Ho and Salimans (2022), Classifier-free diffusion guidance.
    """

    def velocity(x, t):
        t = torch.full((len(x),), t, device=x.device)
        free = network(x, t, torch.zeros_like(condition))
        return free + guidance * (network(x, t, condition) - free)

    x = normal((len(condition), *shape), generator).to(condition.device)
    for i in range(steps):
        half = x + velocity(x, i / steps) / (2 * steps)  # look ahead half a step, and go by what
        x = x + velocity(half, (i + 0.5) / steps) / steps  # is seen there: never asked at t = 1
    return x
