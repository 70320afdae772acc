"""Gated feedforward networks, the GLU family (arXiv 2002.05202): down(activation(gate(x)) * up(x)).

GEGLU is ``activation="gelu"``, SwiGLU ``"silu"``, ReGLU ``"relu"``. The default multiple 8/3 gives as many
weights as an MLP of multiple 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.mlp import Activation, activate, hidden_width


@dataclass(frozen=True)
class Gated:
    """A linear branch multiplied by an activated one."""

    multiple: float = 8 / 3
    """Hidden width as a multiple of the model's width."""
    activation: Activation = "silu"
    """Of the gate: silu (SwiGLU), gelu (GEGLU), relu (ReGLU), relu_squared."""

    def __post_init__(self) -> None:
        if not self.multiple > 0:
            raise UserError(f"feedforward multiple must be above 0, got {self.multiple}.")

    def build(self, width: int) -> GatedLayer:
        """The module for model width d."""
        return GatedLayer(self, width)


class GatedLayer(nn.Module):
    """``(..., d) -> (..., d)``; gate and up are one stacked projection."""

    def __init__(self, config: Gated, width: int) -> None:
        super().__init__()
        self.hidden = hidden_width(width, config.multiple)
        self.activation: Activation = config.activation
        self.inward = nn.Linear(width, 2 * self.hidden, bias=False)
        self.down = nn.Linear(self.hidden, width, bias=False)

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.hidden, self.hidden]}

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.down]

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        gate, up = self.inward(x).split(self.hidden, dim=-1)
        return self.down(activate(gate, self.activation) * up)
