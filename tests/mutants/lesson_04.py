"""Mistakes that lesson 04 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "NT-Xent with the diagonal left in",
        ("04",),
        "embedlab/embedders/simclr.py",
        "logits = logits.masked_fill(itself, -torch.inf)",
        "logits = logits + 0 * itself",
    ),
    Mutant(
        "half the temperature",
        ("04",),
        "embedlab/embedders/simclr.py",
        "logits = z @ z.T / temperature",
        "logits = z @ z.T / (temperature / 2)",
    ),
    Mutant(
        "NT-Xent without its temperature",
        ("04",),
        "embedlab/embedders/simclr.py",
        "logits = z @ z.T / temperature",
        "logits = z @ z.T",
    ),
    Mutant(
        "positives that show another image",
        ("04",),
        "embedlab/embedders/simclr.py",
        "partner = torch.arange(2 * n, device=z.device).roll(n)",
        "partner = torch.arange(2 * n, device=z.device).roll(n + 1)",
    ),
    Mutant(
        "one of the usual views left out",
        ("04",),
        "embedlab/embedders/shared/contrastive.py",
        "    Elastic(strength=0.1, points=5),\n",
        "",
    ),
    Mutant(
        "two views that are one",
        ("04",),
        "embedlab/embedders/shared/contrastive.py",
        "views = view(torch.cat([batch, batch]), generator)",
        "views = view(batch, generator).repeat(2, 1, 1, 1)",
    ),
    Mutant(
        "the head passed off as the encoder",
        ("04",),
        "embedlab/embedders/shared/contrastive.py",
        'return vectors if self.layer == "encoder" else',
        'return vectors if self.layer == "none" else',
    ),
    Mutant(
        "a triplet's negative that is its positive",
        ("04",),
        "embedlab/embedders/triplet.py",
        "too_near = itself | (distance <= positive)",
        "too_near = distance < positive",
    ),
)
