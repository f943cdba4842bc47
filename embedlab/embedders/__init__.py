"""Embedders: each a scikit-learn transformer from images to vectors, one idea a file."""

from embedlab.embedders.autoencoder import Autoencoder
from embedlab.embedders.clip import CLIP
from embedlab.embedders.data2vec import Data2Vec
from embedlab.embedders.lenet import LeNet5
from embedlab.embedders.linear import LDA, PCA, KernelLDA, KernelPCA, Pixels
from embedlab.embedders.mae import MAE
from embedlab.embedders.pretrained import Pretrained
from embedlab.embedders.simclr import SimCLR
from embedlab.embedders.text import LetterNgrams, OneHot, TextEmbedder
from embedlab.embedders.triplet import Triplet
from embedlab.embedders.untrained import Untrained
from embedlab.embedders.vit import ViT

__all__ = [
    "CLIP",
    "LDA",
    "MAE",
    "PCA",
    "Autoencoder",
    "Data2Vec",
    "KernelLDA",
    "KernelPCA",
    "LeNet5",
    "LetterNgrams",
    "OneHot",
    "Pixels",
    "Pretrained",
    "SimCLR",
    "TextEmbedder",
    "Triplet",
    "Untrained",
    "ViT",
]
