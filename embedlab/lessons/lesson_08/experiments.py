"""Lesson 08: what every layer of a real network knows, and frozen features against other methods.

On ``photo-crops``; and on ``folder:cifar10-jpeg``, 6,000 colour images of ten classes of things:
CIFAR-10 saved as JPEG, of each class the first 500 training images as train, the next 50 as val,
the first 50 test images as test. JPEG loses detail: its scores are not CIFAR-10's.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from embedlab.data.images import Images, as_tensor
from embedlab.embedders import KernelLDA, Pixels
from embedlab.embedders.pretrained import Pretrained
from embedlab.embedders.shared.conv import ConvEncoder
from embedlab.embedders.shared.network import LabelledNetwork
from embedlab.lessons.experiments import Experiment, fitted, scored
from embedlab.lessons.few_labels import few_shot_row
from embedlab.lessons.lesson_08.layers import LAYERS, beside_its_class, looks, read_layers
from embedlab.measure.intervals import Measure
from embedlab.measure.probes import few_shot, few_shot_draws, linear_probe
from embedlab.measure.properties import r2_probe
from embedlab.measure.retrieval import mean_average_precision, mean_cosine
from embedlab.measure.scoreboard import Row, measure_all
from embedlab.training.augment import Flip, ResizedCrop
from embedlab.training.device import pick_device
from embedlab.training.loop import in_batches, seeded

SPLITS = ("train", "val", "test")
EQUAL = 16  # numbers that every layer is brought to: as many as the narrowest has
SHOTS = (5, 50, 500)  # labels a class; all there are, where a set has fewer
DRAWS = 3  # of these labels


def untrained(seed: int = 0) -> Pretrained:
    """EfficientNet-Lite0 with random weights, read as the trained one is."""
    import timm

    out = Pretrained().fit()
    with seeded(seed):
        out.network_ = timm.create_model("tf_efficientnet_lite0").eval()
    return out


def vectors_of(pretrained: Pretrained, images: Images, layers=LAYERS) -> dict[str, dict]:
    """By layer and split: (N, D)."""
    read = {key: read_layers(pretrained, getattr(images, key).x, layers) for key in SPLITS}
    return {layer: {key: read[key][layer] for key in SPLITS} for layer in layers}


def layer_row(vectors: dict[str, np.ndarray], images: Images, name: str) -> Row:
    """What a layer knows, vectors (N, D) by split, brought to :data:`EQUAL` numbers by PCA.

    Returns
    -------
    Row
        ``light``, ``colour``, ``texture``, ``direction``: R squared of how an image differs in it
        from others of its class. ``class``: accuracy of a linear probe. ``map``: of the layer as
        it is.
    """
    y = {key: getattr(images, key).y for key in SPLITS}
    cut = PCA(EQUAL, random_state=0).fit(vectors["train"])
    short = {key: cut.transform(v) for key, v in vectors.items()}
    seen = {key: looks(getattr(images, key).x) for key in SPLITS}
    measures = {}
    for what in seen["train"]:
        beside = beside_its_class({key: seen[key][what] for key in SPLITS}, y)
        pairs = ((short[key], beside[key]) for key in SPLITS)
        measures[what] = r2_probe(*pairs, dataset=images.name)
    right, _ = linear_probe(*((short[key], y[key]) for key in SPLITS))
    measures["class"] = Measure.from_units("linear", images.name, image=right)
    ap = mean_average_precision(vectors["test"], y["test"])
    measures["map"] = Measure.from_units("map", images.name, image=ap)
    return Row(name, images.name, measures, vectors["test"].shape[1], "labels")


def vector_row(
    vectors: dict[str, np.ndarray], images: Images, name: str, supervision: str = "labels"
) -> Row:
    """The whole yardstick of vectors (N, D) by split; the labels may be those of ImageNet."""
    parts = {key: (vectors[key], getattr(images, key).y) for key in SPLITS}
    return Row(
        name,
        images.name,
        measure_all(**parts, dataset=images.name),
        vectors["test"].shape[1],
        supervision,
        mean_cosine(vectors["test"]),
    )


def nine_numbers(vectors: dict[str, np.ndarray], images: Images) -> dict[str, np.ndarray]:
    """Vectors (N, D) by split, cut by LDA to one number less than there are classes."""
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1)
    lda.fit(vectors["train"], images.train.y)
    return {key: lda.transform(v).astype(np.float32) for key, v in vectors.items()}


def _network_rows(name: str, start, layers, seed: int, images: Images) -> list[Row]:
    vectors = vectors_of(start(), images, layers)
    last = vectors[layers[-1]]
    learned = "none" if name.startswith("random") else "labels"
    rows = [vector_row(last, images, name, learned)]
    rows.append(vector_row(nine_numbers(last, images), images, f"{name}, short"))
    if layers == LAYERS:
        rows += [layer_row(v, images, f"{name} {layer}") for layer, v in vectors.items()]
    train, test = ((last[key], getattr(images, key).y) for key in ("train", "test"))
    most = int(np.bincount(images.train.y).min())
    for k in SHOTS:
        right = few_shot(train, test, shots=min(k, most), draws=DRAWS)
        rows.append(few_shot_row(right, images, f"{name}: {k}"))
    return rows


def _mirrored_too(name: str, seed: int, images: Images) -> list[Row]:
    """Kernel LDA at its best: every training image also mirrored, and many landmarks."""
    x = np.concatenate([images.train.x, images.train.x[..., ::-1]])
    embedder = KernelLDA(n_landmarks=2_000, seed=seed).fit(x, np.tile(images.train.y, 2))
    return scored(embedder, images, name)


BEST = "kernel LDA, 2,000 landmarks, mirrored too"

real_features = Experiment(
    name="real-features",
    about="A network trained on ImageNet, layer by layer, beside traditional methods.",
    conditions={
        name: partial(_network_rows, name, start, LAYERS)
        for name, start in (
            ("EfficientNet-Lite0", lambda: Pretrained().fit()),
            ("random EfficientNet-Lite0", untrained),
        )
    }
    | fitted({"pixels": lambda seed: Pixels(), "kernel LDA": KernelLDA})
    | {BEST: partial(_mirrored_too, BEST)},
    datasets=("photo-crops",),
    seeds=(0,),
)


def _squeezenet() -> Pretrained:
    return Pretrained("squeezenet1_0").fit()


second_backbone = Experiment(
    name="second-backbone",
    about="SqueezeNet 1.0, where torchvision's weights of it are in TORCH_HOME.",
    conditions={
        "SqueezeNet 1.0": partial(_network_rows, "SqueezeNet 1.0", _squeezenet, ("features",))
    },
    datasets=("photo-crops",),
    seeds=(0,),
)

# --- how large the picture is -------------------------------------------------------------------

SIDES = (32, 64, 96, 128)
OWN = "its own preprocessing"


def _at_side(side: int, name: str, seed: int, images: Images) -> list[Row]:
    real = Pretrained().fit()
    read = {key: read_layers(real, getattr(images, key).x, LAYERS[-1:], side) for key in SPLITS}
    return [vector_row({key: v[LAYERS[-1]] for key, v in read.items()}, images, name)]


def _as_it_wants(name: str, seed: int, images: Images) -> list[Row]:
    return scored(Pretrained().fit(), images, name)


input_side = Experiment(
    name="input-side",
    about="EfficientNet-Lite0 on images enlarged to sides of 32 to 128, and as it wants them, 224.",
    conditions={OWN: partial(_as_it_wants, OWN)}
    | {name: partial(_at_side, side, name) for side in SIDES for name in [str(side)]},
    datasets=("photo-crops",),
    seeds=(0,),
)

# --- from scratch -------------------------------------------------------------------------------

MIRROR_AND_CROP = (ResizedCrop(area=0.5), Flip())
STEPS, EPOCHS = 800, 40  # whichever is longer


@dataclass(eq=False, repr=False)
class SmallNet(LabelledNetwork):
    """The course's small convolutional encoder and an output layer, taught from nothing."""

    augment: tuple = MIRROR_AND_CROP

    def _build(self, channels, n_out):
        return nn.Sequential(ConvEncoder(channels, width=32), nn.Linear(128, n_out))

    def _fit(self, X, y):
        classes, target = np.unique(y, return_inverse=True)
        network, device = self._new_network(X.shape[1], len(classes)), pick_device()
        images, target = as_tensor(X).to(device), torch.from_numpy(target).to(device)
        view = self._view()

        def loss(network, index, generator):
            return F.cross_entropy(network(view(images[index], generator)), target[index])

        epochs = self.epochs or max(EPOCHS, STEPS // max(1, len(X) // self.batch_size))
        self._train(network, loss, len(X), epochs)
        self.classes_ = classes

    def _transform(self, X):
        return in_batches(self.network_, self.network_[0], X)

    def _logits(self, X):
        return in_batches(self.network_, self.network_, X)


def scratch_row(shots: int, seed: int, images: Images, name: str) -> Row:
    """A network taught from nothing with the labels of draw `seed` of the yardstick's."""
    shots = min(shots, int(np.bincount(images.train.y).min()))
    some = images.train[few_shot_draws(images.train.y, shots, draws=DRAWS)[seed]]
    network = SmallNet(seed=seed).fit(some.x, some.y)
    right = (network.predict(images.test.x) == images.test.y).astype(float)
    measure = Measure.from_units("five_shot", images.name, image=right)
    return Row(name, images.name, {"few_shot": measure}, supervision="labels")


def _scratch(shots: int, name: str, seed: int, images: Images) -> list[Row]:
    return [scratch_row(shots, seed, images, name)]


from_scratch = Experiment(
    name="from-scratch",
    about="A small network taught from nothing with 5, 50 and 500 labels a class.",
    conditions={name: partial(_scratch, k, name) for k in SHOTS for name in [f"small net: {k}"]},
    datasets=("photo-crops",),
    seeds=tuple(range(DRAWS)),
    repeats="draw",
)
