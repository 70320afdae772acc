"""How large a branch is before it joins the stream: LayerScale, ReZero, a fixed factor, a gate set by a condition.

    LayerScale  y * g, g a learned vector that starts small       CaiT, arXiv 2103.17239
    ReZero      y * a, a one learned number that starts at 0      2003.04887
    Fixed       y * c                                             DeepNet 2203.00555, depth-muP 2310.02244
    Gate        y * W c (adaLN-zero), or y * sigmoid(W c - 2)     DiT, 2212.09748; c is the condition

Tested against x-transformers (LayerScale, its adaptive form) and the formulas written out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.conditioned import Conditioned, at_positions

_CLOSED = -2.0
"""Where a squashed gate starts: sigmoid(-2) is about an eighth."""


@dataclass(frozen=True)
class LayerScale:
    """A learned factor a feature."""

    start: float = 0.1
    """Its value at the beginning of training; deeper stacks take smaller ones."""

    def __post_init__(self) -> None:
        if not self.start > 0:
            raise UserError(f"LayerScale start must be above 0, got {self.start}; ReZero starts at 0.")

    def build(self, width: int) -> LayerScaleLayer:
        """The module."""
        return LayerScaleLayer(width, self.start)


@dataclass(frozen=True)
class ReZero:
    """One learned factor a branch; 0 at the beginning."""

    def build(self, width: int) -> LayerScaleLayer:
        """The module."""
        return LayerScaleLayer(1, 0.0)


@dataclass(frozen=True)
class Fixed:
    """A constant factor."""

    factor: float = 0.5
    """What the branch is multiplied by."""

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise UserError(f"Fixed factor must be above 0, got {self.factor}.")

    def build(self, width: int) -> FixedLayer:
        """The module."""
        return FixedLayer(self.factor)


@dataclass(frozen=True)
class Gate:
    """A factor a feature that a condition sets (adaLN-zero)."""

    condition_width: int = 64
    """Features of the condition."""
    squashed: bool = False
    """sigmoid(W c - 2) instead of W c."""

    def __post_init__(self) -> None:
        if self.condition_width < 1:
            raise UserError(f"Gate condition_width must be at least 1, got {self.condition_width}.")

    def build(self, width: int) -> GateLayer:
        """The module."""
        return GateLayer(self, width)


BranchScale = LayerScale | ReZero | Fixed | Gate


def starts_at_zero(scale: BranchScale | None) -> bool:
    """True where the scale itself silences its branch at the beginning; then the branch's weights must not."""
    return isinstance(scale, ReZero) or (isinstance(scale, Gate) and not scale.squashed)


class LayerScaleLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, features: int, start: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((features,), start))

    def forward(self, y: Tensor) -> Tensor:
        """Position by position."""
        return y * self.factor


class FixedLayer(nn.Module):
    """``(..., d) -> (..., d)``."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, y: Tensor) -> Tensor:
        """Position by position."""
        return y * self.factor


class GateLayer(Conditioned):
    """``(b, n, d) -> (b, n, d)``."""

    def __init__(self, config: Gate, width: int) -> None:
        super().__init__()
        self.condition_width, self.squashed = config.condition_width, config.squashed
        self.gate = nn.Linear(config.condition_width, width, bias=config.squashed)
        self.initialise()

    def initialise(self) -> None:
        """Closed."""
        nn.init.zeros_(self.gate.weight)
        if self.squashed:
            nn.init.constant_(self.gate.bias, _CLOSED)

    def forward(self, y: Tensor, condition: Tensor) -> Tensor:
        """``condition`` is ``(b, c)`` or ``(b, n, c)``."""
        gate = self.gate(at_positions(condition))
        return y * (torch.sigmoid(gate) if self.squashed else gate)
