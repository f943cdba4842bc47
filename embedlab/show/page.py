"""The package's own code, and what opens on a click, on a page."""

import html
import inspect
from pathlib import Path

from IPython.display import HTML, display

from embedlab.settings import PACKAGE


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
    """Display the source of functions or classes of the package, folded."""
    display(Source(*objects))


def _source(obj) -> tuple[str, str]:
    path = Path(inspect.getsourcefile(obj)).resolve()
    inside = path.is_relative_to(PACKAGE)
    where = path.relative_to(PACKAGE.parent).as_posix() if inside else path.name
    return f"{where}: {obj.__qualname__}", inspect.cleandoc("\n" + inspect.getsource(obj))


def collapsed(title: str, body: str) -> HTML:
    """Plain text, its line breaks kept, behind a line that opens on a click."""
    return HTML(
        f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(body)}</pre></details>"
    )
