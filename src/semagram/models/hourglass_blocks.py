"""Blocks at one resolution of an ``Hourglass``, where every row of a batch may have its elements at other slots.

Positions are rotary in token coordinates at every depth: an element stands at the slot where it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.mixers.phased import PhasedAttention, RowRing, Turns
from semagram.models.hierarchical_level import BlockState, LevelBlock, LevelPositions
from semagram.models.hierarchical_line import Line

if TYPE_CHECKING:
    from semagram.models.hourglass import Hourglass

POSITIONS = LevelPositions()


class Places:
    """Where the elements of a stage stand: the slots ``(b, m)`` where they end; None: all slots, in order."""

    def __init__(self, line: Line, slots: Tensor | None = None) -> None:
        self.line, self.slots = line, slots

    def turns(self, head_width: int) -> Turns:
        """Rotary tables, in token coordinates at every depth."""
        tables = self.line.turns(POSITIONS, head_width)
        return tables if self.slots is None else tables.at(self.slots)

    def inner(self, slots: Tensor) -> Places:
        """Of the elements that end at ``slots (b, m)`` of this stage."""
        return Places(self.line, slots if self.slots is None else self.slots.gather(1, slots))


class Moment:
    """What a step knows besides the features: the slot, the tables at it, the token just read."""

    def __init__(self, slot: int, turns: dict[int, Turns], inputs: Tensor) -> None:
        self.slot, self.inputs = slot, inputs
        self.turns = {width: tables.slot(slot) for width, tables in turns.items()}


class Blocks(nn.Module):
    """Blocks one after the other; ``size``: each sees its own stretch of so many slots only."""

    def __init__(
        self, config: Hourglass, width: int, heads: int, depth: int, window: int | None, size: int | None = None
    ) -> None:
        super().__init__()
        self.head_width, self.size = width // heads, size
        self.blocks = nn.ModuleList(
            LevelBlock(
                width,
                PhasedAttention(width, heads, self.head_width, config.sharpness),
                config.feedforward.build(width),
                (config.norm.build(width), config.norm.build(width)),
                window if size is None else size - 1,
                half=False,
                dropout=config.dropout,
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor, places: Places, counts: Tensor | None, states: list[BlockState] | None) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; fresh ``states`` are filled with the first ``counts (b,)`` of each row."""
        if not len(self.blocks):
            return x
        turns = places.turns(self.head_width)
        count = x.shape[1]
        read = torch.full((x.shape[0],), count, device=x.device) if counts is None else counts
        if self.size is None:
            for i, block in enumerate(self.blocks):
                x = block(x, turns, *((states[i], read) if states is not None else ()))
            return x
        # Stretches become rows; what is behind the last is cut off again.
        size = self.size
        behind = -count % size
        batch, stretches = x.shape[0], (count + behind) // size

        def cut(table: Tensor) -> Tensor:
            table = F.pad(table, (0, 0, 0, behind)).unflatten(-2, (stretches, size))
            return table.expand(batch, -1, -1, -1).flatten(0, 1)

        stretched = turns.each(cut)
        begin = (count - 1) // size * size
        for i, block in enumerate(self.blocks):
            if states is not None:
                tail = turns.each(lambda table: table[..., begin:, :])
                block(x[:, begin:], tail, states[i], read - begin)
            parts = F.pad(x, (0, 0, 0, behind)).unflatten(1, (stretches, size)).flatten(0, 1)
            x = block(parts, stretched).unflatten(0, (batch, stretches)).flatten(1, 2)[:, :count]
        return x

    def new_states(self, batch: int, capacity: int) -> list[BlockState]:
        """Nothing read."""
        return [block.new_state(batch, capacity, rows=True) for block in self.blocks]  # type: ignore[operator, union-attr]

    def step(self, x: Tensor, moment: Moment, active: Tensor, states: list[BlockState]) -> Tensor:
        """One slot, ``(b, 1, d)``."""
        for block, state in zip(self.blocks, states, strict=True):
            ring = state.ring
            if self.size is not None and moment.slot % self.size == 0:
                assert isinstance(ring, RowRing)
                ring.count.zero_()
            x = block.step_rows(x, moment.turns[self.head_width], state, active, moment.slot + 1)  # type: ignore[operator]
        return x
