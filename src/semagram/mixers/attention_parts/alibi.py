"""ALiBi: scores fall in a straight line with distance, each head at its own rate (arXiv 2108.12409).

``bias_h(i, j) = -m_h |i - j|`` with slopes ``m_h = 2^(-8 (h + 1) / H)`` for H = 2^k heads; for other counts the
slopes of the power of two below, then every second of the power above. Nothing is learned, so the fused kernel takes
the bias as a mask. Distances are city-block on several axes; where every cell is visible the bias is symmetric.
Tested against x-transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class ALiBi:
    """A penalty proportional to distance."""

    heads: int | None = None
    """Heads that feel distance, the first ones; none: all. The others see every distance alike."""

    def __post_init__(self) -> None:
        if self.heads is not None and self.heads < 1:
            raise UserError(f"ALiBi heads must be at least 1 or none, got {self.heads}.")

    def build(self, heads: int) -> ALiBiBias:
        """The module for attention with ``heads`` heads; raises ``UserError`` when it has fewer than ``self.heads``."""
        if self.heads is not None and self.heads > heads:
            raise UserError(f"ALiBi heads must be at most the attention's {heads}, got {self.heads}.")
        return ALiBiBias(self.heads or heads, heads)


class ALiBiBias(nn.Module):
    """Distances ``(..., q, k, a)`` -> ``(h, ..., q, k)``."""

    learned = False

    def __init__(self, feeling: int, heads: int) -> None:
        super().__init__()
        slopes = torch.zeros(heads)
        slopes[:feeling] = torch.tensor(slopes_of(feeling))
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, distance: Tensor, causal: bool) -> Tensor:
        """``causal`` makes no difference: hidden keys are masked."""
        far = distance.abs().sum(-1)
        slopes: Tensor = self.slopes  # type: ignore[assignment]
        return -slopes.view(-1, *[1] * far.dim()) * far


def slopes_of(heads: int) -> list[float]:
    """The paper's slopes, steepest first."""
    whole = 2 ** math.floor(math.log2(heads))
    first = [2.0 ** (-8.0 * (h + 1) / whole) for h in range(whole)]
    return first + [2.0 ** (-4.0 * (h + 1) / whole) for h in range(0, 2 * (heads - whole), 2)]
