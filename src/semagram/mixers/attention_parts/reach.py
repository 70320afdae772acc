"""How far a slot sees, among those that visibility allows it: everything, or a window.

A window of ``size`` slots, the slot's own included, ends at the slot (CAUSAL: Longformer, arXiv 2004.05150; Mistral) or
reaches as far to both sides (FULL). With ``dilation`` r every r-th slot is seen, the window being r times as long.
Distance is counted in slots, in presented order.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from semagram.errors import UserError


@dataclass(frozen=True)
class Everything:
    """Every slot that visibility allows."""


@dataclass(frozen=True)
class Window:
    """The last few slots only; time and memory grow with length, not with its square."""

    size: int = 256
    """Slots seen on one side, the slot's own included."""
    dilation: int = 1
    """See every dilation-th slot."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"window size must be at least 1, got {self.size}.")
        if self.dilation < 1:
            raise UserError(f"window dilation must be at least 1, got {self.dilation}.")
        if self.dilation > 1 and self.size == 1:
            raise UserError(f"window dilation {self.dilation} has no effect on a window of 1 slot.")

    @property
    def span(self) -> int:
        """Slots from the first seen to the slot itself."""
        return (self.size - 1) * self.dilation + 1

    def visible(self, back: Tensor) -> Tensor:
        """Which keys are in reach, by how many slots ``back`` they stand (negative: after); bool, same shape."""
        near = back.abs() < self.span
        return near if self.dilation == 1 else near & (back % self.dilation == 0)


Reach = Everything | Window
