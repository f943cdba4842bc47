"""Notebooks as pages that need no network."""

from pathlib import Path

from nbconvert import HTMLExporter
from nbconvert.preprocessors import TagRemovePreprocessor

from embedlab.settings import write_whole

TEMPLATES = Path(__file__).parent / "templates"


def export(notebook, target: Path) -> Path:
    """Write a notebook as one page that needs no network, and give back where."""
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
    return write_whole(target, page)
