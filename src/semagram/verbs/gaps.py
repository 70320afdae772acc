"""A text with gaps: what is known, and where something is to be written.

A gap is whatever a pattern matches (by default three underscores or more). It is as long as its match, or of a given
length, or of any length within a range, in tokens. Gaps may stand anywhere: a prompt at both ends has its gap in the
middle, a prompt in the middle has two, a margin of letters one in every row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError

PATTERN = "_{3,}"
"""What a gap looks like, if nothing else is said."""


@dataclass(frozen=True)
class Gap:
    """Tokens to be written: at least ``least``, at most ``most``."""

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise UserError(f"a gap has at least 1 token and not more at least than at most, got {self}.")

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least}-{self.most}"


Piece = np.ndarray | Gap
"""Known ids ``(m,)``, or a gap."""


def parse_length(text: str) -> Gap:
    """``5`` or ``3-8``."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if found is None:
        raise UserError(f"a gap's length is a number or a range like 3-8, got {text!r}.")
    return Gap(int(found[1]), int(found[2] or found[1]))


def split_at_gaps(text: str, pattern: str = PATTERN, length: Gap | None = None) -> list[str | Gap]:
    """Known strings and gaps in turn, as they stand in ``text``; ``UserError`` where there is no gap."""
    try:
        matches = list(re.finditer(pattern, text))
    except re.error as error:
        raise UserError(f"the gap pattern {pattern!r} is no regular expression: {error}.") from None
    if not matches:
        raise UserError(f"the text has no gap: nothing in it matches {pattern!r} (write ___ where text is wanted).")
    pieces: list[str | Gap] = []
    at = 0
    for match in matches:
        if match.start() == match.end():
            raise UserError(f"the gap pattern {pattern!r} matches nothing at all: a gap has at least one character.")
        if match.start() > at:
            pieces.append(text[at : match.start()])
        pieces.append(length or Gap(match.end() - match.start(), match.end() - match.start()))
        at = match.end()
    return [*pieces, text[at:]] if at < len(text) else pieces


def page_of(pieces: Sequence[Piece]) -> np.ndarray:
    """Ids ``(n,)`` with -1 in the gaps, which must be of one length each."""
    parts = [np.full(p.least, -1, dtype=np.int64) if isinstance(p, Gap) else np.asarray(p, np.int64) for p in pieces]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
