"""Chooses the arithmetic before anything loads NumPy; then loads the comparing plugin."""

from embedlab.settings import use_reference_arithmetic

use_reference_arithmetic()
pytest_plugins = ["tests.nbval_compare"]
