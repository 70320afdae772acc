"""Selective attention: a slot may tell all later ones to leave a key alone (arXiv 2410.02703).

The scores of the first head, above 0, are what a query holds against a key; its own key and the first key of a text
are spared. ``F_ij = sum over l < i of max(s_lj, 0)`` of head 0 is subtracted from the scores of every head. CAUSAL
only, and not in a window, whose blocks do not see who complained before. For stepping one sum a key is kept.
Padding holds nothing against anyone, and the first key is the first that is no padding. Tested against x-transformers.
"""

from __future__ import annotations

import torch
from torch import Tensor


def held_against(scores: Tensor, queries: Tensor, keys: Tensor, first: Tensor) -> Tensor:
    """Masked scores ``(b, h, q, k)``, slot numbers ``(q,)``, ``(k,)``, firsts ``(b or 1,)`` -> ``(b, 1, q, k)``."""
    spared = (queries[:, None] == keys) | (keys == first[:, None])[:, None, None, :]
    return torch.relu(scores[:, :1]).masked_fill(spared, 0.0)


def deselected(held: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``(b, 1, q, k)`` -> what is subtracted, of the same shape, and the sums ``(b, 1, k)`` for those to come."""
    sums = held.cumsum(dim=2)
    if before is not None:
        sums = sums + before.unsqueeze(2)
    start = torch.zeros_like(sums[:, :, :1]) if before is None else before.unsqueeze(2)
    return torch.cat([start, sums[:, :, :-1]], dim=2), sums[:, :, -1]


def reference(scores: Tensor) -> Tensor:
    """The definition for a whole causal pass, ``(b, h, n, n)``: what is subtracted, ``(b, 1, n, n)``, pair by pair."""
    n = scores.shape[-1]
    out = scores.new_zeros(scores.shape[0], 1, n, n)
    rows = []
    for i in range(n):
        row = []
        for j in range(n):
            against = [scores[:, 0, before, j].clamp(min=0) for before in range(i) if before > j and j > 0]
            row.append(torch.stack(against).sum(0) if against else out[:, 0, i, j])
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=1)[:, None]
