"""Mistakes that lesson 01 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a reconstruction that hands the image back",
        ("01",),
        "embedlab/embedders/linear.py",
        "flat = self.estimator_.inverse_transform(vectors)",
        "flat = np.asarray(X)",
    ),
)
