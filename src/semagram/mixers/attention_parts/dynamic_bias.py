"""Dynamic position bias: a small network from distance to one number a head (CrossFormer, arXiv 2108.00154; with
logarithmic distance SwinV2, 2111.09883).

``bias(i, j) = W_L silu(... silu(W_1 t + b_1) ...) `` with ``t`` the signed distance i - j, or
``sign(t) ln(1 + |t|)``. It works at any length. The network runs once for every distance that occurs, not for
every pair. Tested against x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class DynamicBias:
    """A small network turns distance into a number a head."""

    hidden: int = 32
    """Features of its inner layers."""
    depth: int = 2
    """Inner layers."""
    logarithmic: bool = True
    """Give it the logarithm of distance; no: distance itself."""

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.depth < 1:
            raise UserError(f"bias hidden and depth must be at least 1, got {self.hidden} and {self.depth}.")

    def build(self, heads: int) -> DynamicBiasNetwork:
        """The module for attention with ``heads`` heads."""
        return DynamicBiasNetwork(self, heads)


class DynamicBiasNetwork(nn.Module):
    """Distances ``(..., q, k, a)`` -> ``(h, ..., q, k)``."""

    learned = True

    def __init__(self, config: DynamicBias, heads: int) -> None:
        super().__init__()
        self.logarithmic = config.logarithmic
        widths = [1, *[config.hidden] * config.depth]
        self.inner = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(config.hidden, heads, bias=False)  # a constant would change no weight

    def forward(self, distance: Tensor, causal: bool) -> Tensor:
        """``causal`` makes no difference: hidden keys are masked."""
        lowest = int(distance.min())
        span = torch.arange(lowest, int(distance.max()) + 1, device=distance.device)
        x = span[:, None].to(self.last.weight.dtype)
        if self.logarithmic:
            x = x.sign() * x.abs().log1p()
        for layer in self.inner:
            x = F.silu(layer(x))  # type: ignore[operator]
        return self.last(x).t()[:, distance - lowest].sum(-1)
