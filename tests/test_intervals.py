import numpy as np
import pytest

from embedlab.measure.intervals import Measure, max_t_intervals, pooled


def accuracy(rng, p=0.8, n=400, **units) -> Measure:
    return Measure.from_units("linear", "digits", image=rng.random(n) < p, **units)


def test_interval_of_an_accuracy_covers_the_truth_about_19_times_in_20(rng):
    inside = 0
    for _ in range(400):
        m = accuracy(rng, p=0.8, n=200)
        inside += m.low <= 0.8 <= m.high
    assert 0.91 <= inside / 400 <= 0.98


def test_seeds_are_a_source_of_chance(rng):
    """With few seeds the interval must cover the mean over all seeds, not only over those seen."""
    inside, trials = 0, 400
    for _ in range(trials):
        seeds = rng.normal(0.8, 0.05, size=5)
        m = Measure("linear", float(seeds.mean()), {"seed": seeds - seeds.mean()})
        inside += m.low <= 0.8 <= m.high
    assert 0.85 <= inside / trials <= 0.97


def test_paired_difference_is_narrower_than_an_unpaired_one(rng):
    hard = rng.random(500)
    a = Measure.from_units("map", image=hard + 0.05)
    b = Measure.from_units("map", image=hard + rng.normal(0, 0.01, 500))
    paired = a - b
    assert paired.value == pytest.approx(a.value - b.value)
    assert paired.high - paired.low < 0.1 * (a.high - a.low)
    unpaired = Measure("map", a.value, a.effects, "elsewhere").on_other_images("") - b
    assert unpaired.high - unpaired.low > a.high - a.low


def test_different_numbers_of_seeds_are_not_paired(rng):
    a, b = (
        Measure("map", 0.5, {"image": np.zeros(10), "seed": rng.normal(size=n)}) for n in (3, 5)
    )
    assert set((a - b).effects) == {"image", "seed", "seed of the other side"}


def test_what_cannot_be_compared_is_refused():
    a = Measure.from_units("map", "digits", image=np.ones(4))
    with pytest.raises(ValueError, match="cannot be compared"):
        a - Measure.from_units("linear", "digits", image=np.ones(4))
    with pytest.raises(ValueError, match="cannot be compared"):
        a - Measure.from_units("map", "faces", image=np.ones(4))
    with pytest.raises(ValueError, match="4 and 5 images"):
        a - Measure.from_units("map", "digits", image=np.ones(5))


def test_five_shot_counts_draws_and_images(rng):
    draws = rng.normal(0.8, 0.05, 10)
    image = rng.random(400) < 0.8
    image = image - image.mean() + draws.mean()
    both = Measure.from_units("five_shot", image=image, draw=draws)
    one = Measure.from_units("five_shot", image=image)
    assert both.high - both.low > one.high - one.low


def test_pooled_keeps_images_and_adds_seeds(rng):
    parts = [accuracy(rng, p) for p in (0.7, 0.8, 0.9)]
    m = pooled(parts)
    assert m.value == pytest.approx(np.mean([p.value for p in parts]))
    np.testing.assert_allclose(m.effects["seed"], [p.value - m.value for p in parts])
    assert len(m.effects["image"]) == 400
    assert "seed" not in pooled(parts[:1]).effects


def test_simultaneous_intervals_are_wider_than_single_ones(rng):
    family = [accuracy(rng) for _ in range(8)]
    for m, (low, high) in zip(family, max_t_intervals(family), strict=True):
        assert low < m.low
        assert high > m.high
    assert max_t_intervals(family[:1])[0] == pytest.approx(family[0].interval(), abs=0.01)


def test_replicates_are_the_same_each_time(rng):
    m = accuracy(rng)
    np.testing.assert_array_equal(m.replicates(), m.replicates())
