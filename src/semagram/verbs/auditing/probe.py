"""The probe: a small canvas of the audited text, and what a predictor says while it is written.

Everything that an audit asks goes through the contract: open, ask, write, read. A walk writes the cells of a page of
ids wherever the predictor wants to write next, and keeps every answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.verbs.auditing.report import Suspicion


@dataclass(frozen=True)
class Walk:
    """``answers (b, m, v)`` and ``cells (b, m)`` of the first m cells in the order they were offered; ``starts`` are
    the places in that order at which a group of cells began."""

    answers: Tensor
    cells: Tensor
    starts: tuple[int, ...]

    def asked_before(self, place: int) -> int:
        """How many answers were given before the cell at ``place`` of the order was written: to its group's end."""
        later = [start for start in self.starts if start > place]
        return later[0] if later else self.cells.shape[1]


@dataclass(frozen=True)
class Probe:
    """``page (b, n)`` ids by cell; row r holds the text from ``offsets[r]`` on. At most ``steps`` cells are asked one
    by one."""

    predictor: Any
    page: Tensor
    offsets: tuple[int, ...]
    steps: int

    @cached_property
    def layout(self) -> Any:
        """The canvas."""
        return self.predictor.canvas(self.page.shape[1])

    @cached_property
    def fixed_order(self) -> bool:
        """Whether cells are written in the order of their ranks."""
        return bool(getattr(self.predictor, "fixed_order", True))

    @cached_property
    def order(self) -> Tensor:
        """Cells in the order of rank ``(n,)``."""
        return self.layout.positions().order()

    @property
    def vocabulary(self) -> int:
        """v."""
        return int(self.predictor.vocabulary_size)

    @cached_property
    def whole(self) -> Walk:
        """The page as it is."""
        return self.walk(self.page)

    def walk(self, page: Tensor, given: Tensor | None = None) -> Walk:
        """Ask and write ``page (b, n)`` cell by cell."""
        state = self.predictor.open(self.layout, page.shape[0], given)
        answers, cells, starts, done = [], [], [], 0
        while done < self.steps and (coming := state.next_positions).shape[1] > 0:
            if not bool(((coming >= 0) & (coming < self.page.shape[1])).all()):
                raise Suspicion(f"it offers cell {int(coming.max())} of a canvas of {self.page.shape[1]} cells")
            starts.append(done)
            answers.append(state.log_probs().detach().clone())
            cells.append(coming.clone())
            state.write(page.to(coming.device).gather(1, coming))
            done += coming.shape[1]
            if done > self.page.shape[1]:
                raise Suspicion(f"it goes on after all {self.page.shape[1]} cells are written")
        if not answers:
            raise Suspicion("it offers no cell of an empty canvas")
        return Walk(torch.cat(answers, dim=1), torch.cat(cells, dim=1), tuple(starts))

    def read(self, page: Tensor) -> Tensor:
        """The parallel answers ``(b, n, v)`` in the order of rank."""
        return self.predictor.open(self.layout, page.shape[0]).read(page[:, self.order]).detach().clone()

    def other(self, page: Tensor, where: Tensor) -> Tensor:
        """``page`` with another id wherever ``where`` is True."""
        shift = 1 + torch.arange(page.numel()).reshape(page.shape) % max(self.vocabulary - 1, 1)
        return torch.where(where, (page + shift) % self.vocabulary, page)

    def place(self, row: int, cell: int) -> int:
        """Where in the text the cell of a row stands."""
        return self.offsets[row] + cell


def probe_of(predictor: Any, ids: np.ndarray, rows: int, cells: int, steps: int) -> Probe:
    """Canvases of at most ``cells`` cells (or whole pages) spread over ``ids (N,)``; ``UserError`` for no text."""
    ids = np.asarray(ids, dtype=np.int64)
    v = int(predictor.vocabulary_size)
    if ids.ndim != 1 or ids.size == 0:
        raise UserError(f"an audit needs one row of ids, at least one; got shape {ids.shape}.")
    if not 0 <= int(ids.min()) <= int(ids.max()) < v:
        raise UserError(f"the predictor knows ids 0..{v - 1}, but the text has {int(ids.min())}..{int(ids.max())}.")
    n = _length(predictor, min(cells, len(ids)))
    offsets = [row * max(len(ids) - n, 0) // max(rows - 1, 1) for row in range(rows)]
    # A text shorter than the rows' canvases goes round; the rows must differ, or company could not be told.
    places = np.array(offsets)[:, None] + np.arange(n)
    page = ids[places % len(ids)]
    if len(ids) <= n:
        page = (page + np.arange(rows)[:, None]) % v
    return Probe(predictor, torch.from_numpy(page), tuple(offsets), min(steps, n))


def _length(predictor: Any, wanted: int) -> int:
    """``wanted`` where the predictor has canvases of that length, else its whole context (a page)."""
    context = predictor.context
    wanted = wanted if context is None else min(wanted, context)
    try:
        return int(predictor.canvas(wanted).count)
    except ValueError:
        return int(predictor.canvas(context).count)


def first_difference(a: Tensor, b: Tensor) -> tuple[int, int, float] | None:
    """(row, place in order, nats) of the first answer in which ``(b, m, v)`` differ by one bit; None if nowhere.

    NaN differs from nothing here: that is another check's.
    """
    if a.shape != b.shape:
        raise Suspicion(f"the answers have shape {tuple(a.shape)} once and {tuple(b.shape)} another time")
    unequal = ((a != b) & ~(a.isnan() & b.isnan())).any(-1)
    if not bool(unequal.any()):
        return None
    place = int(unequal.any(0).nonzero()[0])
    row = int(unequal[:, place].nonzero()[0])
    gap = (a[row, place].double() - b[row, place].double()).abs().nan_to_num(nan=float("inf"))
    return row, place, float(gap.max())


Check = Callable[[Probe], str]
"""Returns what was seen, in words; raises ``Suspicion`` where it does not hold."""
