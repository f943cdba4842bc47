"""One row an embedder: every measure with its interval, and what it cost."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from embedlab.data.images import Images
from embedlab.measure.intervals import Measure, pooled
from embedlab.measure.probes import few_shot, knn_probe, linear_probe
from embedlab.measure.retrieval import mean_average_precision, mean_cosine
from embedlab.settings import stored_results

MEASURES = {"linear": "linear", "knn": "kNN", "five_shot": "5-shot", "map": "mAP"}


@dataclass(frozen=True)
class Row:
    """A line of a table: one embedder or one condition, and what was measured of it.

    The measures of the scoreboard can also be read as attributes: ``row.map.value``.
    """

    name: str
    dataset: str
    measures: dict[str, Measure]
    n_components: int = 0  # length of the vectors
    supervision: str = "none"  # or "captions" or "labels"
    mean_cosine: float = float("nan")  # between pairs of test images
    fit_seconds: float = 0.0
    images_per_second: float = 0.0  # to embed the test images
    seeds: int = 1  # trainings that the row is the mean of

    @property
    def linear(self) -> Measure:
        """Accuracy of the linear probe."""
        return self.measures["linear"]

    @property
    def knn(self) -> Measure:
        """Accuracy of the ten nearest neighbours."""
        return self.measures["knn"]

    @property
    def five_shot(self) -> Measure:
        """Accuracy of the linear probe from five labelled images a class."""
        return self.measures["five_shot"]

    @property
    def map(self) -> Measure:
        """Mean average precision of retrieval."""
        return self.measures["map"]

    def to_dict(self) -> dict:
        """The row as JSON can hold it, with what the intervals need, to four decimals."""
        out = dict(vars(self))
        out["measures"] = {
            key: {
                "measure": m.name,
                "value": round(m.value, 6),
                "effects": {k: np.round(e, 4).tolist() for k, e in m.effects.items()},
            }
            for key, m in self.measures.items()
        }
        return out

    @classmethod
    def from_dict(cls, entry: dict, fingerprint: str = "") -> Self:
        """The inverse of :meth:`to_dict`, for numbers measured with some arithmetic."""
        measures = {
            key: Measure(
                m["measure"],
                m["value"],
                {k: np.array(e) for k, e in m["effects"].items()},
                entry["dataset"],
                fingerprint,
            )
            for key, m in entry["measures"].items()
        }
        return cls(**{**entry, "measures": measures})


def score(embedder, images: Images, name: str | None = None) -> Row:
    """Measure an embedder with the whole yardstick.

    Parameters
    ----------
    embedder : estimator with ``transform(X) -> (N, D)``
        Fitted; an estimator that is not is fitted on ``images.train`` first.
    images : Images
    name : str, optional
        Of the row. Default: the class's name and the vectors' length.

    Returns
    -------
    Row

    Raises
    ------
    ValueError
        Where the vectors are not finite, or not one an image.
    """
    _check_classes(images)
    seconds = None
    try:
        check_is_fitted(embedder)
        embedder.transform(images.train.x[:1])  # a Pipeline asks its last step only
    except NotFittedError:
        start = time.perf_counter()
        embedder.fit(images.train.x, images.train.y)
        seconds = time.perf_counter() - start
    vectors = {}
    for key in ("train", "val", "test"):
        split = getattr(images, key)
        start = time.perf_counter()
        vectors[key] = (_checked(embedder.transform(split.x), len(split), embedder), split.y)
        rate = len(split) / (time.perf_counter() - start)
    n_components = vectors["test"][0].shape[1]
    return Row(
        name=name or f"{type(embedder).__name__}-{n_components}",
        dataset=images.name,
        measures=measure_all(**vectors, dataset=images.name),
        n_components=n_components,
        supervision=getattr(embedder, "supervision", "not stated"),
        mean_cosine=mean_cosine(vectors["test"][0]),
        fit_seconds=getattr(embedder, "fit_seconds_", seconds or 0.0),
        images_per_second=rate,
    )


def _check_classes(images: Images) -> None:
    """Every class needs five training images for the 5-shot test, two test images for mAP."""
    for key, least in (("train", 5), ("test", 2)):
        labels, count = np.unique(getattr(images, key).y, return_counts=True)
        if count.min() < least:
            short = images.class_names[labels[count.argmin()]]
            raise ValueError(
                f"images: {key} of {images.name!r} holds {count.min()} images of class {short!r}, "
                f"at least {least} are needed."
            )


def _checked(vectors, n: int, embedder) -> np.ndarray:
    vectors = np.asarray(vectors)
    who = type(embedder).__name__
    if vectors.ndim != 2 or len(vectors) != n:
        raise ValueError(f"{who}.transform gave shape {vectors.shape} for {n} images: need (N, D).")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{who}.transform gave NaN or infinite numbers.")
    return vectors.astype(np.float32, copy=False)


def pooled_row(rows: Sequence[Row], source: str = "seed") -> Row:
    """The mean over repetitions of one method's rows, which differ in `source`."""
    return replace(
        rows[0],
        measures={k: pooled([r.measures[k] for r in rows], source) for k in rows[0].measures},
        mean_cosine=float(np.mean([row.mean_cosine for row in rows])),
        fit_seconds=float(np.mean([row.fit_seconds for row in rows])),
        images_per_second=float(np.median([row.images_per_second for row in rows])),
        seeds=len(rows),
    )


def stored_rows(dataset: str = "digits", name: str = "scoreboard") -> dict[str, Row]:
    """Rows of the results file of an experiment, by name; none where there is no such file."""
    path = stored_results(dataset, name)
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    # Of the CPU: what a GPU has measured, no CPU gives to the last digit.
    arithmetic = content.get("fingerprint", "") if content.get("device") == "cpu" else ""
    # A folder by its path here; a row may be of another set, such as digits split by a shuffle.
    here = {"dataset": dataset} if dataset.startswith("folder:") else {}
    entries = [{**entry, **here} for entry in content["rows"]]
    return {entry["name"]: Row.from_dict(entry, arithmetic) for entry in entries}


def measure_all(train, val, test, dataset: str = "") -> dict[str, Measure]:
    """Every measure of the yardstick, of vectors (N, D) and labels (N,) of each split."""
    right, _ = linear_probe(train, val, test)
    shots = few_shot(train, test)
    units = {
        "linear": {"image": right},
        "knn": {"image": knn_probe(train, test)},
        "five_shot": {"image": shots.mean(axis=0), "draw": shots.mean(axis=1)},
        "map": {"image": mean_average_precision(*test)},
    }
    return {name: Measure.from_units(name, dataset, **u) for name, u in units.items()}
