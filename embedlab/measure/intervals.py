"""A measured number, what chance made of it, and the bootstrap that turns that into an interval.

Every measure here is a mean of one contribution an image. Accuracy is so by nature; mean average
precision, where each image is both a query and an answer, becomes so through its *jackknife
pseudo-values* (see :func:`mean_average_precision`). So each kind of chance has a
list of contributions of its own: the test images that happened to be drawn, the few labelled images
of a 5-shot draw, the seeds that trainings began with. A bootstrap resamples each list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Self

import numpy as np
from scipy import stats

N_BOOT = 2_000
LEVEL = 0.95


@dataclass(frozen=True)
class Measure:
    """A number with its 95% interval."""

    name: str  # "linear", "knn", "five_shot", "map" or another key of the margins, see `verdicts`
    value: float
    # For each source of chance ("image", "draw", "seed" …) how far each of its units lies from
    # `value`, (n_units,); each sums to zero.
    effects: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    dataset: str = ""  # that it was measured on
    fingerprint: str = ""  # of a stored one: the arithmetic that it was measured with

    def __post_init__(self):
        if not all(np.isfinite(numbers).all() for numbers in (self.value, *self.effects.values())):
            raise ValueError(f"{self.name} on {self.dataset!r} is not finite.")

    @classmethod
    def from_units(cls, name: str, dataset: str = "", **units: np.ndarray) -> Self:
        """From the contributions themselves, by source of chance, each of shape (n_units,).

        The value is the mean of the first: ``from_units("map", image=pseudo_values)``.
        """
        first = next(iter(units.values()))
        effects = {k: np.asarray(v, np.float64) - np.mean(v) for k, v in units.items()}
        return cls(name, float(np.mean(first)), effects, dataset)

    @property
    def low(self) -> float:
        """Lower end of the 95% interval."""
        return self.interval()[0]

    @property
    def high(self) -> float:
        """Upper end of the 95% interval."""
        return self.interval()[1]

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Percentile bootstrap interval, low and high, of nominal coverage `level`."""
        tail = 50 * (1 - level)
        low, high = np.percentile(self.replicates(), [tail, 100 - tail])
        return float(low), float(high)

    def replicates(self) -> np.ndarray:
        """The value in each bootstrap sample, (N_BOOT,), the same for measures of one size."""
        total = np.full(N_BOOT, self.value)
        for source, effect in self.effects.items():
            if len(effect) > 1:
                # A bootstrap of n units underestimates the variance by (n - 1) / n, and its tails
                # are those of a normal, not of Student's t: with five seeds both matter.
                n = len(effect)
                widen = np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1) / stats.norm.ppf(0.975)
                total += widen * (_resampled_shares(source, len(effect)) @ effect)
        return total

    def __sub__(self, other: Self) -> Self:
        """The paired difference: units of the same source and number are the same units."""
        if self.name != other.name or self.dataset != other.dataset:
            raise ValueError(
                f"{self.name} on {self.dataset!r} and {other.name} on {other.dataset!r} "
                "cannot be compared."
            )
        effects = dict(self.effects)
        for source, effect in other.effects.items():
            mine = effects.get(source)
            if mine is not None and len(mine) == len(effect):
                effects[source] = mine - effect
            elif source == "image" and mine is not None:
                raise ValueError(
                    f"The two sides were measured on {len(mine)} and {len(effect)} images: "
                    "a paired comparison needs the same ones."
                )
            else:  # different trainings: two sources of chance, not one
                while source in effects:
                    source += " of the other side"
                effects[source] = -effect
        return Measure(self.name, self.value - other.value, effects, self.dataset)

    def on_other_images(self, dataset: str) -> Self:
        """The same measure, made comparable with one of `dataset` taken on other test images.

        Nothing is paired then: every source of chance counts on its own.
        """
        effects = {f"{source} of {self.dataset}": e for source, e in self.effects.items()}
        return Measure(self.name, self.value, effects, dataset)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@cache
def _resampled_shares(source: str, n: int) -> np.ndarray:
    """How often each of `n` units is drawn, over n, less its mean 1/n: float32 (N_BOOT, n).

    Seeded by source and size alone, so that paired measures meet the same samples.
    """
    rng = np.random.default_rng([n, *source.encode()])
    counts = rng.multinomial(n, np.full(n, 1 / n), size=N_BOOT)
    return ((counts - 1) / n).astype(np.float32)


def pooled(measures: Sequence[Measure], source: str = "seed") -> Measure:
    """The mean over repetitions on the same images, whose `source` becomes one of chance."""
    first = measures[0]
    if {(m.name, m.dataset) for m in measures} != {(first.name, first.dataset)}:
        raise ValueError("measures must be of one name and one data set.")
    if source in first.effects:
        raise ValueError(f"source={source!r} is pooled already.")
    effects = {key: np.mean([m.effects[key] for m in measures], axis=0) for key in first.effects}
    values = np.array([m.value for m in measures])
    if len(values) > 1:
        effects[source] = values - values.mean()
    return Measure(first.name, float(values.mean()), effects, first.dataset)


def max_t_intervals(measures: Sequence[Measure], level: float = LEVEL) -> list[tuple[float, float]]:
    """Intervals that hold for a whole family at once, by the bootstrap max-t method.

    Westfall and Young (1993), Resampling-based multiple testing.
    """
    values = np.array([m.value for m in measures])
    samples = np.stack([m.replicates() for m in measures])
    spread = samples.std(axis=1)
    t = np.abs(samples - values[:, None]) / np.maximum(spread, 1e-12)[:, None]
    reach = np.quantile(t.max(axis=0), level) * spread
    return [(float(v - r), float(v + r)) for v, r in zip(values, reach, strict=True)]
