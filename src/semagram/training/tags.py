"""Tags of the training text, made once: what the network is shown and asked for beside the letters of each batch.

``TagSheet.rows`` has the same form as an n-gram prior's: a batch says where in the training text its canvases begin,
and gets what stands there. Slot i of a canvas that begins at place s asks for token s + i, and is shown the tags of
token s + i - 1 (a Given axis: of s + i), later by an axis's delay; targets are the tags of token s + i. Labels are
those of the whole training text up to there, so the first slot knows no less than the last.

Before that the labellers of Causal and Completed axes are put to the test on this very text: one whose labels change
when what follows is cut off is refused, whatever it says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.layouts import Axis, Given, Layout, Streams
from semagram.predictors.tags_of_tokens import UNKNOWN, pieces_of, tags_of
from semagram.text import Tokenizer
from semagram.text.labels import peek_rate

_PREFIXES, _CHARACTERS = 60, 600


@dataclass(frozen=True)
class TagSheet:
    """The tags of a text of ids ``(N,)``, for the axes of a layout."""

    layout: Streams
    ids: NDArray[np.unsignedinteger]
    tokenizer: Tokenizer

    @cached_property
    def _columns(self) -> NDArray[np.int64]:
        """``(N + 1, shown + asked)``: row p is what slot with target p has."""
        pieces, n = pieces_of(self.tokenizer), len(self.ids)
        whole = self.ids.astype(np.int64)
        columns = np.full((n, len(self.layout.shown) + len(self.layout.asked)), UNKNOWN, dtype=np.int64)
        for k, axis in enumerate(self.layout.shown):
            tags = tags_of(axis.reading, pieces, whole)
            late = 0 if isinstance(axis.protocol, Given) else 1 + axis.delay
            columns[late:, k] = tags[: n - late] if late else tags
        for k, axis in enumerate(self.layout.asked, start=len(self.layout.shown)):
            columns[:, k] = tags_of(axis.reading, pieces, whole)
        return columns

    def rows(self, starts: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """``(b, count, shown + asked)`` int64 for canvases that begin at ``starts (b,)``; -1 where unknown."""
        return self._columns[starts[:, None] + np.arange(count)]


def tag_sheet(layout: Layout, ids: NDArray[np.unsignedinteger], tokenizer: Tokenizer) -> TagSheet | None:
    """The tags of the training ids; none where the layout has no axes that are shown or asked for. ``UserError`` for a
    labeller that is found to peek."""
    if not isinstance(layout, Streams) or not (layout.shown or layout.asked):
        return None
    pieces = pieces_of(tokenizer)
    for axis in layout.shown:
        if not axis.told:
            _must_not_peek(axis, "".join(pieces[i] for i in ids[:200_000].tolist()))
    return TagSheet(layout, ids, tokenizer)


def _must_not_peek(axis: Axis, text: str) -> None:
    found = peek_rate(axis.reading, text, prefixes=_PREFIXES, characters=_CHARACTERS)
    if found.peeked:
        raise UserError(
            f"axis {axis.name}: {type(axis.reading).__name__} says that it reads no letters to come, but {found} of "
            f"its labels in the training text change when what follows is cut off; use Finished, Running or Joint."
        )
