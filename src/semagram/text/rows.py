"""A text laid in rows of one width: each line, sentence or verse begins a new row, and what is too long goes on below.

Rows are filled up with a character that the text does not have, so the way back is to drop it: ``unlay(lay(t)) == t``
for every text (tested). On a ``Grid`` of the same width equal places of lines stand above each other, wherever in the
text a page begins.
"""

from __future__ import annotations

import re
from typing import Literal

from semagram.errors import UserError

Unit = Literal["line", "sentence", "verse"]

_UNITS = {
    "line": r"[^\n]*\n|[^\n]+\Z",
    "sentence": r".*?[.!?][\"')\]]*(?:\s+|\Z)|.+\Z",
    "verse": r".*?(?:\n[ \t]*\n\s*|\Z)",
}
"""What begins a new row: a line, a sentence with the space behind it, or a passage between empty lines."""


def lay(text: str, width: int, unit: Unit = "line", filler: str = "·") -> str:
    """The rows in one string, ``width`` characters each. ``UserError`` for a width below 1 or a filler in the text."""
    if width < 1:
        raise UserError(f"rows have a width of at least 1, got {width}.")
    if len(filler) != 1 or filler in text:
        raise UserError(f"the filler must be one character that the text does not have, got {filler!r}.")
    pieces = [piece for piece in re.findall(_UNITS[unit], text, re.DOTALL) if piece]
    assert "".join(pieces) == text
    return "".join(piece + filler * (-len(piece) % width) for piece in pieces)


def unlay(rows: str, filler: str = "·") -> str:
    """The text that was laid."""
    return rows.replace(filler, "")
