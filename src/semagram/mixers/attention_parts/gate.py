"""An output gate: each slot decides how much of what it gathered it takes (Gated Attention, arXiv 2505.06708).

``o <- o * sigmoid(W x)``, of every feature or of whole heads, W perhaps of low rank. W starts at zero, so that all
gates start half open. Tested against x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class Gate:
    """Multiply what was gathered by a gate that reads the slot itself."""

    of: Literal["features", "heads"] = "features"
    """One gate a feature, or one a head."""
    rank: int | None = None
    """Width of a bottleneck before the gates; none: there is none."""

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise UserError(f"gate rank must be at least 1 or none, got {self.rank}.")

    def build(self, width: int, heads: int, value_width: int) -> GateLayer:
        """The module."""
        return GateLayer(self, width, heads, value_width)


class GateLayer(nn.Module):
    """``mixed (b, n, h, d_v)``, ``x (b, n, d)`` -> ``(b, n, h, d_v)``."""

    def __init__(self, config: Gate, width: int, heads: int, value_width: int) -> None:
        super().__init__()
        self.shape = (heads, value_width if config.of == "features" else 1)
        self.inner = None if config.rank is None else nn.Linear(width, config.rank, bias=False)
        # Not a Linear: models draw those at random, and this one starts at zero.
        self.weight = nn.Parameter(torch.zeros(self.shape[0] * self.shape[1], config.rank or width))

    def forward(self, mixed: Tensor, x: Tensor) -> Tensor:
        """Gates by what stood in the slot before it looked around."""
        inner = x if self.inner is None else self.inner(x)
        return mixed * torch.sigmoid(F.linear(inner, self.weight)).unflatten(-1, self.shape)
