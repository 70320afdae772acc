"""Which keys a query may see, asked of slot numbers: so that it is one rule for a whole pass, a step and blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from semagram.layouts.geometry import Geometry
from semagram.mixers.attention_parts.reach import Everything, Reach


def visible(geometry: Geometry, reach: Reach, queries: Tensor, keys: Tensor, keep: Tensor | None) -> Tensor:
    """Slot numbers ``(..., q)`` and ``(..., k)`` of the canvas -> bool ``(..., q, k)``, or ``(b, 1 or h, ..., q, k)``.

    ``keep (b, ..., k)`` is False at padding. A key of number -1 is no slot and never seen. A query of -1 is no slot
    either: it sees all, and nobody asks for what it says. Every slot sees itself, so that no row is empty.
    """
    back = queries.unsqueeze(-1) - keys.unsqueeze(-2)
    may = keys.unsqueeze(-2) >= 0
    if geometry.causal:
        before = back >= 0
        may = may & (before | (keys.unsqueeze(-2) < geometry.prefix) if geometry.prefix else before)
    if not isinstance(reach, Everything):
        may = may & reach.visible(back)
    if keep is not None:
        may = may & keep[:, None, ..., None, :]
    if geometry.pairs is not None and geometry.pairs.dtype == torch.bool:
        may = may & pairs_at(geometry.pairs, queries, keys)
    return may | (back == 0) | (queries.unsqueeze(-1) < 0)


def pairs_at(pairs: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    """The entries of ``pairs (..., n, n)`` for slot numbers ``(..., q)`` and ``(..., k)``; any for numbers below 0."""
    return pairs[..., queries.clamp(min=0).unsqueeze(-1), keys.clamp(min=0).unsqueeze(-2)]


def minus_infinity(may: Tensor, like: Tensor) -> Tensor:
    """What is added to scores: 0 where a key may be seen, else minus infinity; of the same shape."""
    return torch.zeros(may.shape, dtype=like.dtype, device=may.device).masked_fill_(~may, float("-inf"))
