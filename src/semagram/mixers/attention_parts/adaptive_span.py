"""Adaptive span: a window whose size each head learns (arXiv 1905.07799).

A weight is multiplied by ``m(x) = min(max((R + z - x) / R, 0), 1)`` before weights are made to sum to 1: full within z
cells, falling to nothing over R more. Here ``log m`` is added to the scores, which is the same, and z = exp(its
parameter), one a head. x is the greatest distance along any axis, so a window is a square on a page. ``penalty`` asks
training to keep windows small: penalty * mean(z) is added to what is trained, and not to what is reported. Tested
against the paper's formula written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried

_NOTHING = -1e4
"""Added where m is 0: far below any score, and finite, so that a row that nobody reads is no NaN."""


@dataclass(frozen=True)
class AdaptiveSpan:
    """Windows of a learnt size."""

    start: float = 16.0
    """Cells that every head's window reaches at the beginning, z."""
    softness: float = 8.0
    """Cells over which it ends, R."""
    penalty: float = 0.0
    """Of a cell of the mean window, in nats a token."""

    def __post_init__(self) -> None:
        if not self.start > 0 or not self.softness > 0:
            raise UserError(f"span start and softness must be above 0, got {self.start} and {self.softness}.")
        if not self.penalty >= 0:
            raise UserError(f"span penalty must be 0 or more, got {self.penalty}.")

    def build(self, heads: int) -> AdaptiveSpanBias:
        """The module for attention with ``heads`` heads."""
        return AdaptiveSpanBias(self, heads)


class AdaptiveSpanBias(nn.Module):
    """Distances ``(..., q, k, a)`` -> ``(h, ..., q, k)``."""

    learned = True

    def __init__(self, config: AdaptiveSpan, heads: int) -> None:
        super().__init__()
        self.softness, self.penalty = config.softness, config.penalty
        self.log_span = nn.Parameter(torch.full((heads,), log(config.start)))
        self.carried = Carried()

    def forward(self, distance: Tensor, causal: bool) -> Tensor:
        """``causal`` makes no difference: hidden keys are masked."""
        span = self.log_span.exp()
        if self.training and self.penalty:
            self.carried.put("span", self.penalty * span.mean())
        far = distance.abs().amax(dim=-1).to(span.dtype)
        share = (self.softness + span.view(-1, *[1] * far.dim()) - far) / self.softness
        return share.clamp(1e-30, 1.0).log().masked_fill(share <= 0, _NOTHING)
