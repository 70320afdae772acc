"""Blocks of a window: time and memory in proportion to length, forwards and backwards, from ordinary torch.

The slots are cut into blocks of ``c = size`` or a little more. The queries of a block see their own block and the
one before it (CAUSAL) or its neighbours on both sides (FULL): scores are ``(blocks, c, 2c)`` instead of ``(n, n)``.
With dilation r the slots are first dealt out to r lines, each with its own window of neighbours.
Whatever is known slot by slot (keys, coordinates, padding, forgetting) is cut in the same way, and what may be seen is
asked of slot numbers; so every part works in a window that works without one.

On a CPU this beats a dense mask in the fused kernel from about two windows on; ``benchmarks/window.py`` measures it.
Reference: full attention with the band as a mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST = 16
"""Slots in a block, at least: smaller products are slower than what they save."""


@dataclass(frozen=True)
class Blocks:
    """How ``n`` slots are cut: ``lines`` interleaved lines of ``count`` blocks of ``size`` slots."""

    n: int
    lines: int
    count: int
    size: int
    causal: bool

    @classmethod
    def of(cls, n: int, size: int, dilation: int, causal: bool) -> Blocks | None:
        """The cut for a window of ``size`` slots on one side; None where blocks would see more than the whole."""
        block = max(size, LEAST)
        seen = block * (2 if causal else 3)
        if n <= seen * dilation:
            return None
        return cls(n, dilation, -(-n // (block * dilation)), block, causal)

    def queries(self, x: Tensor) -> Tensor:
        """``(., ., n, .)`` -> ``(., ., lines, count, size, .)``; what is missing at the end is zero."""
        short = self.lines * self.count * self.size - self.n
        padded = F.pad(x, (0, 0, 0, short)) if short else x
        cut = padded.unflatten(2, (self.count * self.size, self.lines)).transpose(2, 3)
        return cut.unflatten(3, (self.count, self.size))

    def keys(self, x: Tensor) -> Tensor:
        """``(., ., n, .)`` -> ``(., ., lines, count, 2 size or 3 size, .)``: each block beside its neighbours."""
        own = self.queries(x)
        before = F.pad(own[:, :, :, :-1], (0, 0, 0, 0, 1, 0))
        if self.causal:
            return torch.cat([before, own], dim=4)
        return torch.cat([before, own, F.pad(own[:, :, :, 1:], (0, 0, 0, 0, 0, 1))], dim=4)

    def back(self, x: Tensor) -> Tensor:
        """``queries`` undone: ``(., ., lines, count, size, .)`` -> ``(., ., n, .)``."""
        return x.flatten(3, 4).transpose(2, 3).flatten(2, 3)[:, :, : self.n]

    def slots(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The slot numbers of queries ``(lines, count, size)`` and keys; keys that are no slots have -1."""
        numbers = torch.arange(1, self.n + 1, device=device).view(1, 1, self.n, 1)
        queries, keys = self.queries(numbers)[0, 0, ..., 0] - 1, self.keys(numbers)[0, 0, ..., 0] - 1
        return queries, keys
