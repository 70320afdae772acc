"""What a network that reads levels makes of a call: rows packed to the left, and where slots and elements stand.

Rotary tables (arXiv 2104.09864) in token coordinates or counted in elements, with a decay if asked (xPos, 2212.10554).
"""

from __future__ import annotations

import torch
from torch import Tensor

from semagram.layouts.geometry import Geometry
from semagram.mixers.phased import Turns
from semagram.mixers.rotary import rotary_tables
from semagram.models.hierarchical_level import Level, LevelPositions


class Line:
    """What a network that reads levels makes of a call: every row packed to the left, and where its slots stand.

    Packing makes padding harmless: what is behind cannot be seen by what is before.
    """

    def __init__(self, inputs: Tensor, geometry: Geometry) -> None:
        self.geometry, self.inputs = geometry, inputs
        self.order: Tensor | None = None
        self.counts: Tensor | None = None
        """Kept slots of each row ``(b,)``; none: all are kept."""
        if geometry.keep is not None:
            self.order = (~geometry.keep).long().argsort(dim=1, stable=True)
            self.counts = geometry.keep.sum(dim=1)
            self.inputs = inputs.gather(1, self.order)

    def unpacked(self, x: Tensor) -> Tensor:
        """``(b, n, ...)`` back in the order of the call."""
        if self.order is None:
            return x
        return x.gather(1, self.order.argsort(dim=1)[:, :, None].expand_as(x))

    def valid(self) -> Tensor:
        """Bool ``(b, n)``: slots that are kept, after packing."""
        slots = torch.arange(self.inputs.shape[1], device=self.inputs.device)
        if self.counts is None:
            return torch.ones_like(self.inputs, dtype=torch.bool)
        return slots < self.counts[:, None]

    def turns(self, positions: LevelPositions, head_width: int) -> Turns:
        """Tables of every slot, ``(n, d_h)`` (``(b, n, d_h)`` where rows were packed)."""
        coords, index = self.geometry.coords, torch.arange(self.inputs.shape[1], device=self.inputs.device)
        if positions.unit == "elements":
            cosine, sine = rotary_tables(index[:, None], head_width, positions.base)
        else:
            key = ("level", head_width, positions.base)
            cosine, sine = self.geometry.table(key, lambda c: rotary_tables(c, head_width, positions.base))
            assert cosine.shape[0] == coords.shape[0]
            if self.order is not None:
                cosine, sine = cosine[self.order], sine[self.order]
        if positions.decay is None:
            return Turns(cosine, sine)
        planes = torch.arange(head_width // 2, device=index.device)
        share = (2 * planes + 0.4 * head_width) / (1.4 * head_width)
        fade = share ** (index.double() / positions.decay)[:, None]
        return Turns(cosine, sine, torch.cat([fade, fade], dim=-1).to(cosine.dtype))

    def level_turns(self, level: Level) -> Turns:
        """Tables of every element of a level."""
        slots = self.turns(level.positions, level.features)
        if level.positions.unit == "tokens":
            return slots.every(level.stride)
        number = torch.arange(level.elements(self.inputs.shape[1]), device=self.inputs.device) // level.phases
        return slots.each(lambda table: table[number])
