"""A masked network as a predictor: it writes cells anywhere, several at once, in an order of its own choosing.

Each step shows the network the page with its unknown cells masked, chooses which unknown cells come next, and gives
their distributions (``orders`` has the rules). The choice depends only on what is written (and on the numbers drawn
for the ``random`` order from a fixed seed), so a decoder arrives at the same choice, and coding cell by cell given
the cells already written is an exact negative log-likelihood in the model's own order. MaskGIT: arXiv 2202.04200.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.models.contract import Network
from semagram.predictors.answering import answering, checked
from semagram.predictors.causal import canvas_of
from semagram.predictors.contract import read_step_by_step
from semagram.predictors.orders import Choice, Schedule, priority_of, sizes, wishes

HIDDEN = -2
"""In ``given``: a cell that is not known and never asked for. The network goes on seeing a mask there, so the others'
distributions do not depend on it: that is how a page may be larger than its text."""


@dataclass(frozen=True)
class Unmasking:
    """How a masked model writes a page."""

    choice: Choice = "confidence"
    """Which unknown cells come next: those the model is surest of (by largest probability, margin or entropy); random
    ones; those of the lowest rank (the layout's scan); along the text, or backwards; in a given order."""
    cells: int = 1
    """Cells written together in a step (constant schedule)."""
    schedule: Schedule = "constant"
    """Always ``cells`` of them, or a plan of ``steps`` steps whose share of known cells grows so."""
    steps: int | None = None
    """Steps of a linear or cosine schedule."""
    block: int | None = None
    """Write the text in blocks of so many cells, each to its end before the next begins; none: all of it at once."""
    order: tuple[int, ...] = ()
    """The cells in order of writing, for the given choice (and no other)."""
    seed: int = 0
    """Of the random order (and of no other); every row of a batch draws the same order."""

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise UserError(f"writing.cells must be at least 1, got {self.cells}.")
        if self.seed != 0 and self.choice != "random":
            raise UserError(
                f'writing.seed {self.seed} cannot act: it is for choice "random", and the choice is "{self.choice}".'
            )
        if self.block is not None and self.block < 1:
            raise UserError(f"writing.block must be at least 1 or none, got {self.block}.")
        if self.schedule == "constant" and self.steps is not None:
            raise UserError(f"writing.steps {self.steps} cannot act with a constant schedule: give linear or cosine.")
        if self.schedule != "constant" and (self.steps is None or self.steps < 1):
            raise UserError(f"writing.schedule {self.schedule} needs writing.steps of at least 1, got {self.steps}.")
        if self.schedule != "constant" and self.cells != 1:
            raise UserError(
                f"writing.cells {self.cells} cannot act: the schedule is {self.schedule}, give writing.steps."
            )
        if (self.choice == "given") != bool(self.order):
            raise UserError(
                f'writing.order is for choice "given" and must be there for it; the choice is "{self.choice}", the '
                f"order {self.order}."
            )

    @property
    def visibility(self) -> Visibility:
        """What the network must have been trained for."""
        return Visibility.FULL


@dataclass(frozen=True)
class AnyOrderPredictor:
    """Writes a canvas in any order with a FULL network; ``layout`` is the largest canvas."""

    network: Network
    layout: Layout
    writing: Unmasking

    def __post_init__(self) -> None:
        if self.network.visibility is not Visibility.FULL:
            raise ValueError(f"writing in any order needs a FULL network, got {self.network.visibility.name}.")

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.network.vocabulary_size

    @property
    def context(self) -> int | None:
        """Cells of the largest canvas."""
        return self.layout.count

    @property
    def fixed_order(self) -> bool:
        """The next cells are chosen as the page fills."""
        return False

    def canvas(self, length: int) -> Layout:
        """A line of ``length``; a page or streams keep their shape."""
        return canvas_of(self.layout, length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> AnyOrderState:
        """Start ``batch`` canvases; ``given`` may fix any cells, as many in every row."""
        return AnyOrderState(self, layout, batch, given)


Mark = tuple[Tensor, Tensor, list[list[int]], tuple[Tensor, Tensor] | None]


class AnyOrderState:
    """See ``DecodingState``."""

    def __init__(self, predictor: AnyOrderPredictor, layout: Layout, batch: int, given: Tensor | None) -> None:
        self._network, self._writing = predictor.network, predictor.writing
        device = next(self._network.parameters()).device  # type: ignore[attr-defined]
        positions = layout.positions()
        self._geometry = Geometry.of(positions, Visibility.FULL).to(device)
        n = layout.count
        self._page = torch.full((batch, n), self._network.vocabulary_size, dtype=torch.int64, device=device)
        if given is not None:
            counts = (given >= 0).sum(dim=1)
            if bool((counts != counts[0]).any()) and not bool((given == HIDDEN).any()):
                raise ValueError(f"every row must have as many known cells; got {counts.tolist()}.")
            self._page = torch.where(given.to(device) >= 0, given.to(device), self._page)
        self._open = self._page == self._network.vocabulary_size
        if given is not None:
            self._open &= given.to(device) != HIDDEN
            left = self._open.sum(dim=1)
            if bool((left != left[0]).any()):
                raise ValueError(f"every row must have as many cells to be written; got {left.tolist()}.")
        writing = self._writing
        self._priority = priority_of(writing.choice, positions.rank, writing.seed, writing.order).to(device)
        # Rows may have their unknown cells in other blocks than their neighbours: each has its own list of sizes.
        self._block = torch.arange(n, device=device) // (writing.block or n)
        self._sizes = [self._plan(row) for row in self._open]
        self._answer: tuple[Tensor, Tensor] | None = None

    def _plan(self, unknown: Tensor) -> list[int]:
        """Cells of each coming step of a row ``(n,)``, in turn, block after block; the next step stands last."""
        w, found = self._writing, []
        for count in torch.bincount(self._block[unknown]).tolist():
            found += sizes(count, w.schedule, w.cells, w.steps or 1)
        return found[::-1]

    def _ask(self) -> tuple[Tensor, Tensor]:
        """The coming cells ``(b, g)`` and their log-probabilities ``(b, g, v)``."""
        if self._answer is not None:
            return self._answer
        unknown = self._open
        group = min((row[-1] for row in self._sizes if row), default=0)
        with answering(self._network):
            everywhere = torch.log_softmax(self._network(self._page, self._geometry).float(), dim=-1)
        wish = wishes(self._writing.choice, everywhere, self._priority)
        if self._writing.block is not None and group:
            current = self._block.masked_fill(~unknown, self._block.shape[0]).amin(dim=1, keepdim=True)
            unknown = unknown & (self._block == current)
        # A stable sort, so that equal wishes are settled by place and the decoder cannot differ.
        wish = wish.masked_fill(~unknown, float("-inf"))
        cells = wish.sort(dim=1, descending=True, stable=True).indices[:, :group]
        rows = torch.arange(cells.shape[0], device=cells.device)[:, None]
        self._answer = cells, everywhere[rows, cells]
        return self._answer

    @property
    def next_positions(self) -> Tensor:
        """``(b, g)``."""
        return self._ask()[0]

    def log_probs(self) -> Tensor:
        """``(b, g, v)``."""
        return self._ask()[1]

    def write(self, ids: Tensor) -> None:
        """``(b, g)``."""
        cells, _ = self._ask()
        ids = checked(ids, cells.shape[0], cells.shape[1], self._network.vocabulary_size)
        if ids.shape[1] != cells.shape[1]:
            raise ValueError(f"write takes {cells.shape[1]} ids a row here, got {ids.shape[1]}.")
        self._page = self._page.scatter(1, cells, ids)
        self._open = self._open.scatter(1, cells, False)
        for row in self._sizes:
            row[-1] -= cells.shape[1]
            if row[-1] == 0:
                row.pop()
        self._answer = None

    def read(self, ids: Tensor) -> Tensor:
        """``(b, m)`` ids in order of writing -> ``(b, m, v)``, step by step: each answer needs the last."""
        return read_step_by_step(self, ids)

    def mark(self) -> Mark:
        """See ``Rewindable``; pages are replaced and never changed in place, plans of groups are copied."""
        return self._page, self._open, [row.copy() for row in self._sizes], self._answer

    def rewind(self, mark: object) -> None:
        """See ``Rewindable``."""
        self._page, self._open, sizes, self._answer = cast(Mark, mark)
        self._sizes = [row.copy() for row in sizes]

    def select(self, rows: Tensor) -> None:
        """See ``Rewindable``."""
        chosen = rows.to(self._page.device)
        self._page, self._open, self._answer = self._page[chosen], self._open[chosen], None
        self._sizes = [self._sizes[row].copy() for row in rows.tolist()]
