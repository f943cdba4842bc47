"""Loads the tolerance plugin wherever pytest is started from."""

pytest_plugins = ["tests.nbval_tolerance"]
