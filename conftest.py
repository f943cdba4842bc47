"""Chooses the arithmetic before anything loads NumPy; then loads the comparing plugin."""

import os

from embedlab.settings import use_reference_arithmetic

os.environ.setdefault("EMBEDLAB_DEVICE", "cpu")  # the stored outputs are a CPU's
use_reference_arithmetic()
pytest_plugins = ["tests.nbval_compare"]
