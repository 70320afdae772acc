"""Tail focus: recent slots as they are, older ones only in summary (Loverich, language-interpolation).

Level 0 is the input; level l is a convolution over level l-1 of kernel k_l and stride s_l. The output reads the last
f_0 columns of level 0, the last f_1 of level 1, and so on: a long context at the price of a short one.

Every slot is a target, so strides become dilations: level l at slot t reads level l-1 at t, t - S, t - 2 S, ... with
S = s_1 ... s_{l-1}, and the output reads level l at t, t - S_l, ..., f_l of them. That is the strided network
of the window that ends at t, right-aligned, with each column computed once for all windows that share it (tested: equal
to the strided network, window by window). A focus of 0 reads nothing of its level. No paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis
from semagram.feedforward.piecewise import PiecewiseProjection
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.lagged import Bent, Histories, Levels, Whole, check_levels
from semagram.mixers.projection import projection


@dataclass(frozen=True)
class TailFocus:
    """Recent slots in full, older ones in ever coarser summaries."""

    kernels: tuple[int, ...] = (4, 4)
    """Columns of the level below that a column of each level reads."""
    strides: tuple[int, ...] = (4, 4)
    """Columns of the level below from one column of each level to the next."""
    focus: tuple[int, ...] = (8, 8, 8)
    """Last columns that the output reads of each level, the input first; 0: none."""
    links: Basis | None = None
    """Functions on the links of the convolutions; none: linear maps and SiLU."""

    def __post_init__(self) -> None:
        if len(self.kernels) != len(self.strides) or len(self.focus) != len(self.kernels) + 1:
            raise UserError(
                f"tail focus needs a kernel and a stride a level and one focus more (the input's), got kernels "
                f"{self.kernels}, strides {self.strides} and focus {self.focus}."
            )
        if min((*self.kernels, *self.strides, 1)) < 1 or min(self.focus) < 0 or not any(self.focus):
            raise UserError(
                f"tail focus kernels and strides must be at least 1, focus at least 0 and not 0 everywhere; got "
                f"{self.kernels}, {self.strides} and {self.focus}."
            )
        if self.focus[-1] == 0:
            raise UserError(f"the last level of tail focus is read by nobody, its focus being 0: {self.focus}.")
        if self.focus[-1] == 1 and self.strides and self.strides[-1] != 1:
            raise UserError(
                f"the last stride of tail focus, {self.strides[-1]}, cannot act: one column of the last level is read "
                f"(focus {self.focus}), so there is no next. Make it 1, or read more columns."
            )
        check_levels(len(self.focus), self.reach, self.links)

    @property
    def spans(self) -> list[int]:
        """Slots between two columns of each level."""
        spans = [1]
        for stride in self.strides:
            spans.append(spans[-1] * stride)
        return spans

    @property
    def reach(self) -> int:
        """Slots back that the output can see."""
        back, furthest = 0, 0
        for level, (span, focus) in enumerate(zip(self.spans, self.focus, strict=True)):
            back += (self.kernels[level - 1] - 1) * self.spans[level - 1] if level else 0
            furthest = max(furthest, back + max(0, focus - 1) * span)
        return furthest

    def visibilities(self) -> frozenset[Visibility]:
        """It looks back only."""
        return frozenset({Visibility.CAUSAL})

    def build(self, width: int) -> TailFocusMixer:
        """The module."""
        return TailFocusMixer(self, width)


class TailFocusMixer(nn.Module):
    """See ``TailFocus``."""

    def __init__(self, config: TailFocus, width: int) -> None:
        super().__init__()
        spans = config.spans
        self.width = width
        self.lags = [[j * span for j in range(k)] for k, span in zip(config.kernels, spans, strict=False)]
        self.read = [[j * span for j in range(focus)] for focus, span in zip(config.focus, spans, strict=True)]
        self.levels = nn.ModuleList(Bent(kernel * width, width, config.links) for kernel in config.kernels)
        self.outward = projection(sum(config.focus) * width, width, None)

    def output_projections(self) -> list[nn.Linear | PiecewiseProjection]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        return self._mix(x, Whole(geometry.keep))

    def new_state(self, batch: int, capacity: int) -> Histories:
        """Room for all columns of a canvas and the zeros before it."""
        reaches = [max((*lags, *read, 0)) for lags, read in zip([*self.lags, []], self.read, strict=True)]
        return Histories(batch, capacity, [(reach, self.width) for reach in reaches], self.outward.weight)

    def step(self, x: Tensor, geometry: Geometry, state: Histories) -> Tensor:
        """The coming ``g`` slots."""
        out = self._mix(x, state)
        state.advance()
        return out

    def _mix(self, x: Tensor, levels: Levels) -> Tensor:
        levels.put(0, x)
        for number, (layer, lags) in enumerate(zip(self.levels, self.lags, strict=True)):
            levels.put(number + 1, layer(levels.get(number, lags)))
        return self.outward(torch.cat([levels.get(i, lags) for i, lags in enumerate(self.read) if lags], dim=-1))
