"""Neighbourhood attention by tiles: time and memory linear in the cells of the page, forwards and backwards.

Cells are put on the page, the page is cut into tiles of 8 x 8 (a line: of 64), and all queries of a tile look at one
rectangle of keys: the union of their windows, at most ``tile - 1 + window`` a side. Windows move by at most one cell
when the query does, at borders too, so one rectangle of that size always covers them and always lies on the page.
What a query does not see in its rectangle is masked. Interleaved lines of dilation are attended one after the other.

Rectangles overlap, so cutting them out is a copy whose gradient adds; ``_Spread`` does that in place, band by band,
where plain slicing would make a gradient of the whole page for every tile. The reference is ``attention.reference``
with the mask of ``windows.visible``: compared in values and gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from semagram.layouts.geometry import Geometry
from semagram.mixers.windows import Window, first_of, page_extent, rows_and_columns, seen_on_axis

TILE, LINE_TILE = 8, 64
"""Cells a side of a tile on a page; on a line (see benchmarks/neighbourhood.py)."""


@dataclass(frozen=True)
class Axis:
    """One axis of a rectangle of cells, cut into tiles: for each tile, where its keys begin."""

    length: int
    tile: int
    starts: tuple[int, ...]
    span: int

    @classmethod
    def of(cls, length: int, tile: int, size: int, causal: bool, slide: bool) -> Axis:
        """``length`` cells in tiles of ``tile``, windows of ``size``."""
        tile = min(tile, length)
        span = min(length, tile - 1 + size)
        first = [int(first_of(at, length, size, causal, slide)) for at in range(0, length, tile)]
        return cls(length, tile, tuple(min(max(at, 0), length - span) for at in first), span)

    @property
    def queries(self) -> Tensor:
        """``(tiles, tile)`` indices; those past the end are filler."""
        return torch.arange(len(self.starts) * self.tile).view(-1, self.tile)

    @property
    def keys(self) -> Tensor:
        """``(tiles, span)`` indices."""
        return torch.tensor(self.starts)[:, None] + torch.arange(self.span)

    @property
    def filler(self) -> int:
        """Cells that the last tile has too many."""
        return len(self.starts) * self.tile - self.length


@dataclass(frozen=True)
class Part:
    """One rectangle of cells (all of the page, or one pair of interleaved lines) and its tiles' masks.

    mask: ``(tiles, 1, queries, keys)``, 0 where a key is seen and -inf elsewhere.
    """

    rows: Axis
    columns: Axis
    mask: Tensor


@dataclass(frozen=True)
class Tiling:
    """The page as ``P`` places, rectangle after rectangle.

    source ``(P,)``: the slot at each place (slot 0 where there is none: it is masked). place ``(n,)``: of each slot.
    """

    source: Tensor
    place: Tensor
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, geometry: Geometry, window: Window, dtype: torch.dtype) -> Tiling:
        """The tiling of a canvas without padding."""
        device = geometry.coords.device
        (top, bottom), (left, right) = page_extent(geometry.extent)
        height, width, apart = bottom - top + 1, right - left + 1, window.dilation
        coords = rows_and_columns(geometry.coords)
        raster = (coords[:, 0] - top) * width + coords[:, 1] - left
        slots = torch.arange(geometry.count, device=device)
        page = torch.full((height * width,), -1, dtype=torch.int64, device=device).scatter(0, raster, slots)
        page = page.view(height, width)
        rectangles = [page[y::apart, x::apart] for y in range(min(apart, height)) for x in range(min(apart, width))]
        places = torch.cat([r.reshape(-1) for r in rectangles])
        # A hole writes behind the end, where nobody reads.
        home = torch.where(places < 0, geometry.count, places)
        place = torch.zeros(geometry.count + 1, dtype=torch.int64, device=device)
        place = place.scatter(0, home, torch.arange(len(places), device=device))[: geometry.count]
        tile = TILE if height > 1 else LINE_TILE
        full = geometry.count == height * width
        parts = tuple(part_of(r, window, tile, geometry.causal, full, dtype) for r in rectangles)
        return cls(places.clamp(min=0), place, parts)


def part_of(slots: Tensor, window: Window, tile: int, causal: bool, full: bool, dtype: torch.dtype) -> Part:
    """A rectangle ``(y, x)`` of slots, -1 where there is none (never so where ``full``)."""
    axes = [
        Axis.of(length, tile, size, one_way, window.slide)
        for length, size, one_way in zip(slots.shape, window.sizes, window.causal, strict=True)
    ]
    near = [
        seen_on_axis(axis.queries, axis.keys, axis.length, size, 1, one_way, window.slide)
        for axis, size, one_way in zip(axes, window.sizes, window.causal, strict=True)
    ]
    tiles = len(axes[0].starts) * len(axes[1].starts)
    mask = near[0][:, None, :, None, :, None] & near[1][None, :, None, :, None, :]
    mask = mask.reshape(tiles, axes[0].tile * axes[1].tile, -1).to(slots.device)
    if causal or not full:
        padded = F.pad(slots, (0, axes[1].filler, 0, axes[0].filler), value=-1)
        asking, asked = (
            padded[pair[0].to(slots.device)][..., pair[1].to(slots.device)].permute(0, 2, 1, 3).reshape(tiles, -1)
            for pair in ([a.queries for a in axes], [a.keys for a in axes])
        )
        mask = mask & (asked >= 0)[:, None, :]
        if causal:
            mask = mask & (asked[:, None, :] <= asking[:, :, None])
    # Filler sees everything: an empty row of the softmax would be NaN, and nobody reads it.
    mask = mask | ~mask.any(dim=-1, keepdim=True)
    bias = torch.zeros(mask.shape, dtype=dtype, device=slots.device).masked_fill(~mask, float("-inf"))
    return Part(axes[0], axes[1], bias[:, None])


def tiled_attention(queries: Tensor, keys: Tensor, values: Tensor, tiling: Tiling, scale: float) -> Tensor:
    """Attention within windows. All ``(b, n, h, d_h)``, slots in presented order -> ``(b, n, h, d_h)``."""
    b, n, h, width = queries.shape
    stacked = torch.stack([queries, keys, values], dim=2)
    laid = _moved(stacked, tiling.source, tiling.place)
    sizes = [part.rows.length * part.columns.length for part in tiling.parts]
    done = [
        _attend(rectangle.view(b, part.rows.length, part.columns.length, 3, h, width), part, scale)
        for rectangle, part in zip(laid.split(sizes, dim=1), tiling.parts, strict=True)
    ]
    mixed = done[0] if len(done) == 1 else torch.cat(done, dim=1)
    return _moved(mixed, tiling.place, tiling.source if mixed.shape[1] == n else None)


def _attend(stacked: Tensor, part: Part, scale: float) -> Tensor:
    """One rectangle ``(b, y, x, 3, h, d_h)`` of queries, keys and values -> ``(b, y * x, h, d_h)``."""
    b, height, width, _, h, features = stacked.shape
    rows, columns = part.rows, part.columns
    queries, others = stacked[:, :, :, 0], stacked[:, :, :, 1:]
    # Tiles come first and rows of the batch stand beside the heads: the masks then serve every row as they are.
    queries = F.pad(queries, (0, 0, 0, 0, 0, columns.filler, 0, rows.filler))
    queries = queries.reshape(b, len(rows.starts), rows.tile, len(columns.starts), columns.tile, h, features)
    queries = queries.permute(1, 3, 0, 5, 2, 4, 6).reshape(len(part.mask), b * h, rows.tile * columns.tile, features)
    around = _spread(others.reshape(b, height, -1), rows.starts, rows.span)
    around = _spread(around.reshape(b * len(rows.starts) * rows.span, width, -1), columns.starts, columns.span)
    around = around.view(b, len(rows.starts), rows.span, len(columns.starts), columns.span, 2, h, features)
    keys, values = around.permute(5, 1, 3, 0, 6, 2, 4, 7).reshape(2, len(part.mask), b * h, -1, features).unbind(0)
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=part.mask, scale=scale)
    mixed = mixed.view(len(rows.starts), len(columns.starts), b, h, rows.tile, columns.tile, features)
    mixed = mixed.permute(2, 0, 4, 1, 5, 3, 6).reshape(b, height + rows.filler, width + columns.filler, h, features)
    return mixed[:, :height, :width].reshape(b, height * width, h, features)


def _moved(x: Tensor, source: Tensor, place: Tensor | None) -> Tensor:
    """``x[:, source]`` of ``(b, m, ...)``; ``place``: where each of the m went, so that no gradient need be summed."""
    if place is None or not x.requires_grad or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return x.index_select(1, source)
    return _Moved.apply(x, source, place)  # type: ignore[return-value]


class _Moved(torch.autograd.Function):
    """A permutation (with holes that carry no gradient); the gradient is the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, place: Tensor) -> Tensor:  # type: ignore[override]
        """Keeps the way back."""
        ctx.save_for_backward(place)
        return x.index_select(1, source)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """Each slot's gradient from the place it went to."""
        (place,) = ctx.saved_tensors
        return gradient.index_select(1, place), None, None


def _spread(x: Tensor, starts: Sequence[int], span: int) -> Tensor:
    """Overlapping bands: ``(m, length, f) -> (m, bands, span, f)``."""
    if len(starts) == 1:
        return x[:, None]
    if not x.requires_grad or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return torch.stack([x[:, at : at + span] for at in starts], dim=1)
    return _Spread.apply(x, tuple(starts), span)  # type: ignore[return-value]


class _Spread(torch.autograd.Function):
    """Cutting out bands; the gradient adds them up in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, starts: tuple[int, ...], span: int) -> Tensor:  # type: ignore[override]
        """Keeps where the bands were."""
        ctx.starts, ctx.span, ctx.shape = starts, span, x.shape
        return torch.stack([x[:, at : at + span] for at in starts], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """A band after the other into one gradient."""
        whole = gradient.new_zeros(ctx.shape)
        for band, at in enumerate(ctx.starts):
            whole[:, at : at + ctx.span] += gradient[:, band]
        return whole, None, None
