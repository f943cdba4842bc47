"""Embedders: each a scikit-learn transformer from images to vectors, one idea a file."""

from embedlab.embedders.lenet import LeNet5, RandomEncoder
from embedlab.embedders.linear import LDA, PCA, KernelLDA, KernelPCA, Pixels
from embedlab.embedders.text import LetterNgrams, MiniLM, OneHot

__all__ = [
    "LDA",
    "PCA",
    "KernelLDA",
    "KernelPCA",
    "LeNet5",
    "LetterNgrams",
    "MiniLM",
    "OneHot",
    "Pixels",
    "RandomEncoder",
]
