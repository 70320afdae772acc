"""Piecewise constants: a table of s numbers. Their slope is 0, so nothing below them could learn; a surrogate helps.

Forward the step function, backward the slope of the broken line through the middles of its steps (a straight-through
estimator, arXiv 1308.3432). Without the surrogate a layer learns, but whatever feeds it does not: right where the
input is data, wrong in the middle of a network, which is why ``Piecewise`` refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class Constant:
    """Step functions."""

    segments: int = 8
    """Steps over [-1, 1]."""
    surrogate: bool = True
    """Send gradients through the broken line that joins the middles of the steps; the values stay steps."""

    def __post_init__(self) -> None:
        if self.segments < 2:
            raise UserError(f"basis segments must be at least 2 for steps, got {self.segments}.")

    def build(self) -> StepBasis:
        """The basis."""
        return StepBasis(self)


class StepBasis(nn.Module):
    """See ``Constant``; V = s."""

    def __init__(self, config: Constant) -> None:
        super().__init__()
        self.segments = self.count = config.segments
        self.surrogate = config.surrogate

    def local(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, I)`` -> indices and values ``(1 or 3, N, I)``; the two further values are 0 and carry the slope."""
        u = (x + 1.0) * (0.5 * self.segments)
        step = u.detach().floor().clamp_(0, self.segments - 1).long()
        if not (self.surrogate and x.requires_grad):
            return step[None], torch.ones_like(u.detach())[None]
        left = (u.detach() - 0.5).floor().clamp_(0, self.segments - 2)
        share = u - 0.5 - left
        nothing = share - share.detach()
        index = torch.stack([step, left.long(), left.long() + 1])
        return index, torch.stack([torch.ones_like(u), -nothing, nothing])

    def dense(self, x: Tensor) -> Tensor:
        """``(N, I)`` -> ``(N, V, I)``."""
        index, values = self.local(x)
        every = x.new_zeros(x.shape[0], self.count, x.shape[1])
        every.transpose(0, 1).scatter_add_(0, index, values)
        return every

    def borders(self) -> list[float]:
        """Where the steps are, ends included."""
        return [2.0 * k / self.segments - 1.0 for k in range(self.segments + 1)]
