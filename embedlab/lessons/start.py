"""What a lesson's page begins with.

What loads NumPy or torch is imported where it is used: :func:`begin` comes before.
"""

import logging
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedlab.settings import use_reference_arithmetic, wanted_dataset

if TYPE_CHECKING:
    from embedlab.data.images import Images


@dataclass(frozen=True)
class Lesson:
    """What a lesson runs on."""

    dataset: str  # EMBEDLAB_DATASET, or the lesson's own
    limit: tuple[int, int, int] | None  # this machine's, for a downloaded set or a folder

    def images(self) -> "Images":
        """The lesson's image set, within the budget."""
        from embedlab.data.load import EMBEDDED, load_images

        return load_images(self.dataset, None if self.dataset in EMBEDDED else self.limit)


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
    from embedlab.measure.verdicts import Verdict
    from embedlab.show.plots import use_style
    from embedlab.training.device import pick_budget, pick_device, set_threads
    from embedlab.training.fingerprint import differing

    threads, device, other = set_threads(), pick_device(), wanted_dataset()
    Verdict.news_on = other if other != dataset else ""
    budget = pick_budget(device)
    lesson = Lesson(other or dataset, budget.limit)
    whose = "the book's own" if device.type == "cpu" and not differing() else "not the book's"
    use_style()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Of progress bars for notebooks, which want ipywidgets; ours are plain text.
    warnings.filterwarnings("ignore", message="IProgress not found")
    plural = "" if threads == 1 else "s"
    print(
        f"device {device}, {threads} thread{plural} | {whose} arithmetic | "
        f"data {lesson.dataset} | {budget.name} budget"
    )
    return lesson
