"""Embedders: each a scikit-learn transformer from images to vectors, one idea a file."""

from embedlab.embedders.autoencoder import Autoencoder
from embedlab.embedders.conv import RandomConv
from embedlab.embedders.lenet import LeNet5, RandomEncoder
from embedlab.embedders.linear import LDA, PCA, KernelLDA, KernelPCA, Pixels
from embedlab.embedders.simclr import SimCLR
from embedlab.embedders.text import LetterNgrams, MiniLM, OneHot
from embedlab.embedders.triplet import Triplet

__all__ = [
    "LDA",
    "PCA",
    "Autoencoder",
    "KernelLDA",
    "KernelPCA",
    "LeNet5",
    "LetterNgrams",
    "MiniLM",
    "OneHot",
    "Pixels",
    "RandomConv",
    "RandomEncoder",
    "SimCLR",
    "Triplet",
]
