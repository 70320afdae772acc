"""Rows of one length that are read together, whatever their length: the windows of ``generate``, with a way back.

A canvas holds ``context`` cells. When it is full the next begins, half a canvas further on, counted from the text's
beginning, with what stands there given: the same canvases as ``generate`` opens, so that all ways of choosing tokens
(sampling, beams, drafts) ask one and the same distribution. Going back and exchanging rows use the state's own
``mark``, ``rewind`` and ``select`` where it has them and the canvas is still the same, and open it anew where not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.predictors.contract import DecodingState, Predictor, Rewindable
from semagram.verbs.windows import has_pages


@dataclass(frozen=True)
class Mark:
    """How much was written, in which canvas, and the state's own mark (None where it has none)."""

    count: int
    start: int
    inner: object | None


class Reading:
    """``ids (b, n)`` read by ``predictor``, to be prolonged to at most ``total`` tokens a row."""

    def __init__(self, predictor: Predictor, ids: Tensor, total: int) -> None:
        """``UserError`` for a predictor that chooses where to write."""
        if not predictor.fixed_order:
            raise UserError(
                f"{type(predictor).__name__} chooses where to write next; beams, drafts and contrasts need a "
                "fixed order."
            )
        self.predictor, self.total = predictor, total
        self.ids = ids
        self._pages = has_pages(predictor)
        self._state: DecodingState | None = None
        self._start = self._end = 0

    @property
    def count(self) -> int:
        """Tokens of a row so far."""
        return self.ids.shape[1]

    @property
    def left(self) -> int:
        """Cells of the canvas that can still be written, at least 1 unless the text is complete."""
        self._opened()
        return self._end - self.count

    @property
    def state(self) -> DecodingState:
        """Of the canvas in which the next token stands."""
        return self._opened()

    def log_probs(self) -> Tensor:
        """Of the next token of every row: ``(b, v)``, on the CPU."""
        return self._opened().log_probs()[:, 0].cpu()

    def write(self, ids: Tensor) -> None:
        """One token a row, ``(b,)``."""
        state = self._opened()
        self.ids = torch.cat([self.ids, ids[:, None]], dim=1)
        if self.count < self._end:
            state.write(ids[:, None].to(state.next_positions.device))

    def read(self, ids: Tensor) -> Tensor:
        """``(b, k)`` tokens, k at most ``left`` -> the ``(b, k, v)`` log-probabilities each had just before."""
        state = self._opened()
        rows = state.read(ids.to(state.next_positions.device)).cpu()
        self.ids = torch.cat([self.ids, ids], dim=1)
        return rows

    def mark(self) -> Mark:
        """Where the text ends now."""
        state = self._opened()
        return Mark(self.count, self._start, state.mark() if isinstance(state, Rewindable) else None)

    def rewind(self, mark: Mark) -> None:
        """The text ends again where it ended at ``mark()``."""
        self.ids = self.ids[:, : mark.count]
        if mark.inner is None or mark.start != self._start or not isinstance(self._state, Rewindable):
            self._state = None
        else:
            self._state.rewind(mark.inner)

    def select(self, rows: Tensor) -> None:
        """Row i goes on as row ``rows[i]`` has stood; as many rows as before, or any number at a price."""
        same = rows.shape[0] == self.ids.shape[0]
        self.ids = self.ids[rows]
        if same and self._state is not None and self.count < self._end and isinstance(self._state, Rewindable):
            self._state.select(rows)
        else:
            self._state = None

    def _opened(self) -> DecodingState:
        """The canvas in which the next token stands."""
        if self._state is not None and self.count < self._end:
            return self._state
        count, at = self.predictor.context or self.total, self.count
        start = 0
        if at >= count:
            stride = count if self._pages else max(1, count // 2)
            start = ((at - count) // stride + 1) * stride
        length = count if self._pages else max(1, min(count, self.total - start))
        given = torch.full((len(self.ids), length), -1, dtype=torch.int64)
        given[:, : at - start] = self.ids[:, start:at]
        layout = self.predictor.canvas(length)
        if self._pages:
            order = layout.positions().order()
            placed = torch.full_like(given, -1)
            placed[:, order] = given
            given = placed
        self._state = self.predictor.open(layout, len(self.ids), given if at > start else None)
        self._start, self._end = start, start + length
        return self._state
