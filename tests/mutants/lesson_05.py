"""Mistakes that lesson 05 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "patches column by column",
        ("05",),
        "embedlab/embedders/shared/patches.py",
        "return x.permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, -1)",
        "return x.permute(0, 4, 2, 1, 3, 5).reshape(n, rows * columns, -1)",
    ),
    Mutant(
        "rollout without the skip connection",
        ("05",),
        "embedlab/lessons/lesson_05/attention.py",
        "mixing = (attention.mean(axis=2) + np.eye(attention.shape[-1])) / 2",
        "mixing = attention.mean(axis=2)",
    ),
    Mutant(
        "distances in patches, not in pixels",
        ("05",),
        "embedlab/lessons/lesson_05/attention.py",
        "place = np.indices((side, side)).reshape(2, -1).T * patch_size",
        "place = np.indices((side, side)).reshape(2, -1).T",
    ),
    Mutant(
        "a two-layer network that is taught other places",
        ("05",),
        "embedlab/lessons/lesson_05/experiments.py",
        "model = make_pipeline(StandardScaler(), network).fit(features(x), place)",
        "model = make_pipeline(StandardScaler(), network).fit(features(x), place[::-1])",
    ),
)
