"""Attention over depth: a branch reads a mixture of all earlier states of the stream, not the last one alone.

    x = sum_i softmax_i(q . rms_norm(h_i) / sqrt(d)) h_i,        h_new = h_last + y

q is learned, one a branch (``rank`` none: then all states weigh the same at the beginning), or asked by the latest
state, q = rms_norm(h + U V rms_norm(h)) with U V of a low rank and 0 at the beginning (arXiv 2601.21582). Attention
residuals (2603.15031) do the same over the outputs of branches. Keys and queries have learned gains. The stream is a
tuple of the states so far; everything is position by position. Tested against x-transformers and the formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class DepthAttention:
    """Each branch attends over the states of the stream below it."""

    rank: int | None = None
    """Of the map that makes the query from the latest state; none: a learned query a branch."""

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise UserError(f"DepthAttention rank must be at least 1 or none, got {self.rank}.")

    def build(self, width: int, index: int, norm: Any) -> DepthJoin:
        """The module of branch ``index``."""
        return DepthJoin(self, width, first=index == 0)

    def open(self, x: Tensor) -> tuple[Tensor, ...]:
        """The first state."""
        return (x,)

    def close(self, h: tuple[Tensor, ...]) -> Tensor:
        """The last state."""
        return h[-1]


class DepthJoin(nn.Module):
    """See ``DepthAttention``. The first branch has one state to read, and nothing to choose."""

    def __init__(self, config: DepthAttention, width: int, first: bool) -> None:
        super().__init__()
        self.first = first
        if first:
            return
        self.key_norm = nn.RMSNorm(width)
        if config.rank is None:
            self.query = nn.Parameter(torch.zeros(width))
            self.asks = None
        else:
            self.asks = nn.Sequential(
                nn.RMSNorm(width), nn.Linear(width, config.rank, bias=False), nn.Linear(config.rank, width, bias=False)
            )
            self.query_norm = nn.RMSNorm(width)
            self.initialise()

    def initialise(self) -> None:
        """The latest state asks with itself."""
        if not self.first and self.asks is not None:
            nn.init.zeros_(self.asks[2].weight)  # type: ignore[arg-type]

    def read(self, h: tuple[Tensor, ...]) -> tuple[Tensor, Any]:
        """All states -> what the branch is shown, ``(b, n, d)``."""
        if self.first:
            return h[-1], h
        states, latest = torch.stack(h, dim=-2), h[-1]
        query = self.query if self.asks is None else self.query_norm(latest + self.asks(latest))[..., None, :]
        scores = (self.key_norm(states) * query).sum(-1) * latest.shape[-1] ** -0.5
        return (torch.softmax(scores, dim=-1)[..., None] * states).sum(-2), h

    def write(self, h: tuple[Tensor, ...], y: Tensor) -> tuple[Tensor, ...]:
        """One state more."""
        return (*h, h[-1] + y)
