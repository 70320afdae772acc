"""A causal network as a predictor: cell after cell in order of writing, one step of its state each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from semagram.layouts import Layout, Sequence
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.models.contract import Network
from semagram.predictors.answering import answering, checked
from semagram.predictors.contract import leading
from semagram.predictors.snapshots import Snapshot, select_rows


@dataclass(frozen=True)
class RankByRank:
    """Write cell after cell, each given those of earlier rank: left to right on a line."""

    @property
    def visibility(self) -> Visibility:
        """What the network must have been trained for."""
        return Visibility.CAUSAL


@dataclass(frozen=True)
class CausalPredictor:
    """Writes left to right (or in the layout's own order); ``layout`` is the largest canvas."""

    network: Network
    layout: Layout
    whole_prefix: bool = False
    """Read what is given as a prefix whose cells see one another; for networks trained with ``PrefixLM``, whose given
    cells then are not the same as written ones."""

    def __post_init__(self) -> None:
        if self.network.visibility is not Visibility.CAUSAL:
            raise ValueError(f"writing rank by rank needs a CAUSAL network, got {self.network.visibility.name}.")

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
        """Cells are written in the order of their ranks."""
        return True

    def canvas(self, length: int) -> Layout:
        """A line of ``length``; a page or streams keep their shape."""
        return canvas_of(self.layout, length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> CausalState:
        """Start ``batch`` canvases; ``given`` may fix the same leading cells in every row."""
        return CausalState(self.network, layout, batch, given, self.whole_prefix)


def canvas_of(layout: Layout, length: int) -> Layout:
    """The canvas for ``length`` tokens: a line is cut to size, other layouts must match."""
    if not 1 <= length <= layout.count:
        raise ValueError(f"a canvas holds 1 to {layout.count} tokens, got {length}.")
    if isinstance(layout, Sequence):
        return replace(layout, length=length)
    if length != layout.count:
        raise ValueError(f"a canvas of {layout} holds exactly {layout.count} tokens, got {length}.")
    return layout


class CausalState:
    """See ``DecodingState``. Between calls the network has read all written cells but the last."""

    def __init__(
        self, network: Network, layout: Layout, batch: int, given: Tensor | None, whole_prefix: bool = False
    ) -> None:
        device = next(network.parameters()).device  # type: ignore[attr-defined]
        self._network = network
        self._geometry = Geometry.of(layout.positions(), Visibility.CAUSAL).to(device)
        known = leading(given, self._geometry.order.to(given.device) if given is not None else self._geometry.order)
        if whole_prefix and known is not None and known.shape[1] < self._geometry.count:
            where = self._geometry.coords, self._geometry.order, Visibility.CAUSAL
            self._geometry = Geometry(*where, prefix=known.shape[1] + 1)
        self._state = network.new_state(batch, self._geometry)
        self._batch = batch
        self._written = 0
        self._ids: list[Tensor] = []
        self._logits: Tensor | None = None
        self._last = torch.full((batch, 1), network.vocabulary_size, dtype=torch.int64, device=device)
        if known is not None:
            self._begin(known.to(device))

    @property
    def next_positions(self) -> Tensor:
        """``(b, 1)``, or ``(b, 0)`` when the canvas is full."""
        return self._geometry.order[self._written : self._written + 1].expand(self._batch, -1)

    def log_probs(self) -> Tensor:
        """``(b, 1, v)``; ``(b, 0, v)`` when the canvas is full."""
        if self._written == self._geometry.count:
            return torch.zeros(self._batch, 0, self._network.vocabulary_size, device=self._last.device)
        if self._logits is None:
            with answering(self._network):
                self._logits = torch.log_softmax(self._network.step(self._last, self._state).float(), dim=-1)
        return self._logits

    def write(self, ids: Tensor) -> None:
        """``(b, 1)``; ``(b, 0)`` when the canvas is full."""
        left = self._geometry.count - self._written
        ids = checked(ids, self._batch, min(1, left), self._network.vocabulary_size)
        if ids.shape[1] < min(1, left):
            raise ValueError("write takes 1 id a row here, got 0.")
        if left == 0:
            return
        if self._logits is None:
            self.log_probs()
        self._last, self._logits = ids, None
        self._ids.append(ids)
        self._written += 1

    @property
    def network_state(self) -> object:
        """What the network remembers."""
        return self._state

    @property
    def written(self) -> int:
        """Cells that are known."""
        return self._written

    def mark(self) -> tuple[Snapshot, int, Tensor, Tensor | None]:
        """See ``Rewindable``."""
        return Snapshot(self._state), len(self._ids), self._last, self._logits

    def rewind(self, mark: object) -> None:
        """See ``Rewindable``."""
        snapshot, chunks, last, logits = cast(tuple[Snapshot, int, Tensor, Tensor | None], mark)
        snapshot.restore()
        del self._ids[chunks:]
        self._written = sum(ids.shape[1] for ids in self._ids)
        self._last, self._logits = last, logits

    def select(self, rows: Tensor) -> None:
        """See ``Rewindable``. A network whose state does not say where its rows are reads the text once more."""
        rows = rows.to(self._last.device)
        self._ids = [ids[rows] for ids in self._ids]
        if select_rows(self._state, rows, self._batch):
            self._last = self._last[rows]
            self._logits = None if self._logits is None else self._logits[rows]
            return
        if hasattr(self._network, "selected"):  # what stands before the rows goes with them
            self._network = self._network.selected(rows)  # type: ignore[attr-defined]
        written, self._ids = self._ids, []
        self._state, self._written, self._logits = self._network.new_state(self._batch, self._geometry), 0, None
        self._last = torch.full_like(self._last, self._network.vocabulary_size)
        if written:
            self._begin(torch.cat(written, dim=1))

    def read(self, ids: Tensor) -> Tensor:
        """``(b, m)`` -> ``(b, m, v)`` in one parallel pass over the coming m slots."""
        ids = checked(ids, self._batch, self._geometry.count - self._written, self._network.vocabulary_size)
        if ids.shape[1] == 0:
            return torch.zeros(self._batch, 0, self._network.vocabulary_size, device=self._last.device)
        if self._logits is not None:
            first = self._logits
            self.write(ids[:, :1])
            return torch.cat([first, self.read(ids[:, 1:])], dim=1) if ids.shape[1] > 1 else first
        with answering(self._network):
            return torch.log_softmax(self._step_over(ids).float(), dim=-1)

    def _begin(self, ids: Tensor) -> None:
        """Write the first ids without wanting their probabilities. A prefix is read in one piece: the slot that is
        shown its last token belongs to it, so the next cell's answer comes with it."""
        prefix = self._geometry.prefix
        with answering(self._network):
            if not prefix:
                self._step_over(ids)
                return
            logits = self._network.step(torch.cat([self._last, ids[:, : prefix - 1]], dim=1), self._state)
            self._logits = torch.log_softmax(logits[:, -1:].float(), dim=-1)
            self._ids, self._written, self._last = [ids[:, : prefix - 1]], prefix - 1, ids[:, prefix - 2 : prefix - 1]
        if ids.shape[1] > self._written:
            self.read(ids[:, self._written :])

    def _step_over(self, ids: Tensor) -> Tensor:
        inputs = torch.cat([self._last, ids[:, :-1]], dim=1)
        logits = self._network.step(inputs, self._state)
        self._last = ids[:, -1:]
        self._ids.append(ids)
        self._written += ids.shape[1]
        return logits
