"""A recurrence in a level, where attention would stand: each phase is a line of its own.

    phase p of a level's elements (p, p + a, p + 2 a, ...)  ->  mixer (Mamba, Mamba-2) over that line,   a = c / s

Inside a phase elements do not overlap, as with attention (``mixers/phased.py``). What is remembered does not grow with
the text, and order is known without positions. A state holds a memory for each phase; a level that does not advance
leaves it alone. Tested against the mixer on every phase by hand, and stepping against the parallel pass (a law).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers.phased import apart, together
from semagram.mixers.selective_scan import SelectiveScan
from semagram.mixers.state_space import CHUNK, StateSpace, StateSpaceMixer, StateSpaceState

Recurrence = StateSpace | SelectiveScan


def line_of(count: int) -> Geometry:
    """All that a recurrence is told of its slots: there is nothing to know but their order."""
    at = torch.arange(count)
    return Geometry(at[:, None], at, Visibility.CAUSAL, extent=((0, max(0, count - 1)),))


class PhasedRecurrence(nn.Module):
    """``(b, m, d) -> (b, m, d)``; as ``PhasedAttention``, without a window."""

    def __init__(self, config: Recurrence, width: int) -> None:
        super().__init__()
        self.mixer = config.build(width)

    def flops(self, args: tuple[Any, ...]) -> int:
        """Of a call, beside those of the modules that it calls: the products within and between chunks."""
        mixer = self.mixer
        if not isinstance(mixer, StateSpaceMixer):
            return 0
        inner, slots = mixer.sizes[0], args[0].shape[0] * args[0].shape[1]
        return 2 * slots * (CHUNK * (mixer.state + inner) + 2 * inner * mixer.state)

    def forward(self, x: Tensor, phases: int = 1, states: list[StateSpaceState] | None = None) -> Tensor:
        """All elements; fresh ``states``, one a phase, are filled."""
        count = x.shape[1]
        if states is not None:
            out = torch.empty_like(x)
            for phase, state in enumerate(states[: min(phases, count)]):
                own = x[:, phase::phases]
                out[:, phase::phases] = self.mixer.step(own, line_of(own.shape[1]), state)
            return out
        if phases == 1:
            return self.mixer(x, line_of(count))
        lines = apart(x[:, None], phases)[:, 0]
        return together(self.mixer(lines, line_of(lines.shape[1]))[:, None], phases, count)[:, 0]

    def new_states(self, batch: int, phases: int, capacity: int) -> list[StateSpaceState]:
        """One memory a phase."""
        return [self.mixer.new_state(batch, capacity) for _ in range(phases)]

    def step(self, x: Tensor, state: StateSpaceState) -> Tensor:
        """The coming element of a phase, ``(b, 1, d) -> (b, 1, d)``."""
        return self.mixer.step(x, _ONE, state)


_ONE = line_of(1)
