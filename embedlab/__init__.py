"""embedlab: a course on embeddings that is also an instrument.

Importing it is light: what needs NumPy or torch is loaded when it is first used, so that
:func:`begin` can still choose their arithmetic.
"""

from importlib import import_module

_HOME = {
    "begin": "lessons.start",
    "claim": "measure.verdicts",
    "claims": "measure.verdicts",
    "embed": "embedders.anything",
    "evidence": "lessons.experiments",
    "exercise": "lessons.exercises",
    "load": "embedders.saved",
    "load_images": "data.load",
    "reproduces": "lessons.experiments",
    "score": "measure.scoreboard",
    "show_source": "show.page",
    "similar": "lessons.lookalikes",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'embedlab' has no attribute {name!r}")
    return getattr(import_module(f"embedlab.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
