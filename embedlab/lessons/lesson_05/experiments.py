"""Lesson 05: positions, pooling and patches of a ViT, and where in an image its tokens look."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from embedlab.data.images import Images, Split
from embedlab.embedders import Untrained, ViT
from embedlab.embedders.shared.patch_embedder import PatchEmbedder
from embedlab.embedders.shared.patches import from_patches, to_patches
from embedlab.lessons.experiments import Experiment, fitted
from embedlab.lessons.lesson_05.attention import patch_distances
from embedlab.measure.intervals import Measure
from embedlab.measure.probes import accuracy
from embedlab.measure.scoreboard import Row, score
from embedlab.search.exact import normalize
from embedlab.training.augment import Flip

# --- choices ------------------------------------------------------------------------------------

CHOICES = {
    "patches of 4": {"patch_size": 4},  # the longest first
    "patches of 8": {},
    "patches of 16": {"patch_size": 16},
    "CLS": {"global_pool": "cls"},
    "sincos": {"pos_embed": "sincos"},
    "no positions": {"pos_embed": "none"},
}


def shuffled_patches(x: np.ndarray, patch_size: int, seed: int = 0) -> np.ndarray:
    """Images (N, C, H, H) whose patches have changed places, each in its own way."""
    patches = to_patches(torch.tensor(x), patch_size)
    order = np.random.default_rng(seed).random(patches.shape[:2]).argsort(axis=1)
    mixed = np.take_along_axis(patches.numpy(), order[:, :, None], axis=1)
    return from_patches(torch.from_numpy(mixed), patch_size).numpy()


def choice_rows(vit: ViT, images: Images, name: str) -> list[Row]:
    """The yardstick, and a ViT's own accuracy on images and on shuffled patches."""
    row = score(vit, images, name)
    mixed = Split(shuffled_patches(images.test.x, vit.patch_size), images.test.y)
    row.measures["accuracy"] = accuracy(vit, images.test, images.name)
    row.measures["accuracy_shuffled"] = accuracy(vit, mixed, images.name)
    return [row]


def both_poolings(vit: ViT, images: Images, name: str) -> list[Row]:
    """As :func:`choice_rows`, and read by the other pooling: ``"<name>, read by CLS"``."""
    other, words = ("cls", "CLS") if vit.global_pool == "mean" else ("mean", "mean")
    read = score(vit.at(global_pool=other), images, f"{name}, read by {words}")
    return [*choice_rows(vit, images, name), read]


def _vits(*names: str) -> dict:
    return {name: partial(ViT, **CHOICES[name]) for name in names}


vit_choices = Experiment(
    name="vit-choices",
    about="A ViT with other patches, positions and pooling; and on images of shuffled patches.",
    conditions=fitted(_vits(*CHOICES), choice_rows)
    | fitted(_vits("patches of 8", "CLS"), both_poolings),
)

positions = Experiment(
    name="positions",
    about="A ViT with positions and without, where things have no fixed place.",
    conditions=fitted(_vits("patches of 8", "no positions"), choice_rows),
    datasets=("photo-crops",),
)

# --- what positions learn -----------------------------------------------------------------------

ON_CROPS = {"patch_size": 4, "depth": 2, "epochs": 15, "batch_size": 32}


def cosines(positions: np.ndarray) -> np.ndarray:
    """Cosine of each vector (T, D) with each other, (T, T)."""
    unit = normalize(positions)
    return unit @ unit.T


def nearness(positions: np.ndarray, patch_size: int, dataset: str = "") -> Measure:
    """How well the cosines of position embeddings (T, D) tell which patches are near.

    ``"correlation"``: for each patch that of the cosines with all others and the distances, its
    sign turned; 0 where they have nothing to do with each other.
    """
    t = len(positions)
    others = ~np.eye(t, dtype=bool)
    distances = patch_distances(round(t**0.5), patch_size)[others].reshape(t, t - 1)
    cosine = cosines(positions)[others].reshape(t, t - 1)
    far, alike = (a - a.mean(axis=1, keepdims=True) for a in (distances, cosine))
    norms = np.linalg.norm(far, axis=1) * np.linalg.norm(alike, axis=1)
    return Measure.from_units("correlation", dataset, patch=-(far * alike).sum(axis=1) / norms)


def positions_of(embedder: PatchEmbedder) -> np.ndarray:
    """The position embeddings (T, embed_dim) of the patches of a fitted embedder."""
    return embedder.network_["encoder"].pos_embed[0, 1:].detach().numpy()


VIEWS = {"turned and shifted": True, "mirrored": (Flip(),)}


def _map_rows(vit: ViT, images: Images, name: str) -> list[Row]:
    measures = {
        "correlation": nearness(positions_of(vit), vit.patch_size, images.name),
        "accuracy": accuracy(vit, images.test, images.name),
    }
    return [Row(name, images.name, measures, supervision="labels")]


position_maps = Experiment(
    name="position-maps",
    about="Do learned positions tell which patches are near? With black rims to see, and without.",
    conditions=fitted(
        {name: partial(ViT, **ON_CROPS, augment=views) for name, views in VIEWS.items()}, _map_rows
    ),
    datasets=("photo-crops",),
)

# --- where is the digit? ------------------------------------------------------------------------

NEAR = 4  # pixels: half a patch


def cluttered(split: Split, n: int, seed: int, pieces: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Half-size images somewhere on a dark 32x32 field, among pieces of others.

    Parameters
    ----------
    split : Split
        Whose images are used.
    n : int
        Fields; the split's images are taken in turn.
    seed : int
    pieces : int
        6x6 pixels cut from the middle of half-size images, in each field.

    Returns
    -------
    (ndarray of float32 (n, C, 32, 32), ndarray of float32 (n, 2))
        The fields, and the row and column of the whole image's middle.
    """
    rng = np.random.default_rng(seed)
    small = F.avg_pool2d(torch.tensor(split.x), 2).numpy()
    fields = np.zeros((n, *split.x.shape[1:]), np.float32)
    corner = rng.integers(0, 17, (n, 2))
    _put(fields, small[np.arange(n) % len(small)], corner)
    for others in rng.integers(0, len(small), (pieces, n)):
        cut = _window(rng.integers(2, 9, (n, 2)), 6)
        piece = small[others[:, None, None], :, *cut].transpose(0, 3, 1, 2)
        _put(fields, piece, rng.integers(0, 27, (n, 2)))
    return fields, (corner + 7.5).astype(np.float32)


def _window(corner: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (N, side, side) of a square at each corner (N, 2)."""
    rows, columns = np.indices((side, side))
    return corner[:, 0, None, None] + rows, corner[:, 1, None, None] + columns


def _put(fields: np.ndarray, x: np.ndarray, corner: np.ndarray) -> None:
    """Draw an image on each field; where both have ink, the stronger stays."""
    rows, columns = _window(corner, x.shape[2])
    at = (np.arange(len(fields))[:, None, None], slice(None), rows, columns)
    fields[at] = np.maximum(fields[at], x.transpose(0, 2, 3, 1))


def found_row(features, known, asked, name: str, dataset: str, seed: int = 0) -> Row:
    """Teach a two-layer network where the digit is, from frozen features.

    Parameters
    ----------
    features : callable
        Fields (N, C, 32, 32) to one vector each.
    known, asked : (ndarray (N, C, 32, 32), ndarray (N, 2))
        Fields and places to learn from, and to find.
    name, dataset : str
    seed : int
        Of the two-layer network.

    Returns
    -------
    Row
        ``distance``, in pixels, and ``accuracy``: the share found to half a patch.
    """
    (x, place), (x_test, place_test) = known, asked
    network = MLPRegressor(
        hidden_layer_sizes=(64,), learning_rate_init=3e-3, early_stopping=True, random_state=seed
    )
    model = make_pipeline(StandardScaler(), network).fit(features(x), place)
    distance = np.linalg.norm(model.predict(features(x_test)) - place_test, axis=1)
    return Row(
        name,
        dataset,
        {
            "distance": Measure.from_units("distance", dataset, image=distance),
            "accuracy": Measure.from_units("accuracy", dataset, image=(distance < NEAR) * 1.0),
        },
    )


def finders(vit: ViT, untrained: Untrained) -> dict[str, Callable]:
    """What the two-layer network may see of fields: functions to one vector each, by name."""
    flat = lambda tokens: tokens[:, 1:].reshape(len(tokens), -1)  # noqa: E731
    return {
        "ViT, every patch's token": lambda x: flat(vit.tokens(x)),
        "ViT, their mean": vit.transform,
        "untrained, every patch's token": lambda x: flat(untrained.embedder_.tokens(x)),
        "pixels": lambda x: x.reshape(len(x), -1),
    }


def fields_of(images: Images) -> tuple:
    """4,000 fields made of training images, and one for each test image: see `cluttered`."""
    known = cluttered(images.train, 4_000, seed=0)
    return known, cluttered(images.test, len(images.test), seed=1)


def _where(seed: int, images: Images) -> list[Row]:
    known, asked = fields_of(images)
    vit = ViT(seed=seed).fit(images.train.x, images.train.y)
    see = finders(vit, Untrained(ViT(seed=seed)).fit(images.train.x))
    return [found_row(f, known, asked, name, images.name, seed) for name, f in see.items()]


where = Experiment(
    name="where",
    about="A two-layer network finds a digit among clutter, from frozen features.",
    conditions={"four inputs": _where},
)
