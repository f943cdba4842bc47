"""``notebooks/claims.md``: what the course tests, where, and what became of it on each data set."""

import re
from collections import Counter
from pathlib import Path

import nbformat

from embedlab.course.run import lesson_number, lessons, shown
from embedlab.measure.verdicts import VERDICTS
from embedlab.settings import NOTEBOOKS, write_whole

STATEMENTS = {
    "C1": "Dense vectors can put similar words near each other; one-hot vectors cannot.",
    "C2": "*Football* lies nearer to *soccer* than to *footwear*, whatever letters they share.",
    "C3": "The classic methods are linear algebra, with or without a kernel: PCA and LDA.",
    "C4": "Deep embeddings beat the classic ones nearly always.",
    "C5": "A classifier's embedding is best read one layer before its output.",
    "C6": "Early layers hold plain things, such as ink and position, that late ones have lost.",
    "C7": "The more training labels are wrong, the worse the embedding.",
    "C8": "Learning without labels saves the hours that people spend on them.",
    "C9": "What an autoencoder learns serves to rebuild an image, not to say what it means.",
    "C10": "A plain autoencoder loses details that people care about, as in faces.",
    "C11": "Contrastive learning lives on its augmentations.",
    "C12": "SimCLR is best read before its projection head.",
    "C13": "Hiding parts and guessing them teaches an embedding without labels.",
    "C14": "A ViT cuts an image into patches and treats them as a transformer treats words.",
    "C15": "A ViT sees far from its first layer on, a convolutional network does not.",
    "C16": "CLIP brings a picture and the text that fits it together in one space.",
    "C17": "So CLIP can name classes that it was never trained to tell apart.",
    "C18": "CLIP asks for much data and careful settings.",
    "C19": "Counting and arithmetic stay hard for an image's embedding.",
    "C20": "Pictures can be drawn from CLIP's vectors.",
    "C24": "Embeddings can be the input of another model.",
    "C25": "Contrastive and triplet losses train the embedding itself: no layer has to come off.",
}
HEAD = """\
# Claims

This course grew from an essay on embeddings. Each line below is something that the essay says or
takes for granted, in our words, and the lesson puts it to the test: every comparison has an
interval, a margin that was fixed beforehand, and so a verdict, as [lesson 00](00_start_here.ipynb)
explains. One statement can take several comparisons, controls that ought to fail among them: the
lesson says which is which.
"""


def claims_page(paths: list[Path] | None = None) -> str:
    """The page in Markdown, counted from the stored outputs of the lessons at `paths`."""
    where: dict[str, list[str]] = {}
    verdicts: dict[str, dict[str, Counter]] = {}
    for path in lessons() if paths is None else paths:
        notebook = nbformat.read(path, as_version=4)
        code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
        for id in sorted(set(re.findall(r'"(C\d+)"', code))):
            where.setdefault(id, []).append(f"[{lesson_number(path)}]({path.name})")
        for claim in shown(notebook, "claims"):
            found = verdicts.setdefault(claim["dataset"], {}).setdefault(claim["id"], Counter())
            found[claim["verdict"]] += 1
    datasets = sorted(verdicts, key=lambda name: -len(verdicts[name].keys() & where))
    datasets = [name for name in datasets if verdicts[name].keys() & where]
    rows = [["", "statement", "lesson", *datasets], ["---"] * (3 + len(datasets))]
    for id in sorted(where, key=lambda id: int(id[1:])):
        counts = [verdicts[name].get(id, Counter()) for name in datasets]
        cells = [", ".join(f"{v} {n[v]}" for v in VERDICTS if n[v]) for n in counts]
        rows.append([id, STATEMENTS[id], ", ".join(where[id]), *cells])
    return HEAD + "\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def write_claims_page() -> Path:
    """Write the page, once the lessons' outputs are what they should be."""
    return write_whole(NOTEBOOKS / "claims.md", claims_page())
