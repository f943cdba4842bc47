"""embedlab: a course on embeddings that is also an instrument."""

import warnings

# pooch imports a progress bar for notebooks that wants ipywidgets; ours are plain text.
warnings.filterwarnings("ignore", message="IProgress not found")

from embedlab.claims import claim, claims
from embedlab.images import load_images
from embedlab.notebook import begin, show_source
from embedlab.scoreboard import score

__all__ = ["begin", "claim", "claims", "load_images", "score", "show_source"]
