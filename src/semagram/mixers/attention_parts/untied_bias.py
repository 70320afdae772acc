"""Untied positions: where a query and a key stand meet in maps of their own (TUPE, arXiv 2006.15595).

    s_ij = (W_q x_i) . (W_k x_j) / sqrt(2 w)  +  (U p_i) . (V p_j) / sqrt(2 f)      p: waves of the coordinates

The second term is what this bias adds: absolute places, untied from what stands there, f features a head. (The paper
halves both terms' variance: give ``Attention.scale`` that factor with ``sharpness=None``.) The paper's p are learned
rows, which would make parameters depend on the size of the layout; waves (arXiv 1706.03762) stand for them. On a
layout of several axes each axis has its share of the waves.

``reset`` unties the first place too, as the paper does for its class token: wherever the query is what stands at the
origin or before it (class token, registers, the first slot) the term is one learned number a head, and another one
wherever the key is. Tested against the formula, pair by pair (``reference``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class UntiedBias:
    """What the places of query and key say to each other, apart from what stands there (TUPE)."""

    features: int = 32
    """Waves of a place, and features a head after the maps; even."""
    base: float = 10_000.0
    """Ratio between the longest and the shortest wave."""
    reset: bool = False
    """Give the first place (class token, registers, first slot) numbers of its own instead."""

    def __post_init__(self) -> None:
        if self.features < 4 or self.features % 2 != 0:
            raise UserError(f"bias features must be even and at least 4, got {self.features}.")
        if not self.base > 1.0:
            raise UserError(f"bias base must be above 1, got {self.base}.")

    def build(self, heads: int) -> UntiedBiasMaps:
        """The module for attention with ``heads`` heads."""
        return UntiedBiasMaps(self, heads)


class UntiedBiasMaps(nn.Module):
    """Coordinates ``(..., q, a)`` and ``(..., k, a)`` -> ``(h, ..., q, k)``; V starts at 0, so nothing is added."""

    learned = True
    reads_places = True
    """It is asked with coordinates, not with distances."""

    def __init__(self, config: UntiedBias, heads: int) -> None:
        super().__init__()
        self.features, self.base = config.features, config.base
        self.queries = nn.Parameter(torch.randn(heads, config.features, config.features) * config.features**-0.5)
        self.keys = nn.Parameter(torch.zeros(heads, config.features, config.features))
        self.first = nn.Parameter(torch.zeros(2, heads)) if config.reset else None

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The term for each pair."""
        asked = self._mapped(self.queries, queries)
        found = self._mapped(self.keys, keys)
        told = asked @ found.transpose(-1, -2) * (2 * self.features) ** -0.5
        if self.first is None:
            return told
        shape = (-1, *[1] * (told.dim() - 1))
        told = torch.where(at_first(keys).unsqueeze(-2), self.first[1].view(shape), told)
        return torch.where(at_first(queries).unsqueeze(-1), self.first[0].view(shape), told)

    def _mapped(self, map_: Tensor, coords: Tensor) -> Tensor:
        """``(..., n, a) -> (h, ..., n, f)``."""
        waves = waves_of(coords, self.features, self.base)
        return waves @ map_.view(map_.shape[0], *[1] * (waves.dim() - 2), *map_.shape[1:])


def at_first(coords: Tensor) -> Tensor:
    """Bool ``(..., n)``: stands at the origin or before it on every axis."""
    return (coords <= 0).all(dim=-1)


def waves_of(coords: Tensor, features: int, base: float) -> Tensor:
    """``(..., n, a) -> (..., n, f)``: sines and cosines of f / 2 rates, dealt to the axes in turn."""
    planes = features // 2
    if coords.shape[-1] > planes:
        raise UserError(f"{coords.shape[-1]} axes need at least {2 * coords.shape[-1]} bias features, got {features}.")
    axis = torch.arange(planes, device=coords.device) % coords.shape[-1]
    rate = base ** (-torch.arange(planes, device=coords.device) / planes)
    angle = coords[..., axis].float() * rate
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def reference(maps: UntiedBiasMaps, queries: Tensor, keys: Tensor) -> Tensor:
    """The same for ``(q, a)`` and ``(k, a)``, one pair at a time: -> ``(h, q, k)``."""
    p, r = waves_of(queries, maps.features, maps.base), waves_of(keys, maps.features, maps.base)
    rows = []
    for i, place in enumerate(queries):
        row = []
        for j, other in enumerate(keys):
            pair = torch.stack([(p[i] @ u) @ (r[j] @ v) for u, v in zip(maps.queries, maps.keys, strict=True)])
            pair = pair / (2 * maps.features) ** 0.5
            if maps.first is not None and bool((other <= 0).all()):
                pair = maps.first[1]
            if maps.first is not None and bool((place <= 0).all()):
                pair = maps.first[0]
            row.append(pair)
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)
