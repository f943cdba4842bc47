"""What a run found, a line a claim or a row, so that it can be summed up."""

from __future__ import annotations

import json
from pathlib import Path

from embedlab.settings import record_file


def record(kind: str, **entry) -> None:
    """Add a line to the file named by ``EMBEDLAB_RECORD``, if any: so a run can be summed up.

    Parameters
    ----------
    kind : str
        ``"claim"`` or ``"row"``.
    **entry
        What JSON can hold.
    """
    path = record_file()
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **entry}, default=float) + "\n")
