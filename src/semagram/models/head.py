"""The head: from the stream's last vectors to logits.

    logits = cap(scale * (W transform(h) + bias)),    transform(h) = norm(gelu(V h + c)), if wanted (BERT)

W is the head's own matrix or, tied, the embedding's (arXiv 1608.05859; ``tied_scale`` as in T5 1910.10683, d^-1/2).
The soft limit is Gemma 2's (2408.00118).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import Norm
from semagram.feedforward.conditioned import applied


@dataclass(frozen=True)
class Head:
    """How logits are read; the default is one linear map."""

    bias: bool = False
    """Add a learned bias a token."""
    scale: float = 1.0
    """Multiply the logits, before the soft limit."""
    transform: bool = False
    """A linear map, gelu and the model's norm first (BERT)."""

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UserError(f"head.scale must be above 0, got {self.scale}.")


class Transform(nn.Module):
    """``(..., d) -> (..., d)``: norm(gelu(linear(h)))."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = norm.build(width)
        self.initialise()

    def initialise(self) -> None:
        """The bias starts at 0."""
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor, condition: Tensor | None) -> Tensor:
        """Position by position."""
        return applied(self.norm, F.gelu(self.linear(hidden)), condition)
