"""embedlab: a course on embeddings that is also an instrument."""

from embedlab.claims import claim, claims
from embedlab.images import load_images
from embedlab.notebook import begin, show_source
from embedlab.scoreboard import score

__all__ = ["begin", "claim", "claims", "load_images", "score", "show_source"]
