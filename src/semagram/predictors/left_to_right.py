"""Reading a canvas cell after cell with a model of plain contexts (n-grams, suffix look-up).

Such a model keeps no more of the past than a small array a row. ``ContextModel`` says what it must offer; the state
made of it here answers the predictor contract on any layout, one cell at a time in the order of rank (cells of equal
rank in the order of the cells). Rows never meet: a row's bits do not depend on its company or on the batch's size.
Tested against ``read_step_by_step``.
"""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout
from semagram.predictors.contract import leading


class ContextModel(Protocol):
    """What a model of contexts must offer. A context is one row of an array of shape ``(b, c)``."""

    @property
    def vocabulary_size(self) -> int:
        """v: ids 0..v-1 can be emitted."""
        ...

    def empty_contexts(self, batch: int) -> np.ndarray:
        """``(batch, c)``: nothing written yet."""
        ...

    def advance(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """``(b, c)`` and ``(b,)`` -> ``(b, c)``: one more symbol a row."""
        ...

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``(b, c)`` and ``(b, m)`` -> ``(b, m + 1, c)``: before each id and after the last."""
        ...

    def rows(self, contexts: np.ndarray) -> np.ndarray:
        """``(b, c)`` -> ``(b, v)`` float32 natural-log probabilities."""
        ...


class LeftToRightState:
    """A ``DecodingState`` over a ``ContextModel``: groups of one cell, in the order of rank."""

    def __init__(self, model: ContextModel, layout: Layout, batch: int, given: Tensor | None = None) -> None:
        """Start ``batch`` canvases; ``given`` ``(b, n)`` may fix the same leading cells of every row."""
        if batch < 1:
            raise UserError(f"batch must be at least 1, got {batch}.")
        self._model = model
        self._order = layout.positions().order()
        self._done = 0
        self._contexts = model.empty_contexts(batch)
        if given is not None and tuple(given.shape) != (batch, layout.count):
            raise UserError(f"given must be (batch, cells) = ({batch}, {layout.count}), got {tuple(given.shape)}.")
        known = leading(given, self._order)
        if known is not None:
            ids = self._checked(known)
            self._contexts = model.walk(self._contexts, ids)[:, -1]
            self._done = ids.shape[1]

    @property
    def next_positions(self) -> Tensor:
        """``(b, 1)`` int64: the cell that comes next in every row; ``(b, 0)`` when the canvas is full."""
        return self._order[self._done : self._done + 1].expand(self._contexts.shape[0], -1)

    def log_probs(self) -> Tensor:
        """``(b, 1, v)`` float32 natural-log probabilities of the next cell; ``(b, 0, v)`` when the canvas is full."""
        if self._done == self._order.numel():
            return torch.zeros(self._contexts.shape[0], 0, self._model.vocabulary_size)
        return torch.from_numpy(self._model.rows(self._contexts))[:, None]

    def write(self, ids: Tensor) -> None:
        """Write ``(b, g)`` ids into the next group. Raises ``UserError`` for another shape or ids out of range."""
        group = self.next_positions.shape[1]
        if ids.shape[1:] != (group,):
            raise UserError(f"write takes {group} ids a row here, got {tuple(ids.shape[1:])}.")
        symbols = self._checked(ids)
        if group:
            self._contexts = self._model.advance(self._contexts, symbols[:, 0])
        self._done += group

    def read(self, ids: Tensor) -> Tensor:
        """Write ``(b, m)`` ids and return the ``(b, m, v)`` log-probabilities each cell had just before."""
        symbols = self._checked(ids)
        batch, count = symbols.shape
        if self._done + count > self._order.numel():
            left = self._order.numel() - self._done
            raise UserError(f"The canvas has {left} cells left, but {count} ids were to be read.")
        if count == 0:
            return torch.zeros(batch, 0, self._model.vocabulary_size)
        contexts = self._model.walk(self._contexts, symbols)
        self._contexts = contexts[:, -1]
        self._done += count
        rows = self._model.rows(contexts[:, :-1].reshape(batch * count, -1))
        return torch.from_numpy(rows).reshape(batch, count, self._model.vocabulary_size)

    def mark(self) -> tuple[np.ndarray, int]:
        """See ``Rewindable``; contexts are replaced and never changed in place, so nothing is copied."""
        return self._contexts, self._done

    def rewind(self, mark: object) -> None:
        """See ``Rewindable``."""
        self._contexts, self._done = cast(tuple[np.ndarray, int], mark)

    def select(self, rows: Tensor) -> None:
        """See ``Rewindable``."""
        self._contexts = self._contexts[rows.cpu().numpy()]

    def _checked(self, ids: Tensor) -> np.ndarray:
        """``(b, m)`` ids as numpy int64; they must fit the batch and the vocabulary."""
        batch, v = self._contexts.shape[0], self._model.vocabulary_size
        if ids.dim() != 2 or ids.shape[0] != batch:
            raise UserError(f"ids must be (b, m) with b = {batch}, got {tuple(ids.shape)}.")
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < v:
            raise UserError(f"ids must be in 0..{v - 1}, got {int(ids.min())}..{int(ids.max())}.")
        return ids.detach().cpu().to(torch.int64).numpy()
