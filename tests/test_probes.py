import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from embedlab.measure import probes, retrieval, scoreboard
from embedlab.measure.intervals import Measure


def blobs(rng, n=90, classes=3, spread=1.0, dim=6):
    y = np.arange(n) % classes
    centres = rng.normal(size=(classes, dim)) * 2
    return (centres[y] + spread * rng.normal(size=(n, dim))).astype(np.float32), y


def brute_force_ap(v, y, gallery, query):
    """Average precision of one query by scikit-learn, the query itself not in the gallery."""
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    others = gallery[gallery != query]
    return average_precision_score(y[others] == y[query], unit[others] @ unit[query])


def test_map_is_sklearns_mean_average_precision(rng):
    v, y = blobs(rng)
    everyone = np.arange(len(y))
    right = np.mean([brute_force_ap(v, y, everyone, q) for q in everyone])
    assert retrieval.mean_average_precision(v, y).mean() == pytest.approx(right, abs=1e-5)


def test_map_does_not_depend_on_block_size(rng):
    v, y = blobs(rng)
    whole = retrieval.mean_average_precision(v, y)
    np.testing.assert_allclose(retrieval.mean_average_precision(v, y, block=7), whole, atol=1e-4)


def test_map_pseudo_values_are_the_jackknifes(rng):
    """Contributions predict what leaving an image out, as query and as answer, does to mAP."""
    v, y = blobs(rng, n=60)
    pseudo = retrieval.mean_average_precision(v, y)
    rests = [np.delete(np.arange(60), i) for i in range(60)]
    left_out = [retrieval.mean_average_precision(v[rest], y[rest]).mean() for rest in rests]
    jackknife = 60 * pseudo.mean() - 59 * np.array(left_out)
    assert np.corrcoef(pseudo, jackknife)[0, 1] > 0.99
    assert pseudo.std() == pytest.approx(jackknife.std(), rel=0.1)


def full_bootstrap(v, y, rng, n_boot=300):
    """mAP of resampled test sets, computed whole; copies of a query are not in its gallery."""
    means = []
    for drawn in rng.integers(0, len(y), (n_boot, len(y))):
        answered = [q for q in drawn if (y[drawn[drawn != q]] == y[q]).any()]
        means.append(np.mean([brute_force_ap(v, y, drawn, q) for q in answered]))
    return np.array(means)


def test_map_interval_is_as_wide_as_a_bootstrap_of_queries_and_gallery(rng):
    v, y = blobs(rng, n=60, spread=2.0)
    pseudo = retrieval.mean_average_precision(v, y)
    ours = Measure.from_units("map", image=pseudo).replicates().std()
    whole = full_bootstrap(v, y, rng).std()
    assert ours == pytest.approx(whole, rel=0.2)
    # Resampling the queries alone is too narrow: that is why pseudo-values are used.
    aps = [brute_force_ap(v, y, np.arange(len(y)), q) for q in range(len(y))]
    assert np.std(aps) / np.sqrt(len(aps)) < 0.8 * whole


def test_map_of_equal_vectors_is_chance_whatever_the_order_of_the_labels():
    y = np.repeat(np.arange(10), 30)
    value = retrieval.mean_average_precision(np.ones((300, 4), np.float32), y).mean()
    assert value == pytest.approx(0.1, abs=0.03)


def test_map_takes_zero_vectors(rng):
    v, y = blobs(rng)
    v[:5] = 0
    assert np.isfinite(retrieval.mean_average_precision(v, y)).all()


def test_map_needs_two_images_of_each_class(rng):
    with pytest.raises(ValueError, match="two images of each class"):
        retrieval.mean_average_precision(rng.normal(size=(3, 2)), np.array([0, 0, 1]))


def test_cosine_not_dot_product(rng):
    """Lengths must not matter to kNN and mAP."""
    v, y = blobs(rng)
    longer = v * rng.uniform(0.1, 10, size=(len(v), 1)).astype(np.float32)
    a, b = (retrieval.mean_average_precision(x, y) for x in (v, longer))
    np.testing.assert_allclose(b, a, atol=1e-3)
    a, b = (probes.knn_probe((x[:60], y[:60]), (x[60:], y[60:])) for x in (v, longer))
    np.testing.assert_array_equal(b, a)


def test_probes_read_separable_blobs_and_not_noise(rng):
    v, y = blobs(rng, n=300, spread=0.3)
    noise = rng.normal(size=v.shape).astype(np.float32)
    for vectors, low, high in ((v, 0.95, 1.0), (noise, 0.2, 0.5)):
        for name, measure in scoreboard.measure_all(*blocks(vectors, y)).items():
            assert low <= measure.value <= high, name


def blocks(v, y):
    third = len(y) // 3
    return [(v[i * third : (i + 1) * third], y[i * third : (i + 1) * third]) for i in range(3)]


def test_linear_probe_chooses_c_on_val_and_not_on_test(rng):
    v, y = blobs(rng, n=300, spread=3.0)
    train, val, test = blocks(v, y)
    right, c = probes.linear_probe(train, val, test)
    other_test = (test[0][::-1].copy(), test[1])
    assert probes.linear_probe(train, val, other_test)[1] == c
    assert set(right) <= {0.0, 1.0}


def test_few_shot_draws_are_stratified_and_the_same_for_everybody():
    y = np.repeat([0, 1, 2], 20)
    draws = probes.few_shot_draws(y)
    assert len(draws) == 10
    for draw in draws:
        np.testing.assert_array_equal(np.bincount(y[draw]), [5, 5, 5])
        assert len(set(draw)) == 15
    np.testing.assert_array_equal(draws, probes.few_shot_draws(y))
    with pytest.raises(ValueError, match="shots=5"):
        probes.few_shot_draws(np.array([0, 0, 1, 1]))


def test_mean_cosine(rng):
    v = rng.normal(size=(50, 8))
    unit = v / np.linalg.norm(v, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[~np.eye(50, dtype=bool)]
    assert retrieval.mean_cosine(v) == pytest.approx(cosines.mean(), abs=1e-6)
    assert retrieval.mean_cosine(np.ones((5, 3))) == pytest.approx(1.0)


def test_probes_do_not_blow_up_rounding(rng):
    """A number that varies by a ten-millionth of the others must not change what is measured."""
    y = np.repeat(np.arange(5), 40)
    v = np.eye(5)[y] + rng.normal(size=(200, 5))
    longer = np.hstack([v, 1e-7 * rng.normal(size=(200, 20))])
    parts, with_noise = ([(a[i::2], y[i::2]) for i in range(2)] for a in (v, longer))
    for probe in (lambda a, b: probes.linear_probe(a, b, b)[0], probes.few_shot):
        np.testing.assert_array_equal(probe(*with_noise), probe(*parts))
