"""Learned gains of normalised queries and keys (ViT-22B, arXiv 2302.05442; one number a head: SwinV2, 2111.09883).

``score = sharpness cos(q, k)`` becomes ``sharpness / d_h  sum_f (g_f q_f) (k_f g'_f)``. Qwen3's and Gemma-3's norms are
"features" with sharpness sqrt(d_h), ViT-22B's are "both". All start at 1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class QueryKeyGains(nn.Module):
    """Factors ``(h + h_kv, d_h)`` or ``(h + h_kv, 1)`` of stacked queries and keys."""

    def __init__(self, of: Literal["heads", "features", "both"], heads: int, shared: int, head_width: int) -> None:
        super().__init__()
        self.of, self.heads, self.shared = of, heads, shared
        if of == "heads":
            self.query = nn.Parameter(torch.ones(heads, 1))
            return
        self.query = nn.Parameter(torch.ones(heads if of == "both" else 1, head_width))
        self.key = nn.Parameter(torch.ones(shared if of == "both" else 1, head_width))

    def forward(self) -> Tensor:
        """Keys have none of their own where a head has one number: the product knows only one."""
        if self.of == "heads":
            return torch.cat([self.query, self.query.new_ones(self.shared, 1)])
        return torch.cat([self.query.expand(self.heads, -1), self.key.expand(self.shared, -1)])
