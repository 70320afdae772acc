"""A tagged network with its labellers: together a plain causal network of ids, and so a plain causal predictor.

``Labelled`` makes the tags that belong to its inputs. Those of Causal and Completed axes are made from what is
written, while it is written: whatever reads, steps, scores or codes with a causal network does so with this one, over
the text alone, and a decoder arrives at the same tags. Those of Given and Oracle axes must be told (``knowing``), and
are unknown where they are not.

A canvas may stand in a longer text. ``placed`` says what stands before it (at most ``memory`` tokens), from which the
labellers read on, so that a speaker named a page ago is still known; without that they begin with the canvas. Tested:
stepping equals the parallel pass, rewinds and exchanges of rows, and tags against those of the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Axis, Given, Layout, Streams
from semagram.layouts.geometry import Geometry
from semagram.layouts.streams import line_of
from semagram.models.tagged import TaggedNetwork
from semagram.predictors.causal import CausalPredictor, CausalState
from semagram.predictors.tags_of_tokens import UNKNOWN, Reading, pieces_of, tags_of

if TYPE_CHECKING:
    from semagram.text.tokenizer import Tokenizer

MEMORY = 512
"""Tokens before a canvas that its labellers read, at most."""
_STEP_BY_STEP = 4
"""So few slots are read by readers; more are labelled at once."""


@dataclass(frozen=True)
class Before:
    """Where canvases stand: the ids before each ``(b, m)``, -1 where there is nothing, and their places ``(b,)``."""

    ids: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, before: Sequence[np.ndarray], offsets: np.ndarray) -> Before:
        """Rows of different lengths, brought to one on their left."""
        most = max((len(row) for row in before), default=0)
        ids = np.full((len(before), most), -1, dtype=np.int64)
        for padded, row in zip(ids, before, strict=True):
            padded[most - len(row) :] = row
        return cls(ids, np.asarray(offsets, dtype=np.int64))


class LabelledState:
    """The network's state; the ids before and within the canvas, ``(b, m + n)``, and the places of the canvases."""

    def __init__(self, inner: Any, ids: Tensor, begun: int, offsets: Tensor, reading: Reading) -> None:
        self.inner, self.ids, self.begun, self.offsets, self.reading = inner, ids, begun, offsets, reading
        self.length = 0


class Labelled(nn.Module):
    """A ``TaggedNetwork`` that makes its tags by itself; a ``Network``."""

    def __init__(self, network: TaggedNetwork, pieces: tuple[str, ...], without: bool = False) -> None:
        """``pieces``: the tokens' texts (``pieces_of``). ``without``: all axes are unknown, as if there were none."""
        super().__init__()
        self.network = network
        self.vocabulary_size, self.visibility = network.vocabulary_size, network.visibility
        self.axes = network.layout.shown
        self.pieces = pieces
        self.without = without
        self.facts: dict[str, np.ndarray] = {}
        self.before: Before | None = None

    def knowing(self, ids: np.ndarray) -> Labelled:
        """The same, told the tags of Given and Oracle axes in a text ``(N,)`` that begins at place 0."""
        return self.told({axis.name: tags_of(axis.labeller, self.pieces, ids) for axis in self.axes if axis.told})

    def told(self, facts: dict[str, np.ndarray]) -> Labelled:
        """The same, told these tags ``(N,)`` by name; ``UserError`` for an axis that is not told, and tags it lacks."""
        sizes = {axis.name: axis.size for axis in self.axes if axis.told}
        for name, tags in facts.items():
            if name not in sizes:
                raise UserError(f"there is no axis {name} to be told; there are {', '.join(sizes) or 'none'}.")
            if len(tags) and not -1 <= int(np.min(tags)) <= int(np.max(tags)) < sizes[name]:
                raise UserError(f"axis {name} has tags 0..{sizes[name] - 1}, got {np.min(tags)}..{np.max(tags)}.")
        other = copy(self)
        other.facts = {name: np.asarray(tags, dtype=np.int64) for name, tags in facts.items()}
        return other

    def placed(self, before: Sequence[np.ndarray], offsets: np.ndarray) -> Labelled:
        """The same for canvases that stand behind these ids, a row each, at these places of the text."""
        other = copy(self)
        other.before = Before.of([row[max(0, len(row) - MEMORY) :] for row in before], offsets)
        return other

    def selected(self, rows: Tensor) -> Labelled:
        """The same for canvases of which the i-th stands where the ``rows[i]``-th stood."""
        if self.before is None:
            return self
        other, at = copy(self), rows.cpu().numpy()
        other.before = Before(self.before.ids[at], self.before.offsets[at])
        return other

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``; raises ``ValueError`` for padded canvases, whose tags would read padding."""
        if not self.axes or self.without:
            return self.network(inputs, geometry)
        if geometry.keep is not None:
            raise ValueError("labellers read whole lines; give each batch rows of one length, without padding.")
        ids, offsets = self._begin(inputs.shape[0], 0)
        rows = torch.cat([ids, inputs[:, 1:].cpu()], dim=1).numpy()
        tags = self._whole(rows, ids.shape[1], inputs.shape[1], offsets.numpy(), 0)
        return self.network(inputs, geometry, torch.from_numpy(tags).to(inputs.device))

    def new_state(self, batch: int, geometry: Geometry) -> LabelledState:
        """Nothing read yet but what stands before."""
        ids, offsets = self._begin(batch, geometry.count)
        begun = ids.shape[1] - geometry.count
        reading = Reading([axis for axis in self.axes if not axis.told], self.pieces, batch)
        return LabelledState(self.network.new_state(batch, geometry), ids, begun, offsets, reading)

    def step(self, inputs: Tensor, state: LabelledState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        if not self.axes or self.without:
            state.length += inputs.shape[1]
            return self.network.step(inputs, state.inner)
        count, start = inputs.shape[1], state.length
        # The first slot is shown the reserved id, which is nothing that is written: slot i ends with id begun + i - 1.
        new = inputs if start else inputs[:, 1:]
        first = state.begun + max(0, start - 1)
        state.ids[:, first : first + new.shape[1]] = new.cpu()
        rows = state.ids[:, : first + new.shape[1]].numpy()
        known = state.begun + start
        if count <= _STEP_BY_STEP:
            tags = self._stepped(rows, known, count, state)
        else:
            tags = self._whole(rows, known, count, state.offsets.numpy(), start)
        state.length += count
        return self.network.step(inputs, state.inner, torch.from_numpy(tags).to(inputs.device))

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """The network's."""
        return self.network.auxiliary_losses()

    def _begin(self, batch: int, room: int) -> tuple[Tensor, Tensor]:
        """Ids before the canvas and room for its own, ``(b, m + room)``, and its places ``(b,)``; on the CPU."""
        before = self.before
        if before is not None and len(before.ids) != batch:
            raise ValueError(f"what stands before is known of {len(before.ids)} canvases, but {batch} were opened.")
        if before is None:
            return torch.full((batch, room), -1), torch.zeros(batch, dtype=torch.long)
        ids = torch.cat([torch.from_numpy(before.ids), torch.full((batch, room), -1)], dim=1)
        return ids, torch.from_numpy(before.offsets).clone()

    def _whole(self, rows: np.ndarray, known: int, count: int, offsets: np.ndarray, start: int) -> np.ndarray:
        """Tags ``(b, count, A)`` of slots whose last known ids are ``rows[:, known - 1], ... [:, known + count - 2]``;
        the first is slot ``start`` of its canvas."""
        tags = np.full((len(rows), count, len(self.axes)), UNKNOWN, dtype=np.int64)
        for k, axis in enumerate(self.axes):
            if axis.told:
                tags[:, :, k] = self._fact(axis, offsets[:, None] + start + np.arange(count))
                continue
            for row, found in zip(rows, tags[:, :, k], strict=True):
                labels = tags_of(axis.reading, self.pieces, row)
                at = np.arange(known - 1, known - 1 + count) - axis.delay
                found[at >= 0] = labels[at[at >= 0]]
        return tags

    def _stepped(self, rows: np.ndarray, known: int, count: int, state: LabelledState) -> np.ndarray:
        tags = np.full((len(rows), count, len(self.axes)), UNKNOWN, dtype=np.int64)
        read = [k for k, axis in enumerate(self.axes) if not axis.told]
        for slot in range(count):
            for number, row in enumerate(rows if read else ()):
                tags[number, slot, read] = state.reading.last(number, np.ascontiguousarray(row[: known + slot]))
        for k, axis in enumerate(self.axes):
            if axis.told:
                places = state.offsets.numpy()[:, None] + state.length + np.arange(count)
                tags[:, :, k] = self._fact(axis, places)
        return tags

    def _fact(self, axis: Axis, places: np.ndarray) -> np.ndarray:
        """What was told about the letters asked for at ``places`` (Given), or about those before them (Oracle)."""
        told = self.facts.get(axis.name, np.zeros(0, dtype=np.int64))
        at = places if isinstance(axis.protocol, Given) else places - 1 - axis.delay
        inside = (at >= 0) & (at < len(told))
        found = np.full(places.shape, UNKNOWN, dtype=np.int64)
        found[inside] = told[at[inside]]
        return found


@dataclass(frozen=True)
class LabelledPredictor:
    """A ``Labelled`` network under the predictor contract; ``layout`` is the largest canvas."""

    network: Labelled
    layout: Layout

    memory = MEMORY
    """See ``Placeable``."""

    @property
    def _plain(self) -> CausalPredictor:
        return CausalPredictor(self.network, self.layout)  # type: ignore[arg-type]

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
        """Left to right."""
        return True

    def canvas(self, length: int) -> Layout:
        """A line of ``length``."""
        return self._plain.canvas(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> CausalState:
        """Start ``batch`` canvases; ``given`` may fix the same leading cells in every row."""
        return self._plain.open(layout, batch, given)

    def placed(self, before: Sequence[np.ndarray], offsets: np.ndarray) -> LabelledPredictor:
        """See ``Placeable``."""
        return replace(self, network=self.network.placed(before, offsets))

    def knowing(self, ids: np.ndarray) -> LabelledPredictor:
        """Told the tags of the text ``(N,)`` that is to be read."""
        return replace(self, network=self.network.knowing(ids))

    def told(self, facts: dict[str, np.ndarray]) -> LabelledPredictor:
        """Told tags by the name of their axis, ``(N,)`` each."""
        return replace(self, network=self.network.told(facts))

    def without(self) -> LabelledPredictor:
        """The same model with all its axes unknown."""
        return replace(self, network=Labelled(self.network.network, self.network.pieces, without=True))


def labelled(network: Any, layout: Layout, tokenizer: Tokenizer) -> Any:
    """``network`` with its labellers, where the layout has axes of tags; itself elsewhere, and where it has them."""
    if not (isinstance(layout, Streams) and layout.tags) or isinstance(network, Labelled):
        return network
    return Labelled(network, pieces_of(tokenizer))


def labelled_predictor(network: Labelled, layout: Layout) -> LabelledPredictor:
    """The predictor that writes canvases of up to ``layout`` from left to right."""
    return LabelledPredictor(network, line_of(layout))
