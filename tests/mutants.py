"""Mistakes made on purpose: each must turn its lesson red under nbval. Run by ``make mutants``.

A mutant is one replacement in one file of the package. The lesson is then run from a copy, up to
the first cell whose output is no longer the stored one. A mutant that stays green is a hole in the
lesson's tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from joblib import cpu_count

from embedlab.course.stopping import pool
from embedlab.settings import REFERENCE

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutant:
    """A replacement in a file, and the lessons that must notice it."""

    name: str
    lessons: tuple[str, ...]
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "cosine without normalisation",
        ("00", "01", "02", "03", "04", "05", "05b", "06"),
        "embedlab/search/exact.py",
        "return (vectors / np.where(length > 0, length, 1)).astype(np.float32)",
        "return vectors.astype(np.float32)",
    ),
    Mutant(
        "AP divided by the number found in the first fifty",
        ("00", "01", "02", "03", "04", "05", "05b"),
        "embedlab/measure/retrieval.py",
        "n_relevant = relevant.sum(axis=1, keepdims=True)",
        "n_relevant = np.maximum(relevant[:, :50].sum(axis=1, keepdims=True), 1)",
    ),
    Mutant(
        "test images leaked into training",
        ("00", "01", "02", "03", "04", "05", "05b", "06", "06b"),
        "embedlab/data/load.py",
        "digits[writer < 8],",
        "digits,",
    ),
    Mutant(
        "digits split by a shuffle, not by writer",
        ("00", "01", "02"),
        "embedlab/data/load.py",
        "digits, writer = all_digits(), writer_of_digit()",
        "digits, writer = all_digits(), np.random.default_rng(0).permutation(writer_of_digit())",
    ),
    Mutant(
        "a comparison forgets that it is paired",
        ("00", "01"),
        "embedlab/measure/intervals.py",
        "effects[source] = mine - effect",
        "effects[source] = mine",
    ),
    Mutant(
        "traditional methods taught with shuffled labels",
        ("00", "01", "02"),
        "embedlab/embedders/linear.py",
        "self.estimator_ = self._estimator().fit(X.reshape(len(X), -1), y)",
        "self.estimator_ = self._estimator().fit("
        "X.reshape(len(X), -1), None if y is None else np.random.default_rng(0).permutation(y))",
    ),
    Mutant(
        "the sentence vector is the first token's",
        ("00",),
        "embedlab/embedders/text.py",
        "mean = (tokens * weight).sum(1) / weight.sum(1)",
        "mean = tokens[:, 0] + 0 * weight.sum(1)",
    ),
    Mutant(
        "letter n-grams that count whole words",
        ("00",),
        "embedlab/embedders/text.py",
        'analyzer="char_wb"',
        'analyzer="word"',
    ),
    Mutant(
        "the first component thrown away",
        ("00", "01"),
        "embedlab/embedders/linear.py",
        "return self.estimator_.transform(X.reshape(len(X), -1))",
        "return self.estimator_.transform(X.reshape(len(X), -1))[:, 1:]",
    ),
    Mutant(
        "kernel LDA without its kernel",
        ("01", "02"),
        "embedlab/embedders/linear.py",
        "gamma=self.gamma_, n_components=self.n_landmarks_, random_state=self.random_state",
        'kernel="linear", n_components=self.n_landmarks_, random_state=self.random_state',
    ),
    Mutant(
        "a kernel a hundred times too narrow",
        ("01", "02"),
        "embedlab/embedders/linear.py",
        "return float(1 / np.median(distances",
        "return float(100 / np.median(distances",
    ),
    Mutant(
        "a reconstruction that hands the image back",
        ("01",),
        "embedlab/embedders/linear.py",
        "flat = self.estimator_.inverse_transform(self.transform(X))",
        "flat = np.asarray(X)",
    ),
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
        "nine tenths of the epochs",
        ("02", "03", "04", "05", "05b", "06"),
        "embedlab/embedders/shared/network.py",
        "epochs=epochs,",
        "epochs=epochs * 9 // 10,",
    ),
    Mutant(
        "an untrained network passed off as trained",
        ("02", "04", "05", "05b", "06"),
        "embedlab/embedders/shared/network.py",
        "lr=self.lr,",
        "lr=1e-9,",
    ),
    Mutant(
        "a tenth of the learning rate",
        ("02", "03", "05"),
        "embedlab/embedders/shared/network.py",
        "lr=self.lr,",
        "lr=self.lr / 10,",
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
    Mutant(
        "a reconstruction that hands the image back",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "return self.decode(self.transform(X))",
        "return np.asarray(X)",
    ),
    Mutant(
        "an autoencoder that rebuilds the noise",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "return F.binary_cross_entropy_with_logits(logits, clean)",
        "return F.binary_cross_entropy_with_logits(logits, clean + self.noise * noise)",
    ),
    Mutant(
        "an autoencoder without noise",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "logits = network(clean + self.noise * noise)",
        "logits = network(clean)",
    ),
    Mutant(
        "half a bottleneck",
        ("03",),
        "embedlab/embedders/autoencoder.py",
        "return in_batches(self.network_, self.network_.encoder, X)",
        "v = in_batches(self.network_, self.network_.encoder, X)\n"
        "        return np.where(np.arange(v.shape[1]) % 2, 0, v)",
    ),
    Mutant(
        "faces whose labels are swapped",
        ("03",),
        "embedlab/data/load.py",
        "y = np.repeat(np.array([1, 0]), 100)",
        "y = np.repeat(np.array([0, 1]), 100)",
    ),
    Mutant(
        "neighbours that share more than they do",
        ("03",),
        "embedlab/measure/properties.py",
        "chance = from_others.mean()",
        "chance = 2 * from_others.mean()",
    ),
    Mutant(
        "NT-Xent with the diagonal left in",
        ("04",),
        "embedlab/embedders/simclr.py",
        "logits = logits.masked_fill(itself, -torch.inf)",
        "logits = logits + 0 * itself",
    ),
    Mutant(
        "half the temperature",
        ("04",),
        "embedlab/embedders/simclr.py",
        "logits = z @ z.T / temperature",
        "logits = z @ z.T / (temperature / 2)",
    ),
    Mutant(
        "NT-Xent without its temperature",
        ("04",),
        "embedlab/embedders/simclr.py",
        "logits = z @ z.T / temperature",
        "logits = z @ z.T",
    ),
    Mutant(
        "positives that show another image",
        ("04",),
        "embedlab/embedders/simclr.py",
        "partner = torch.arange(2 * n, device=z.device).roll(n)",
        "partner = torch.arange(2 * n, device=z.device).roll(n + 1)",
    ),
    Mutant(
        "one of the usual views left out",
        ("04",),
        "embedlab/embedders/shared/contrastive.py",
        "    Elastic(strength=0.1, points=5),\n",
        "",
    ),
    Mutant(
        "two views that are one",
        ("04",),
        "embedlab/embedders/shared/contrastive.py",
        "views = view(torch.cat([batch, batch]), generator)",
        "views = view(batch, generator).repeat(2, 1, 1, 1)",
    ),
    Mutant(
        "the head passed off as the encoder",
        ("04",),
        "embedlab/embedders/shared/contrastive.py",
        'return vectors if self.layer == "encoder" else',
        'return vectors if self.layer == "none" else',
    ),
    Mutant(
        "a triplet's negative that is its positive",
        ("04",),
        "embedlab/embedders/triplet.py",
        "too_near = itself | (distance <= positive)",
        "too_near = distance < positive",
    ),
    Mutant(
        "patches column by column",
        ("05",),
        "embedlab/embedders/shared/patches.py",
        "return x.permute(0, 2, 4, 1, 3, 5).reshape(n, rows * columns, -1)",
        "return x.permute(0, 4, 2, 1, 3, 5).reshape(n, rows * columns, -1)",
    ),
    Mutant(
        "attention without its scale",
        ("05", "05b"),
        "embedlab/embedders/shared/transformer.py",
        "weights = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(dim=3)",
        "weights = (query @ key.transpose(2, 3)).softmax(dim=3)",
    ),
    Mutant(
        "a network that is not told where patches are",
        ("05", "05b"),
        "embedlab/embedders/shared/transformer.py",
        "return patches + self.pos_embed[:, 1:]",
        "return patches + 0 * self.pos_embed[:, 1:]",
    ),
    Mutant(
        "CLS passed off as the mean",
        ("05", "05b"),
        "embedlab/embedders/shared/patch_embedder.py",
        'return tokens[:, 0] if self.pool == "cls" else tokens[:, 1:].mean(dim=1)',
        "return tokens[:, 0]",
    ),
    Mutant(
        "rollout without the skip connection",
        ("05",),
        "embedlab/lessons/lesson_05/attention.py",
        "mixing = (attention.mean(axis=2) + np.eye(attention.shape[-1])) / 2",
        "mixing = attention.mean(axis=2)",
    ),
    Mutant(
        "distances in patches, not in pixels",
        ("05",),
        "embedlab/lessons/lesson_05/attention.py",
        "place = np.indices((side, side)).reshape(2, -1).T * patch_size",
        "place = np.indices((side, side)).reshape(2, -1).T",
    ),
    Mutant(
        "a two-layer network that is taught other places",
        ("05",),
        "embedlab/lessons/lesson_05/experiments.py",
        "model = make_pipeline(StandardScaler(), network).fit(features(x), place)",
        "model = make_pipeline(StandardScaler(), network).fit(features(x), place[::-1])",
    ),
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
    Mutant(
        "pictures with the captions of others",
        ("06",),
        "embedlab/embedders/clip.py",
        "distinct, where = caption[index].unique(return_inverse=True)",
        "distinct, where = caption[index.roll(1)].unique(return_inverse=True)",
    ),
    Mutant(
        "cosines without the scale",
        ("06",),
        "embedlab/embedders/clip.py",
        "logits = scale * image @ text.T",
        "logits = image @ text.T",
    ),
    Mutant(
        "equal captions as wrong answers",
        ("06",),
        "embedlab/embedders/clip.py",
        "same = (caption[:, None] == caption[None, :]).to(logits.dtype)",
        "same = torch.eye(len(logits))",
    ),
    Mutant(
        "a text tower that reads only the first words",
        ("06",),
        "embedlab/embedders/clip.py",
        "x = self.token_embed(tokens) + self.pos_embed",
        "x = self.token_embed(tokens * (torch.arange(tokens.shape[1]) < 4)) + self.pos_embed",
    ),
    Mutant(
        "scenes of test from scans of training",
        ("06",),
        "embedlab/data/scenes.py",
        "getattr(images, key),",
        "images.train,",
    ),
    Mutant(
        "held-out pairs in the training pictures",
        ("06",),
        "embedlab/data/scenes.py",
        "avoid=pairs,",
        "avoid=(),",
    ),
    Mutant(
        "a gap that is not closed",
        ("06",),
        "embedlab/lessons/lesson_06/matching.py",
        "return normalised(vectors - middle)",
        "return normalised(vectors)",
    ),
    Mutant(
        "recall that knows only the partner",
        ("06",),
        "embedlab/lessons/lesson_06/matching.py",
        "captions[p][:, None] == captions[p][None]",
        "np.eye(pool, dtype=bool)",
    ),
    Mutant(
        "puzzles in which the last caption counts as true",
        ("06",),
        "embedlab/lessons/lesson_06/puzzles.py",
        "image=best[:, 0] / best.sum(axis=1)",
        "image=best[:, -1] / best.sum(axis=1)",
    ),
    Mutant(
        "an image named by the farthest prompt",
        ("06",),
        "embedlab/embedders/shared/image_text.py",
        "logits = self.embed_images(x) @ self.class_vectors(prompts).T",
        "logits = -self.embed_images(x) @ self.class_vectors(prompts).T",
    ),
    Mutant(
        "a velocity that points to the noise",
        ("06b",),
        "embedlab/lessons/lesson_06b/flow.py",
        "return (velocity - (x - noise)).square().mean()",
        "return (velocity - (noise - x)).square().mean()",
    ),
    Mutant(
        "guidance that is not heeded",
        ("06b",),
        "embedlab/lessons/lesson_06b/flow.py",
        "return free + guidance * (network(x, t, condition) - free)",
        "return network(x, t, condition)",
    ),
    Mutant(
        "a painter that never learns to do without the vector",
        ("06b",),
        "embedlab/lessons/lesson_06b/flow.py",
        ">= drop).to(x.device)",
        ">= 0).to(x.device)",
    ),
    Mutant(
        "a prior that hands the caption through",
        ("06b",),
        "embedlab/lessons/lesson_06b/drawing.py",
        "return normalised(self._make(texts, (self.dim_,), guidance, steps, seed))",
        "return texts",
    ),
    Mutant(
        "an untrained painter passed off as trained",
        ("06b",),
        "embedlab/lessons/lesson_06b/drawing.py",
        "lr=self.lr,",
        "lr=1e-9,",
    ),
    Mutant(
        "a judge taught with the writers it is tested on",
        ("06b",),
        "embedlab/lessons/lesson_06b/judges.py",
        "known = compose(images.train, nouns, n, kinds=(kind,), seed=101)",
        "known = compose(images.test, nouns, n, kinds=(kind,), seed=101)",
    ),
    Mutant(
        "pictures drawn for the captions of others",
        ("06b",),
        "embedlab/lessons/lesson_06b/experiments.py",
        "return judge.right(x, label, images.name)",
        "return judge.right(x, np.roll(label, 7), images.name)",
    ),
    Mutant(
        "a prior taught with pairs that do not belong together",
        ("06b",),
        "embedlab/lessons/lesson_06b/experiments.py",
        "prior = Prior(epochs=prior_epochs, seed=seed).fit(text, picture)",
        "prior = Prior(epochs=prior_epochs, seed=seed).fit(text, picture[::-1].copy())",
    ),
)


def mutate(mutant: Mutant, root: Path) -> None:
    """Apply a mutant to the copy of the project below `root`."""
    path = root / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: {mutant.old!r} is not once in {mutant.file}.")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def _hide_sources(path: Path) -> None:
    """Take the package's code off a lesson's page: a mutant must show in what is measured."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and "show_source(" in cell.source:
            cell.source = "show_source = lambda *objects: None\n" + cell.source
            cell.outputs = [
                output
                for output in cell.outputs
                if not output.get("data", {}).get("text/plain", "").startswith("# embedlab/")
            ]
    nbformat.write(notebook, path)


def first_red_cell(mutant: Mutant | None, lesson: str, native: bool = False) -> str:
    """Run a lesson from a mutated copy; the first cell that fails, or "" if none does.

    With `native` it runs off the reference arithmetic, so within the measured limits.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        tracked = ["embedlab", "notebooks", "results", "tests", "data/manifest.toml"]
        for name in [*tracked, "pyproject.toml", "conftest.py"]:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*")
                )
            else:
                (copy / name).parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        if mutant:
            mutate(mutant, copy)
        (notebook,) = (copy / "notebooks").glob(f"{lesson}_*.ipynb")
        _hide_sources(notebook)
        environment = {**os.environ, "PYTHONPATH": folder, "EMBEDLAB_DEVICE": "cpu"}
        for name in ("EMBEDLAB_DATASET", "EMBEDLAB_RECORD", "EMBEDLAB_THREADS"):
            environment.pop(name, None)
        if native:
            environment = {k: v for k, v in environment.items() if k not in REFERENCE}
            environment["EMBEDLAB_ARITHMETIC"] = "native"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, str(notebook)], cwd=copy, env=environment, capture_output=True, text=True
        )
        if done.returncode == 0:
            return ""
        found = re.search(r"FAILED \S+::Cell (\d+)", done.stdout)
        if done.returncode != 1 or not found:
            raise RuntimeError(f"{mutant}: pytest ended with\n{done.stdout}\n{done.stderr}")
        return f"cell {found[1]}"


def run_all(
    lesson: str | None = None,
    jobs: int | None = None,
    native: bool = False,
    names: Sequence[str] = (),
) -> int:
    """Run every mutant of a lesson, or of all; 0 if each turns red and each control stays green."""
    lessons = sorted({name for mutant in MUTANTS for name in mutant.lessons})
    grid = [
        (mutant, name)
        for name in lessons
        if lesson in (None, name)
        for mutant in (None, *(m for m in MUTANTS if name in m.lessons))
        if not names or (mutant and mutant.name in names)
    ]
    if not grid:
        raise ValueError(f"no mutant for lesson={lesson!r}, names={tuple(names)!r}.")
    bad = 0
    with pool(jobs or cpu_count()) as threads:
        results = threads.map(lambda pair: first_red_cell(*pair, native), grid)
        for (mutant, name), cell in zip(grid, results, strict=True):
            right = bool(cell) == (mutant is not None)
            bad += not right
            label = mutant.name if mutant else "control: nothing changed"
            colour = f"red at {cell}" if cell else "green"
            print(f"{name}  {label:52} {colour}{'' if right else '   <-- WRONG'}", flush=True)
    print(f"{len(grid) - bad} as they should be, {bad} not.")
    return 1 if bad else 0
