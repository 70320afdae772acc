"""Recurrence over segments: a text of any length is read segment by segment, each remembering the end of the last.

    y[segment] = mixer([stop_gradient(x[memory]); x[segment]])[segment],   memory: the m slots before the segment

Transformer-XL (arXiv 1901.02860). What is remembered at each layer are that layer's own inputs, so L layers reach
L x m slots back at a cost that grows linearly with the length; no gradient flows into a memory. Positions are those of
the canvas, hence exact. In the parallel pass all segments' inputs are there at once and no state is needed; stepping
keeps keys and values of one segment and its memory only, so generation needs room that does not grow. Borders are
counted from the canvas's first slot, so padding belongs at the end.

A memory as long as the text makes it full attention (tested, to the same numbers); a shorter one equals attention with
the mask "own segment, or the m slots before it" (``visible``). Tested against x-transformers' memories.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.attention import Attention


@dataclass(frozen=True)
class Segments:
    """Attention within a segment and to a memory of what was before it."""

    mixer: Attention = field(default_factory=Attention)
    """What reads memory and segment."""
    segment: int = 64
    """Slots a segment."""
    memory: int = 64
    """Slots before a segment that it remembers; 0: none."""

    def __post_init__(self) -> None:
        if self.segment < 1:
            raise UserError(f"segment must be at least 1 slot, got {self.segment}.")
        if self.memory < 0:
            raise UserError(f"memory must be 0 slots or more, got {self.memory}.")

    def visibilities(self) -> frozenset[Visibility]:
        """What comes later is not remembered yet: CAUSAL, if its attention can."""
        return self.mixer.visibilities() & {Visibility.CAUSAL}

    def build(self, width: int) -> SegmentsMixer:
        """The module; refuses what the attention refuses."""
        return SegmentsMixer(self, width)


class SegmentState:
    """The inputs of the current segment and its memory, ``(b, m + s, d)``, and the attention's state over them."""

    def __init__(self, batch: int, memory: int, segment: int, width: int, like: Tensor) -> None:
        self.inputs = torch.zeros(batch, memory + segment, width, dtype=like.dtype, device=like.device)
        self.held = 0
        """Slots of ``inputs`` that are filled."""
        self.inner: Any = None
        self.length = 0


class SegmentsMixer(nn.Module):
    """See ``Segments``."""

    def __init__(self, config: Segments, width: int) -> None:
        super().__init__()
        self.segment, self.memory, self.width = config.segment, config.memory, width
        self.attention = config.mixer.build(width)

    def output_projections(self) -> list[nn.Linear]:
        """The attention's."""
        return self.attention.output_projections()

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        parts = []
        for start in range(0, x.shape[1], self.segment):
            stop = min(start + self.segment, x.shape[1])
            first = max(0, start - self.memory)
            read = torch.cat([x[:, first:start].detach(), x[:, start:stop]], dim=1)
            mixed = self.attention(read, geometry.window(first, stop - first))
            parts.append(mixed[:, start - first :])
        return torch.cat(parts, dim=1) if parts else x

    def new_state(self, batch: int, capacity: int) -> SegmentState:
        """Room for one segment and its memory; ``capacity`` is only looked at where it is smaller."""
        segment = min(self.segment, capacity)
        return SegmentState(batch, min(self.memory, capacity), segment, self.width, next(self.parameters()))

    def step(self, x: Tensor, geometry: Geometry, state: SegmentState) -> Tensor:
        """The coming ``g`` slots; a chunk that crosses a border is taken apart there."""
        parts, done = [], 0
        while done < x.shape[1]:
            into = state.length % self.segment
            if into == 0:
                self._begin(x.shape[0], geometry, done, state)
            count = min(self.segment - into, x.shape[1] - done)
            new = x[:, done : done + count]
            first = done - state.held
            window = geometry.window(first, min(state.inputs.shape[1], state.held + self._left(geometry, done, into)))
            parts.append(self.attention.step(new, window.narrow(state.held, count), state.inner))
            state.inputs[:, state.held : state.held + count] = new.detach()
            state.held += count
            state.length += count
            done += count
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _begin(self, batch: int, geometry: Geometry, done: int, state: SegmentState) -> None:
        """A new segment: its memory are the last slots of what is held, read into a fresh state."""
        kept = min(self.memory, state.held)
        memory = state.inputs[:, state.held - kept : state.held].clone()
        state.inputs[:, :kept] = memory
        state.held = kept
        state.inner = self.attention.new_state(batch, state.inputs.shape[1])
        if kept:
            size = min(state.inputs.shape[1], kept + self._left(geometry, done, 0))
            self.attention.step(memory, geometry.window(done - kept, size).narrow(0, kept), state.inner)

    def _left(self, geometry: Geometry, done: int, into: int) -> int:
        """Slots of the segment still to come, as far as the canvas goes."""
        return min(self.segment - into, geometry.ahead(done))


def visible(count: int, segment: int, memory: int) -> Tensor:
    """The definition as a mask, bool ``(n, n)`` ``[query, key]``: no later slot, none before the segment's memory."""
    at = torch.arange(count)
    first = at // segment * segment - memory
    return (at[None, :] <= at[:, None]) & (at[None, :] >= first[:, None])
