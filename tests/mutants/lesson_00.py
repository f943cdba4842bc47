"""Mistakes that lesson 00 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "the sentence vector is the first token's",
        ("00",),
        "embedlab/embedders/text.py",
        "whole = (tokens * weight).sum(1) / weight.sum(1)",
        "whole = tokens[:, 0]",
    ),
    Mutant(
        "letter n-grams that count whole words",
        ("00",),
        "embedlab/embedders/text.py",
        'analyzer="char_wb"',
        'analyzer="word"',
    ),
)
