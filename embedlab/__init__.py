"""embedlab: a course on embeddings that is also an instrument.

Importing it is light: what needs NumPy or torch is loaded when it is first used, so that
:func:`begin` can still choose their arithmetic.
"""

from importlib import import_module

_HOME = {
    "begin": "notebook",
    "claim": "verdicts",
    "claims": "verdicts",
    "load_images": "images",
    "score": "scoreboard",
    "show_source": "notebook",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'embedlab' has no attribute {name!r}")
    return getattr(import_module(f"embedlab.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
