"""Are a cell's outputs the stored ones? To the last digit, or within a limit that was measured.

Seconds and rates (``2.9 s``, ``41,213 images/s``) are the machine's own and are never compared,
nor is stderr.
"""

import re
from collections.abc import Sequence
from math import inf

# "1.2 s", "12 ms", "9,120 images/s", "3 min", also in a table's cell; not "min 0.3" or "min(".
MACHINE = re.compile(
    r"(?<![\w.])\d[\d,]*(?:(?:\.\d+)?[ \t]?(?:ms|s|images/s)\b(?!\()"
    r"|(?:\.\d)?[ \t]?min\b(?![(/]|[ \t:=]*[-+−]?[\d.]))"
)
# A sign may come and go round zero, so it belongs to the number.
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*\.(\d+)(?:e([-+]?\d+))?(?!\w|\.\d)")
PICTURE = re.compile(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=]+")


def fields(outputs: Sequence[dict], pictures: bool = True) -> list[tuple[str, str]]:
    """What a cell printed, then each text and picture that it displayed: (kind, content) pairs."""
    streams = [o for o in outputs if o["output_type"] == "stream" and o["name"] == "stdout"]
    found = [("printed", "".join(o["text"] for o in streams))]
    for output in outputs:
        found += sorted(output.get("data", {}).items())
    texts = [(kind, value) for kind, value in found if kind == "printed" or kind[:5] == "text/"]
    shown = [(kind, value.strip()) for kind, value in found if kind == "image/png" and pictures]
    return [(kind, _words(value, pictures)) for kind, value in texts] + shown


def _words(text: str, pictures: bool) -> str:
    # Widths of a table's columns depend on the seconds in it, so blanks are folded.
    text = re.sub(r"[ \t]+|-{3,}", " ", MACHINE.sub("MACHINE", text))
    return text if pictures else PICTURE.sub("", text)


def differs(stored: Sequence[dict], new: Sequence[dict], pictures: bool = True) -> bool:
    """Whether two lists of a cell's outputs differ in a digit, a word or a picture's byte."""
    return fields(stored, pictures) != fields(new, pictures)


def deviation(stored: Sequence[dict], new: Sequence[dict], limit: float = 0.0) -> float:
    """How far the numbers of `new` lie from the stored ones, at most; pictures are left out.

    Numbers that agree within `limit`, or within one unit of the last digit printed, count as equal;
    where words, whole numbers or the order of things differ it is ``inf``.
    """
    old, now = ("\0".join(map(str, fields(outputs, False))) for outputs in (stored, new))
    if NUMBER.sub("\1", old) != NUMBER.sub("\1", now):
        return inf
    worst = 0.0
    for a, b in zip(NUMBER.finditer(old), NUMBER.finditer(now), strict=True):
        apart = abs(_value(a) - _value(b))
        unit = min(10.0 ** (int(n[2] or 0) - len(n[1])) for n in (a, b))
        if apart > max(limit, unit) * (1 + 1e-9):
            worst = max(worst, apart)
    return worst


def _value(number: re.Match) -> float:
    return float(number[0].replace(",", "").replace("−", "-"))
