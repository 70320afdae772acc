"""Rotary positions over any number of coordinate axes (RoFormer, arXiv 2104.09864; axial form for pages).

A head's ``d_h`` features are ``d_h / 2`` planes. Plane p of an axis with P planes turns by
``coordinate * base^(-p / P)``, so the product of a query and a key depends on their distance alone. With
several axes the planes are shared out between them as evenly as possible (axial rotary).

Planes pair feature i with feature i + d_h / 2 (the "half-split" convention of GPT-NeoX and Llama).
Reference: tests compare with multiplication by complex numbers, and with Hugging Face's Llama.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError


@dataclass(frozen=True)
class Rotary:
    """Rotary positions: every query and key is turned by an angle proportional to its coordinate."""

    base: float = 10_000.0
    """Wave length ratio between the slowest and the fastest plane; of no account where an axis has one plane."""

    def __post_init__(self) -> None:
        if not self.base > 1.0:
            raise UserError(f"rotary base must be above 1, got {self.base}.")


@dataclass(frozen=True)
class NoPositions:
    """No positions: order is known only through the causal mask (NoPE, arXiv 2305.19466)."""


def angles(coords: Tensor, planes: int, base: float) -> Tensor:
    """Angles ``(n, planes)`` in radians of coordinates ``(n, a)``; the first axes take the odd planes."""
    axes = coords.shape[-1]
    if planes < axes:
        raise UserError(
            f"rotary positions over {axes} axes need a head width of at least {2 * axes}, got {2 * planes}: "
            f"an axis without a plane would not be seen."
        )
    share, extra = divmod(planes, axes)
    parts = []
    for axis in range(axes):
        count = share + (axis < extra)
        exponents = torch.arange(count, device=coords.device, dtype=torch.float64) / max(count, 1)
        parts.append(coords[..., axis : axis + 1].double() * base**-exponents)
    return torch.cat(parts, dim=-1)


def rotary_tables(coords: Tensor, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """Factors ``(n, d_h)`` for ``rotate``: cosines, and sines with the sign of the first half negated."""
    turn = angles(coords, head_width // 2, base)
    cosine, sine = turn.cos().float(), turn.sin().float()
    return torch.cat([cosine, cosine], dim=-1), torch.cat([-sine, sine], dim=-1)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn ``x (..., d_h)`` by tables that broadcast against it. Swapping halves then scaling is one rotation."""
    return torch.addcmul(x * cosine, x.roll(x.shape[-1] // 2, dims=-1), sine)


def rotations(cosine: Tensor, sine: Tensor) -> Tensor:
    """The same turns as matrices ``(n, d_h, d_h)``: ``x @ rotations[i]`` is ``rotate(x, cosine[i], sine[i])``.

    For one slot a row, one small product is quicker than three passes.
    """
    swapped = torch.eye(cosine.shape[-1], device=cosine.device).roll(cosine.shape[-1] // 2, dims=-1)
    return torch.diag_embed(cosine) + swapped * sine[:, None, :]
