"""Mistakes that lesson 07 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "the first layer for every layer",
        ("07",),
        "embedlab/embedders/text.py",
        "return out.hidden_states[self.layer]",
        "return out.hidden_states[0]",
    ),
    Mutant(
        "a text pooled with its padding, by the package",
        ("07",),
        "embedlab/embedders/text.py",
        "weight = mask[:, :, None].float()  # padding does not count",
        "weight = torch.ones_like(mask)[:, :, None].float()",
    ),
    Mutant(
        "ties won",
        ("07",),
        "embedlab/lessons/lesson_07/measures.py",
        "np.where(np.abs(gap) < 1e-6, 0.5, gap > 0)",
        "gap > -1e-6",
    ),
    Mutant(
        "a word in its own company",
        ("07",),
        "embedlab/lessons/lesson_07/measures.py",
        "around = ~word & ~np.isin(",
        "around = ~np.isin(",
    ),
    Mutant(
        "senses of a word mixed",
        ("07",),
        "embedlab/lessons/lesson_07/measures.py",
        "vectors.reshape(len(HOMONYMS), 2, -1, vectors.shape[1])",
        "vectors.reshape(len(HOMONYMS), -1, 2, vectors.shape[1]).swapaxes(1, 2)",
    ),
    Mutant(
        "attention read the wrong way",
        ("07",),
        "embedlab/lessons/lesson_07/measures.py",
        "looks = maps.mean(axis=(0, 1))[end[own]]",
        "looks = maps.mean(axis=(0, 1))[:, end[own]]",
    ),
    Mutant(
        "a letter turned the other way",
        ("07",),
        "embedlab/lessons/lesson_07/measures.py",
        "cosine[k, (k - place) % n]",
        "cosine[k, (k + place) % n]",
    ),
    Mutant(
        "words shown that should be hidden",
        ("07",),
        "embedlab/lessons/lesson_07/masked.py",
        "return torch.where(chosen, spoilt, words), chosen & (words != RARE)",
        "return words, chosen & (words != RARE)",
    ),
    Mutant(
        "documentation with its tests",
        ("07",),
        "embedlab/lessons/lesson_07/reading.py",
        'LEFT_OUT = {"tests", ',
        "LEFT_OUT = {",
    ),
)
