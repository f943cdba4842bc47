"""Puts the lessons and the stored results into the wheel; all else stands in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithBook(build_py):
    """Modules, and beside them ``embedlab/book``: what :mod:`embedlab.settings` looks for there."""

    def run(self):
        """Build anew, so that nothing that has moved or gone stays in the wheel."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            book = Path(self.build_lib, "embedlab", "book")
            hidden = shutil.ignore_patterns(".*")
            for folder in ("notebooks", "results"):
                shutil.copytree(folder, book / folder, ignore=hidden)
            (book / "data").mkdir()
            shutil.copy("data/manifest.toml", book / "data")


setup(cmdclass={"build_py": BuildWithBook})
