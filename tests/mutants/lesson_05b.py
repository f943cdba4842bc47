"""Mistakes that lesson 05b must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "one mask for all images",
        ("05b",),
        "embedlab/embedders/shared/masking.py",
        "order = torch.rand(n, tokens, generator=generator).argsort(dim=1)",
        "order = torch.rand(1, tokens, generator=generator).argsort(dim=1).repeat(n, 1)",
    ),
    Mutant(
        "a predictor that is not told where",
        ("05b",),
        "embedlab/embedders/shared/masking.py",
        "asked = self.mask_token + pick(positions, hidden)",
        "asked = self.mask_token + 0 * pick(positions, hidden)",
    ),
    Mutant(
        "a teacher that is the student",
        ("05b",),
        "embedlab/embedders/data2vec.py",
        "mine.lerp_(theirs, 1 - decay)",
        "mine.copy_(theirs)",
    ),
    Mutant(
        "a teacher that never learns",
        ("05b",),
        "embedlab/embedders/data2vec.py",
        "mine.lerp_(theirs, 1 - decay)",
        "mine.lerp_(theirs, 0.0)",
    ),
    Mutant(
        "targets that are not normalised",
        ("05b",),
        "embedlab/embedders/data2vec.py",
        "features = [F.instance_norm(f.transpose(1, 2)).transpose(1, 2) for f in features]",
        "pass",
    ),
    Mutant(
        "fine-tuning that begins from nothing",
        ("05b",),
        "embedlab/embedders/vit.py",
        "encoder.load_state_dict(self.encoder.state_dict())",
        "pass",
    ),
)
