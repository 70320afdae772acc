"""Hyper-connections: several parallel streams a position, read, mixed and written with learned weights.

A branch reads  x = sum_s a_s H_s,  the streams mix  H'_t = sum_s M_st H_s,  and the output is written  H'_t + b_t y.

    (a, M) = A + u * tanh(norm(H) W),   b = B + u * tanh(norm(H) w)                     arXiv 2409.19606
    a = sigmoid(.), b = 2 sigmoid(.), M doubly stochastic by Sinkhorn's rounds          2512.24880 ("mHC")

A, B are learned (static), W, w learned and 0 at the beginning, u starts at 0.01 (dynamic); the second form has no tanh.
The stream is opened with equal copies and closed with their sum. Shapes: H ``(b, n, s, d)``. Everything is
position by position. Tested against x-transformers (constrained form) and the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError

_SMALL = 0.01
"""How much the dynamic part counts at the beginning."""


@dataclass(frozen=True)
class HyperConnections:
    """Several streams instead of one."""

    streams: int = 4
    """Vectors a position."""
    dynamic: bool = True
    """Let the weights depend on what is in the streams."""
    sinkhorn: int | None = 5
    """Rounds that make the mixing doubly stochastic (mHC); none: unconstrained, as first proposed."""

    def __post_init__(self) -> None:
        if self.streams < 2:
            raise UserError(f"HyperConnections streams must be at least 2, got {self.streams}.")
        if self.sinkhorn is not None and self.sinkhorn < 1:
            raise UserError(f"HyperConnections sinkhorn must be at least 1 or none, got {self.sinkhorn}.")

    def build(self, width: int, index: int, norm: Any) -> HyperJoin:
        """The module of branch ``index``."""
        return HyperJoin(self, width, index)

    def open(self, x: Tensor) -> Tensor:
        """``(b, n, d) -> (b, n, s, d)``: copies."""
        return x[..., None, :].expand(*x.shape[:-1], self.streams, x.shape[-1])

    def close(self, h: Tensor) -> Tensor:
        """Their sum."""
        return h.sum(dim=-2)


class HyperJoin(nn.Module):
    """See ``HyperConnections``."""

    def __init__(self, config: HyperConnections, width: int, index: int) -> None:
        super().__init__()
        s = config.streams
        self.sinkhorn = config.sinkhorn
        # Branch after branch reads another stream, each stays what it is, and all get the whole output.
        reading = torch.zeros(s, 1)
        reading[index % s] = 1.0
        self.static_mixing = nn.Parameter(torch.cat([reading, torch.eye(s)], dim=1))
        self.static_writing = nn.Parameter(torch.ones(s))
        self.norm = nn.LayerNorm(width, bias=False) if config.dynamic else None
        if config.dynamic:
            self.mixing = nn.Parameter(torch.zeros(width, s + 1))
            self.writing = nn.Parameter(torch.zeros(width))
            self.mixing_scale = nn.Parameter(torch.full((1,), _SMALL))
            self.writing_scale = nn.Parameter(torch.full((1,), _SMALL))

    def read(self, h: Tensor) -> tuple[Tensor, Any]:
        """``(b, n, s, d)`` -> what the branch is shown ``(b, n, d)``, and mixed streams with their writing weights."""
        mixing, writing = self.static_mixing, self.static_writing
        if self.norm is not None:
            seen = self.norm(h)
            more, also = seen @ self.mixing, seen @ self.writing
            if self.sinkhorn is None:
                more, also = torch.tanh(more), torch.tanh(also)
            mixing, writing = mixing + self.mixing_scale * more, writing + self.writing_scale * also
        reading, mixing = mixing[..., 0], mixing[..., 1:]
        if self.sinkhorn is not None:
            reading, writing = torch.sigmoid(reading), 2.0 * torch.sigmoid(writing)
            mixing = doubly_stochastic(mixing, self.sinkhorn)
        x = (reading[..., None] * h).sum(dim=-2)
        return x, (mixing.transpose(-1, -2) @ h, writing)

    def write(self, carry: Any, y: Tensor) -> Tensor:
        """``H'_t + b_t y``."""
        mixed, writing = carry
        return mixed + writing[..., None] * y[..., None, :]


def doubly_stochastic(scores: Tensor, rounds: int) -> Tensor:
    """``(..., s, s)`` to non-negative matrices whose columns sum to 1 and whose rows nearly do (Sinkhorn)."""
    matrix = torch.softmax(scores, dim=-2)
    for _ in range(rounds):
        matrix = F.normalize(F.normalize(matrix, p=1.0, dim=-1), p=1.0, dim=-2)
    return matrix
