"""Forgetting attention: what lies back is forgotten at a rate that each slot decides (FoX, arXiv 2503.02130).

``f_t = sigmoid(w_h x_t + b_h)`` for each head; the score of key j for query i gets ``sum of ln f_l, l = j + 1 .. i``,
as ALiBi would with a slope that depends on the text. With running sums ``c_t`` that is ``c_i - c_j``: one number a slot
and head is remembered for stepping. CAUSAL only: "since then" has one direction. It adds to every other bias.
Tested against x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Forgetting:
    """Each slot decides, head by head, how much of what lies behind it fades."""

    memory: float = 5.0
    """Where the gate's bias starts: 5 keeps 0.993 of a score's exponential per slot."""

    def build(self, width: int, heads: int) -> ForgettingGate:
        """The module."""
        return ForgettingGate(self, width, heads)


class ForgettingGate(nn.Module):
    """See ``Forgetting``."""

    def __init__(self, config: Forgetting, width: int, heads: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, heads)
        nn.init.constant_(self.gate.bias, config.memory)

    def forward(self, x: Tensor, keep: Tensor | None, before: Tensor | None = None) -> Tensor:
        """``(b, n, d)`` -> running sums of ln f, ``(b, h, n, 1)``, going on from ``before (b, h, 1, 1)``.

        Padding (``keep (b, n)`` False) forgets nothing.
        """
        logs = F.logsigmoid(self.gate(x))
        if keep is not None:
            logs = logs * keep[:, :, None]
        sums = logs.cumsum(dim=1).transpose(1, 2).unsqueeze(-1)
        return sums if before is None else sums + before


def faded(queries: Tensor, keys: Tensor) -> Tensor:
    """Running sums ``(b, h, ..., q, 1)`` and ``(b, h, ..., k, 1)`` -> what is added to scores ``(b, h, ..., q, k)``."""
    return queries - keys.transpose(-1, -2)


def reference(logs: Tensor) -> Tensor:
    """The definition: ln f ``(b, h, n)`` -> sums over l = j + 1 .. i, ``(b, h, n, n)``, 0 for j > i."""
    n = logs.shape[-1]
    rows = [torch.stack([logs[..., j + 1 : i + 1].sum(-1) for j in range(n)], dim=-1) for i in range(n)]
    return torch.stack(rows, dim=-2)
