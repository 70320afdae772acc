"""How a text longer than a canvas is read: stretches side by side, each in overlapping canvases.

The N ids are cut into S contiguous stretches that are read in lockstep, one batch row each. A stretch begins without
context, so S trades a little code length for speed. Within its stretch a row is read canvas by canvas: the first
predicts up to ``context`` cells; each later one starts ``stride`` cells further on, with its first
``context - stride`` ids given. A predictor without a limit takes a whole stretch as one canvas. Where a canvas has a
fixed shape (pages), stretches are cut at page borders, pages do not overlap and the last one is filled up with cells
that do not count.

The plan follows from (N, context, stride, S, fixed shape or not) alone. Encoder, decoder and scorer all use it, so
what is scored is what is coded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.predictors.contract import Predictor

MOST_STRETCHES = 256
"""Bounds the memory that a decoder may be asked for."""
_IDS_A_STRETCH, _DEFAULT_MOST = 4096, 64


@dataclass(frozen=True)
class Canvases:
    """Canvases of one shape that are opened together, one a batch row.

    Cell c of row r holds the id at place ``offsets[r] + c`` of the text, if ``c < filled[r]``. The first ``given``
    cells are known beforehand; the cells ``given <= c < filled[r]`` count; the others are filler (id 0).
    """

    length: int
    given: int
    offsets: np.ndarray
    """``(b,)`` int64: the place in the text of each canvas's first cell."""
    filled: np.ndarray
    """``(b,)`` int64, 0..length: how many leading cells hold text."""
    begins: np.ndarray
    """``(b,)`` int64: where each row's stretch begins; from there to its offset it has been read."""

    @property
    def rows(self) -> int:
        """b."""
        return len(self.offsets)

    @property
    def counted(self) -> int:
        """Cells that count, over all rows."""
        return int(np.maximum(self.filled - self.given, 0).sum())


@dataclass(frozen=True)
class Plan:
    """The canvases in which ``count`` ids are read; see the module."""

    count: int
    """N, ids of the text."""
    stretches: int
    """S, batch rows; at most one a page or, without pages, one an id (0 for an empty text)."""
    context: int | None
    """Cells of the largest canvas; None: no limit."""
    stride: int | None
    """Cells from one canvas to the next; None where canvases do not overlap (no limit, or pages)."""

    @property
    def pages(self) -> bool:
        """True where every canvas has the same shape."""
        return self.context is not None and self.stride is None

    def borders(self) -> np.ndarray:
        """``(S + 1,)`` int64 places: stretch s is the ids from border s up to, not including, border s + 1."""
        unit = self.context if self.pages and self.context else 1
        units, rows = -(-self.count // unit), max(self.stretches, 1)
        row = np.arange(rows + 1, dtype=np.int64)
        return np.minimum((row * (units // rows) + np.minimum(row, units % rows)) * unit, self.count)

    def rounds(self) -> Iterator[Canvases]:
        """The canvases of all S rows, round after round; every id of the text counts in exactly one."""
        if self.count == 0:
            return
        borders = self.borders()
        starts, ends = borders[:-1], borders[1:]
        longest = int((ends - starts).max())
        canvas = longest if self.context is None else self.context
        stride = canvas if self.stride is None else self.stride
        start, given = 0, 0
        while start + given < longest:
            length = canvas if self.pages else min(canvas, longest - start)
            offsets = starts + start
            yield Canvases(length, given, offsets, np.clip(ends - offsets, 0, length), starts)
            start, given = start + stride, canvas - stride


def plan_of(predictor: Predictor, count: int, stretches: int | None = None, stride: int | None = None) -> Plan:
    """The plan for ``count`` ids; by default as many stretches as is quick, and canvases that overlap by half.

    ``stretches`` is 1 to 256 (fewer are used when the text is shorter). ``UserError`` for numbers out of range, and
    for a ``stride`` where canvases cannot overlap.
    """
    context = predictor.context
    pages = has_pages(predictor)
    if stride is not None:
        if context is None or pages:
            kind = "reads any length at once" if context is None else "reads whole pages"
            raise UserError(f"stride {stride} was given, but this predictor {kind}: leave the stride out.")
        if not 1 <= stride <= context:
            raise UserError(f"stride must be from 1 to the context, {context}; got {stride}.")
    elif context is not None and not pages:
        stride = max(1, context // 2)
    units = -(-count // context) if pages and context else count
    if stretches is None:
        # Pages do not see each other, so more stretches cost nothing there.
        stretches = _DEFAULT_MOST if pages else min(max(count // _IDS_A_STRETCH, 1), _DEFAULT_MOST)
    if not 1 <= stretches <= MOST_STRETCHES:
        raise UserError(f"stretches must be from 1 to {MOST_STRETCHES}, got {stretches}.")
    return Plan(count, min(stretches, units), context, stride)


def has_pages(predictor: Predictor) -> bool:
    """True when the predictor's canvas holds exactly ``context`` cells, no fewer."""
    if predictor.context is None or predictor.context < 2:
        return False
    try:
        predictor.canvas(predictor.context - 1)
    except ValueError:
        return True
    return False


def gathered(canvases: Iterable[Canvases], cells: int) -> Iterator[Canvases]:
    """The same canvases in other batches: equal shapes together, rows without counted cells left out.

    When the ids are known beforehand canvases do not depend on each other. A batch has at most ``cells`` cells, or a
    single row.
    """
    waiting: dict[tuple[int, int], list[Canvases]] = {}
    for canvas in canvases:
        keep = canvas.filled > canvas.given
        shape = (canvas.length, canvas.given)
        kept = waiting.setdefault(shape, [])
        kept.append(Canvases(*shape, canvas.offsets[keep], canvas.filled[keep], canvas.begins[keep]))
        if sum(c.rows for c in kept) * canvas.length >= cells:
            yield from _batches(waiting.pop(shape), cells)
    for kept in waiting.values():
        yield from _batches(kept, cells)


def _batches(same: list[Canvases], cells: int) -> Iterator[Canvases]:
    length, given = same[0].length, same[0].given
    offsets = np.concatenate([c.offsets for c in same])
    filled = np.concatenate([c.filled for c in same])
    begins = np.concatenate([c.begins for c in same])
    rows = max(1, cells // length)
    for start in range(0, len(offsets), rows):
        part = slice(start, start + rows)
        yield Canvases(length, given, offsets[part], filled[part], begins[part])
