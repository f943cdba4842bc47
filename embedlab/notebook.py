"""What a lesson's page needs: its set-up line and the package's own code, shown in place.

What loads NumPy or torch is imported where it is used: :func:`begin` comes before.
"""

from __future__ import annotations

import html
import inspect
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.display import HTML, display

from embedlab.settings import use_reference_arithmetic
from embedlab.sources import ROOT

if TYPE_CHECKING:
    import torch

    from embedlab.device import Budget
    from embedlab.images import Images


@dataclass(frozen=True)
class Lesson:
    """Where a lesson runs and on what.

    Attributes
    ----------
    device : torch.device
    dataset : str
        ``EMBEDLAB_DATASET``, or the lesson's own.
    budget : Budget
    threads : int
    """

    device: torch.device
    dataset: str
    budget: Budget
    threads: int

    def images(self) -> Images:
        """The lesson's image set, within the budget."""
        from embedlab.images import EMBEDDED, load_images

        return load_images(
            self.dataset, limit=None if self.dataset in EMBEDDED else self.budget.limit
        )


def begin(dataset: str = "digits") -> Lesson:
    """Set a lesson up, and print where it runs and whether it computes as the book does.

    The reference arithmetic, where this is called before NumPy and torch are loaded; one torch
    thread and one BLAS thread (``EMBEDLAB_THREADS`` lifts that); the course's plot style.

    Parameters
    ----------
    dataset : str
        The set that the lesson is written for; ``EMBEDLAB_DATASET`` overrides.

    Returns
    -------
    Lesson
    """
    use_reference_arithmetic()
    from embedlab.device import pick_budget, pick_device, set_threads
    from embedlab.fingerprint import differing
    from embedlab.plots import use_style

    threads, device = set_threads(), pick_device()
    lesson = Lesson(
        device, os.environ.get("EMBEDLAB_DATASET") or dataset, pick_budget(device), threads
    )
    whose = "the book's own" if device.type == "cpu" and not differing() else "not the book's"
    use_style()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    plural = "" if threads == 1 else "s"
    print(
        f"device {device}, {threads} thread{plural} | {whose} arithmetic | "
        f"data {lesson.dataset} | {lesson.budget.name} budget"
    )
    return lesson


class Source:
    """Code of the package, shown folded on a page and whole in a terminal."""

    def __init__(self, *objects):
        self.parts = [_source(o) for o in objects]

    def __repr__(self) -> str:
        return "\n\n".join(f"# {where}\n{code}" for where, code in self.parts)

    def _repr_html_(self) -> str:
        return "".join(
            f"<details><summary>Show the code: <code>{html.escape(where)}</code></summary>"
            f"<pre>{html.escape(code)}</pre></details>"
            for where, code in self.parts
        )


def show_source(*objects) -> None:
    """Display the source of functions or classes of the package, folded.

    Parameters
    ----------
    *objects : function or class
    """
    display(Source(*objects))


def _source(obj) -> tuple[str, str]:
    path = Path(inspect.getsourcefile(obj)).resolve()
    where = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return f"{where}: {obj.__qualname__}", inspect.cleandoc("\n" + inspect.getsource(obj))


def collapsed(title: str, body: str) -> HTML:
    """Text behind a line that opens on a click.

    Parameters
    ----------
    title, body : str
        Plain text; the body keeps its line breaks.

    Returns
    -------
    IPython.display.HTML
    """
    return HTML(
        f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(body)}</pre></details>"
    )
