"""Rotary positions over any number of coordinate axes (RoFormer, arXiv 2104.09864; axial form for pages).

A head's ``d_h`` features are ``d_h / 2`` planes. Plane p of an axis with P planes turns by
``coordinate * base^(-p / P)``, so the product of a query and a key depends on their distance alone. With
several axes the planes are shared out between them as evenly as possible (axial rotary).

Planes pair feature i with feature i + d_h / 2 (the "half-split" convention of GPT-NeoX and Llama). With a
``fraction`` below 1 only the first features of a head are turned (GPT-J, GPT-NeoX); ``scaling`` slows the planes for
longer texts (see ``rotary_scaling``). ``decay`` is xPos (arXiv 2212.10554): the product also shrinks with distance,
plane by plane, as the ratio of two lengths, query ``z^i`` and key ``z^-j``.
Reference: tests compare with multiplication by complex numbers, with Hugging Face's models and with x-transformers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.mixers.rotary_scaling import Scaling, plain_frequencies


@dataclass(frozen=True)
class Rotary:
    """Rotary positions: every query and key is turned by an angle proportional to its coordinate."""

    base: float = 10_000.0
    """Wave length ratio between the slowest and the fastest plane; of no account where an axis has one plane."""
    fraction: float = 1.0
    """Share of a head's features that are turned, the first ones; rounded down to whole planes."""
    scaling: Scaling | None = None
    """A rule that slows the planes for longer texts; none: as trained."""
    decay: float | None = None
    """xPos: slots after which the fast planes' share of a score has shrunk to 2/7; none: it does not."""

    def __post_init__(self) -> None:
        if not self.base > 1.0:
            raise UserError(f"rotary base must be above 1, got {self.base}.")
        if not 0.0 < self.fraction <= 1.0:
            raise UserError(f"rotary fraction must be above 0 and at most 1, got {self.fraction}.")
        if self.decay is not None and not self.decay > 0.0:
            raise UserError(f"rotary decay must be above 0 or none, got {self.decay}.")

    def turned(self, head_width: int) -> int:
        """How many features of a head are turned; raises ``UserError`` when that is none or odd."""
        if self.fraction == 1.0 and head_width % 2 != 0:
            raise UserError(f"rotary positions need an even head width, got {head_width}.")
        features = int(head_width * self.fraction) // 2 * 2
        if features == 0:
            raise UserError(f"rotary fraction {self.fraction} of head width {head_width} leaves no plane to turn.")
        return features


@dataclass(frozen=True)
class NoPositions:
    """No positions: order is known only through the causal mask (NoPE, arXiv 2305.19466)."""


def refuse_unfit(width: int, heads: int, positions: object) -> None:
    """Raise ``UserError`` for a width that heads do not divide, and an odd head width under ``Rotary``."""
    if width % heads != 0:
        raise UserError(f"width {width} is not divisible by {heads} heads; change one of them.")
    if isinstance(positions, Rotary) and (width // heads) % 2 != 0:
        raise UserError(f"rotary positions need an even head width, got {width // heads}.")


_MOST_DECAYS = 55.0
"""How often xPos may shrink a length by 2/7 in a canvas: 1e-30 and its inverse are still float32."""


def angles(coords: Tensor, planes: int, base: float, scaling: Scaling | None = None) -> Tensor:
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
        speeds = plain_frequencies(base, count) if scaling is None else scaling.frequencies(base, count)
        parts.append(coords[..., axis : axis + 1].double() * speeds.to(coords.device))
    return torch.cat(parts, dim=-1)


def rotary_tables(
    coords: Tensor, head_width: int, base: float, scaling: Scaling | None = None
) -> tuple[Tensor, Tensor]:
    """Factors ``(n, d_h)`` for ``rotate``: cosines, and sines with the sign of the first half negated."""
    turn = angles(coords, head_width // 2, base, scaling)
    cosine, sine = turn.cos().float(), turn.sin().float()
    if scaling is not None and (gain := scaling.amplitude()) != 1.0:
        cosine, sine = cosine * gain, sine * gain
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


def head_tables(coords: Tensor, turned: int, rotary: Rotary, heads: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Tables ``(n, 1, turned)`` for queries and keys alike, or ``(n, h + h_kv, turned)`` where ``decay`` parts them."""
    cosine, sine = (t[:, None] for t in rotary_tables(coords, turned, rotary.base, rotary.scaling))
    if rotary.decay is None:
        return cosine, sine
    if len(coords) > _MOST_DECAYS * rotary.decay:
        raise UserError(
            f"rotary decay {rotary.decay} is too short for {len(coords)} slots: lengths leave what float32 can hold; "
            f"it must be at least {len(coords) / _MOST_DECAYS:.1f}."
        )
    # By slot and not by coordinate: in order of writing a key always stands before its query.
    slots = torch.arange(len(coords), dtype=torch.float64, device=coords.device)
    share = (torch.arange(turned // 2, dtype=torch.float64, device=coords.device) * 2 + 0.4 * turned) / (1.4 * turned)
    length = (share ** (slots[:, None] / rotary.decay)).repeat(1, 2)[:, None]
    factors = torch.cat([length.expand(-1, heads[0], -1), (1 / length).expand(-1, heads[1], -1)], dim=1).float()
    return cosine * factors, sine * factors


def rotate_first(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """``rotate`` the first features of ``x (..., d_h)``, as many as the tables have."""
    turned = cosine.shape[-1]
    if turned == x.shape[-1]:
        return rotate(x, cosine, sine)
    return torch.cat([rotate(x[..., :turned], cosine, sine), x[..., turned:]], dim=-1)
