"""Gated feedforward networks, the GLU family (arXiv 2002.05202): down(activation(gate(x)) * up(x)).

GEGLU is ``activation="gelu"``, SwiGLU ``"silu"``, ReGLU ``"relu"``, the bilinear one ``"identity"``, the first GLU
``"sigmoid"``. The default multiple 8/3 gives as many weights as an MLP of multiple 4. Tested against x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from semagram.feedforward.kinds_of_norm import PlainNorm
from semagram.feedforward.mlp import Activation, activate, check_dropout, check_hidden, hidden_width


@dataclass(frozen=True)
class Gated:
    """A linear branch multiplied by an activated one."""

    multiple: float = 8 / 3
    """Hidden width as a multiple of the model's width."""
    activation: Activation = "silu"
    """Of the gate: silu (SwiGLU), gelu (GEGLU), relu (ReGLU), identity (bilinear), sigmoid (GLU), and more."""
    bias: bool = False
    """Add a learned bias after all maps."""
    hidden: int | None = None
    """Hidden width, exactly; none: by the multiple."""
    inner_norm: PlainNorm | None = None
    """Norm after the product (NormFormer); none: none."""
    dropout: float = 0.0
    """Share of hidden features zeroed in training, the rest scaled up (arXiv 1706.03762)."""

    def __post_init__(self) -> None:
        check_hidden(self.multiple, 8 / 3, self.hidden)
        check_dropout(self.dropout)

    def build(self, width: int) -> GatedLayer:
        """The module for model width d."""
        return GatedLayer(self, width)


class GatedLayer(nn.Module):
    """``(..., d) -> (..., d)``; gate and up are one stacked projection."""

    def __init__(self, config: Gated, width: int) -> None:
        super().__init__()
        self.hidden = hidden_width(width, config.multiple, config.hidden)
        self.activation: Activation = config.activation
        self.dropout = config.dropout
        self.inward = nn.Linear(width, 2 * self.hidden, bias=config.bias)
        self.down = nn.Linear(self.hidden, width, bias=config.bias)
        self.inner_norm = None if config.inner_norm is None else config.inner_norm.build(self.hidden)
        self.initialise()

    def initialise(self) -> None:
        """Biases start at 0; the weights are the model's affair."""
        for bias in (self.inward.bias, self.down.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.hidden, self.hidden]}

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.down]

    def forward(self, x: Tensor) -> Tensor:
        """Position by position."""
        gate, up = self.inward(x).split(self.hidden, dim=-1)
        hidden = activate(gate, self.activation) * up
        hidden = hidden if self.inner_norm is None else self.inner_norm(hidden)
        return self.down(F.dropout(hidden, self.dropout) if self.dropout and self.training else hidden)
