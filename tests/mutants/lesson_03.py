"""Mistakes that lesson 03 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a reconstruction that hands the image back",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "return self.decode(self.transform(X))",
        "return np.asarray(X)",
    ),
    Mutant(
        "an autoencoder that rebuilds the noise",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "return F.binary_cross_entropy_with_logits(logits, clean)",
        "return F.binary_cross_entropy_with_logits(logits, clean + self.noise * noise)",
    ),
    Mutant(
        "an autoencoder without noise",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "logits = network(clean + self.noise * noise)",
        "logits = network(clean)",
    ),
    Mutant(
        "half a bottleneck",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "return in_batches(self.network_, self.network_.encoder, X)",
        "v = in_batches(self.network_, self.network_.encoder, X)\n"
        "        return np.where(np.arange(v.shape[1]) % 2, 0, v)",
    ),
    Mutant(
        "faces whose labels are swapped",
        ("03",),
        "embedlab/data/sets/faces.py",
        "y = np.repeat(np.array([1, 0]), 100)",
        "y = np.repeat(np.array([0, 1]), 100)",
    ),
    Mutant(
        "neighbours that share more than they do",
        ("03",),
        "embedlab/measure/properties.py",
        "chance = from_others.mean()",
        "chance = 2 * from_others.mean()",
    ),
)
