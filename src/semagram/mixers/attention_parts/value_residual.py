"""Value residual: the first layer's values shine through in all that follow (ResFormer, arXiv 2410.17897).

``v_l <- v_1 + m (v_l - v_1)``, m being one number for all, or ``sigmoid(W x + b)`` for each slot and head of values.
What is mixed is what a state remembers, so stepping needs nothing more. The first layer's values lie on the geometry's
board, which a stack opens anew for each call; the first layer has nothing to mix and no weights for it. Tested against
x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry

BOARD = "values of the first layer"


@dataclass(frozen=True)
class ValueResidual:
    """Mix every layer's values with those of the first."""

    own: float | None = None
    """Share of a layer's own values; none: learned, for each slot and head."""

    def __post_init__(self) -> None:
        if self.own is not None and not 0.0 <= self.own < 1.0:
            raise UserError(f"value residual own must be from 0 up to, not including, 1, or none; got {self.own}.")

    def build(self, width: int, shared: int) -> ValueResidualMix:
        """The module for ``shared`` heads of values."""
        return ValueResidualMix(self, width, shared)


class ValueResidualMix(nn.Module):
    """``values (b, h_kv, n, d_v)``, ``x (b, n, d)`` -> ``(b, h_kv, n, d_v)``."""

    def __init__(self, config: ValueResidual, width: int, shared: int) -> None:
        super().__init__()
        self.own = config.own
        self.share = nn.Linear(width, shared) if config.own is None else None

    def forward(self, values: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
        """Mixed, or pinned to the board where nothing hangs there yet; raises ``UserError`` without a board."""
        if geometry.board is None:
            raise UserError("a value residual needs a model that runs its layers through a Stack, which opens a board.")
        first = geometry.board.get(BOARD)
        if first is None:
            geometry.board[BOARD] = values
            return values
        if first.shape != values.shape:
            shapes = (*first.shape[1::2],), (*values.shape[1::2],)
            raise UserError(f"a value residual needs values of one shape, got (heads, width) {shapes[0]}, {shapes[1]}.")
        own = self.own if self.share is None else torch.sigmoid(self.share(x)).transpose(1, 2).unsqueeze(-1)
        return torch.lerp(first, values, own)  # type: ignore[arg-type]
