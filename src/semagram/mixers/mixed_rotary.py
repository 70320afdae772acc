"""Rotary positions with learnt, mixed frequencies (RoPE-Mixed of RoPE-ViT, arXiv 2403.13298).

Axial rotary gives each plane one axis, so no plane turns with a diagonal. Here plane p of head h turns by

    angle = f_row[h, p] * row + f_column[h, p] * column

with both frequencies learnt, an own pair a head and plane. They start at axial magnitudes base^(-p / P), spread over
directions: the head's own angle and a right angle in turn, so that every head begins with two axes of its own. On a
line the row's frequencies do nothing. Products still depend on differences of coordinates alone (tested), and with
axial frequencies put in, the result is that of ``Rotary`` (tested).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class MixedRotary:
    """Every plane turns by its own learnt mixture of row and column."""

    base: float = 100.0
    """Ratio between the fastest and the slowest plane at the beginning of training."""

    def __post_init__(self) -> None:
        if not self.base > 1.0:
            raise UserError(f"rotary base must be above 1, got {self.base}.")

    def build(self, heads: int, head_width: int) -> MixedFrequencies:
        """The frequencies of so many heads; raises ``UserError`` for an odd head width."""
        if head_width % 2 != 0:
            raise UserError(f"rotary positions need an even head width, got {head_width}.")
        return MixedFrequencies(self, heads, head_width)


class MixedFrequencies(nn.Module):
    """See ``MixedRotary``; ``frequencies (h, 2, P)`` in radians a row and a column."""

    def __init__(self, config: MixedRotary, heads: int, head_width: int) -> None:
        super().__init__()
        planes = head_width // 2
        magnitude = config.base ** -(torch.arange(planes) / planes)
        # Half of a turn is enough: a frequency and its negative know the same distances.
        direction = torch.arange(heads)[:, None] * (math.pi / 2 / heads) + (torch.arange(planes) % 2) * (math.pi / 2)
        self.frequencies = nn.Parameter(magnitude * torch.stack([direction.sin(), direction.cos()], dim=1))

    def tables(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """Factors ``(n, h, d_h)`` for ``rotate``, of ``coords (n, 1)`` (columns) or ``(n, 2)`` (row, column)."""
        used = self.frequencies[:, 1:] if coords.shape[1] == 1 else self.frequencies
        turn = torch.einsum("na,hap->nhp", coords.to(used.dtype), used)
        cosine, sine = turn.cos(), turn.sin()
        return torch.cat([cosine, cosine], dim=-1), torch.cat([-sine, sine], dim=-1)
