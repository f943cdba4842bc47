"""Mistakes that lesson 02 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "the wrong layer",
        ("02",),
        "embedlab/embedders/lenet.py",
        "return layers[self.layer].flatten(1)",
        'return layers["c5" if self.layer == "fc84" else self.layer].flatten(1)',
    ),
    Mutant(
        "logits in place of fc84",
        ("02",),
        "embedlab/embedders/lenet.py",
        "return layers[self.layer].flatten(1)",
        'return layers["logits" if self.layer == "fc84" else self.layer].flatten(1)',
    ),
    Mutant(
        "LeNet-5 taught with a tenth of wrong labels",
        ("02",),
        "embedlab/embedders/lenet.py",
        "images, target = as_tensor(X).to(device), as_tensor(target).to(device)",
        "target = np.where(np.arange(len(X)) % 10 + (self.embed_dim != 84), target, "
        "(target + 1) % len(classes))\n"
        "        images, target = as_tensor(X).to(device), as_tensor(target).to(device)",
    ),
    Mutant(
        "LeNet-5 of nine units taught with a tenth of wrong labels",
        ("02",),
        "embedlab/embedders/lenet.py",
        "images, target = as_tensor(X).to(device), as_tensor(target).to(device)",
        "target = np.where(np.arange(len(X)) % 10 + (self.embed_dim != 9), target, "
        "(target + 1) % len(classes))\n"
        "        images, target = as_tensor(X).to(device), as_tensor(target).to(device)",
    ),
    Mutant(
        "LeNet-5 taught with labels of other images",
        ("02",),
        "embedlab/embedders/lenet.py",
        "return F.cross_entropy(network(batch), target[index])",
        "return F.cross_entropy(network(batch), target[index].roll(1))",
    ),
    Mutant(
        "augmentation left out",
        ("02",),
        "embedlab/embedders/lenet.py",
        "batch = view(images[index], generator)",
        "batch = images[index]",
    ),
    Mutant(
        "mistakes that hit the right label",
        ("02",),
        "embedlab/data/labels.py",
        "shift = rng.integers(1, len(classes), len(wrong))",
        "shift = rng.integers(0, len(classes), len(wrong))",
    ),
    Mutant(
        "left-out classes that are not left out",
        ("02",),
        "embedlab/lessons/lesson_02/experiments.py",
        "seen = images.train[~np.isin(images.train.y, new)]",
        "seen = images.train",
    ),
    Mutant(
        "logits passed off as softmax",
        ("02",),
        "embedlab/embedders/lenet.py",
        'layers["softmax"] = layers["logits"].softmax(dim=1)',
        'layers["softmax"] = layers["logits"]',
    ),
)
