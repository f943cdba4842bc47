"""Notebooks as pages that need no network."""

from __future__ import annotations

from pathlib import Path

from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor

TEMPLATES = Path(__file__).parent / "templates"


def export(notebook, target: Path) -> Path:
    """Write a notebook as one page that needs no network.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    target : pathlib.Path

    Returns
    -------
    pathlib.Path
        `target`.
    """
    exporter = HTMLExporter(
        template_name="lesson",
        extra_template_basedirs=[str(TEMPLATES)],
        require_js_url="",
        mathjax_url="",
        preprocessors=[TagRemovePreprocessor(remove_cell_tags=["skip-html"])],
    )
    title = next(
        (c.source.splitlines()[0].lstrip("# ") for c in notebook.cells if c.source), target.stem
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    target.parent.mkdir(parents=True, exist_ok=True)
    # Links between lessons lead to pages, as their notebooks do to notebooks.
    page = page.replace('.ipynb"', '.html"').replace('.md"', '.html"')
    return _write_whole(target, page)


def _write_whole(target: Path, text: str) -> Path:
    """Write a file so that a run that is stopped leaves the old one or the new one."""
    part = target.with_name(f"{target.name}.part")
    part.write_text(text, encoding="utf-8")
    return part.replace(target)
