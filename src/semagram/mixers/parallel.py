"""Two mixers side by side on the same slots: attention beside a recurrence (Hymba, arXiv 2411.13676).

    y = W_o (1/2) (g_1 * norm(m_1(x)) + g_2 * norm(m_2(x))),    norm(z) = z / rms(z), g (d,) learned

Attention recalls exactly and pays with the square of the length; a state space, a convolution or a token shift
summarises and does not. The two answers are normalised before they are added, since their sizes differ. Its
visibilities are those that both keep to; its state is theirs. Tested against the two mixers by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from semagram.feedforward.norms import normalise
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.attention import Attention
from semagram.mixers.contract import reads_pairs
from semagram.mixers.convolution import Convolution
from semagram.mixers.selective_scan import SelectiveScan
from semagram.mixers.state_space import StateSpace
from semagram.mixers.token_shift import TokenShift


@dataclass(frozen=True)
class Parallel:
    """Attention and another mixer on the same slots."""

    attention: Attention = field(default_factory=Attention)
    """What recalls."""
    beside: StateSpace | SelectiveScan | Convolution | TokenShift = field(default_factory=StateSpace)
    """What summarises."""

    @property
    def reads_pairs(self) -> bool:
        """If both do."""
        return reads_pairs(self.beside)

    def visibilities(self) -> frozenset[Visibility]:
        """Those of both."""
        return self.attention.visibilities() & self.beside.visibilities()

    def build(self, width: int) -> ParallelMixer:
        """The module; refuses what either refuses."""
        return ParallelMixer(self, width)


class ParallelState:
    """The states of both."""

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second

    @property
    def length(self) -> int:
        """Slots read so far."""
        return self.first.length


class ParallelMixer(nn.Module):
    """See ``Parallel``."""

    def __init__(self, config: Parallel, width: int) -> None:
        super().__init__()
        self.first: Any = config.attention.build(width)
        self.second: Any = config.beside.build(width)
        self.gains = nn.Parameter(torch.ones(2, width))
        self.outward = nn.Linear(width, width, bias=False)

    def output_projections(self) -> list[nn.Linear]:
        """Its own: those of the two write into a norm, and must not start at zero."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        return self._together(self.first(x, geometry), self.second(x, geometry))

    def new_state(self, batch: int, capacity: int) -> ParallelState:
        """An empty state of each."""
        return ParallelState(self.first.new_state(batch, capacity), self.second.new_state(batch, capacity))

    def step(self, x: Tensor, geometry: Geometry, state: ParallelState) -> Tensor:
        """The coming ``g`` slots, ``(b, g, d) -> (b, g, d)``."""
        first = self.first.step(x, geometry, state.first)
        return self._together(first, self.second.step(x, geometry, state.second))

    def _together(self, first: Tensor, second: Tensor) -> Tensor:
        both = normalise(first) * self.gains[0] + normalise(second) * self.gains[1]
        return self.outward(0.5 * both)
