"""Who judges the drawings: classifiers of real pictures."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import nn

from embedlab.data import captions
from embedlab.data.images import Images, as_tensor
from embedlab.data.scenes import compose
from embedlab.embedders.shared.conv import ConvEncoder
from embedlab.measure.intervals import Measure
from embedlab.training.augment import Affine
from embedlab.training.device import pick_device
from embedlab.training.draws import Dropout
from embedlab.training.loop import in_batches, seeded, train


@dataclass(frozen=True)
class Classifier:
    """A classifier of real pictures that never sees a drawing."""

    network: nn.Module  # images to a number for each answer
    ceiling: Measure  # its accuracy on real pictures of the test images

    def right(self, x: np.ndarray, answer: np.ndarray, dataset: str = "") -> Measure:
        """How often pictures (N, C, 32, 32) show what they should, (N,)."""
        guess = in_batches(self.network, self.network, x).argmax(axis=1)
        return Measure.from_units("accuracy", dataset, image=guess == answer)


# What each judge is asked of a kind of scene: a whole number.
QUESTIONS = {
    "one": lambda scenes: scenes.y,
    "several": lambda scenes: scenes.count,
    "two": lambda scenes: np.sort(scenes.objects[:, :2], axis=1) @ np.array([10, 1]),
}


def train_classifier(
    images: Images, kind: str = "one", n: int = 10_000, epochs: int = 10
) -> Classifier:
    """Teach a judge with real scenes of the training images.

    Parameters
    ----------
    kind : str
        ``"one"``: which object? ``"several"``: how many? ``"two"``: which two, in any order?
    n : int
        Scenes.
    """
    nouns, ask = captions.nouns(images.class_names), QUESTIONS[kind]
    known = compose(images.train, nouns, n, kinds=(kind,), seed=101)
    real = compose(images.test, nouns, 1_000, kinds=(kind,), seed=102)
    answer = ask(known)
    with seeded(0):
        network = nn.Sequential(
            ConvEncoder(known.x.shape[1], 128, width=32),
            Dropout(0.3),
            nn.Linear(128, int(answer.max()) + 1),
        )
    device, view = pick_device(), Affine()
    x, y = as_tensor(known.x).to(device), as_tensor(answer).to(device)

    def loss(network, index, generator):
        return F.cross_entropy(network(view(x[index], generator)), y[index])

    train(
        network,
        loss,
        n,
        epochs=epochs,
        batch_size=64,
        lr=3e-3,
        weight_decay=0.05,
        seed=0,
        device=device,
        fast=False,
        label=f"classifier of {kind}",
    )
    unjudged = Classifier(network, Measure("accuracy", 0.0))
    return Classifier(network, unjudged.right(real.x, ask(real), images.name))
