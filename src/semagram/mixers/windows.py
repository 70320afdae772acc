"""Which cells stand in a cell's window: the semantics of neighbourhood attention, written as plain comparisons.

Along each axis a cell at index i of L sees ``size`` consecutive cells. In the middle they are those around it; at a
border the window slides inwards, so that every cell has as many neighbours (NATTEN, arXiv 2204.07143), or is clipped.
With dilation D the axis falls into D interleaved lines (indices equal modulo D) and a window lies in one of them
(DiNA, 2209.15001). A causal axis looks back: the cell itself and the ``size - 1`` before it. Where an axis (or one of
its lines) is shorter than the window, all of it is seen.

This is the reference for ``tiles``, and what padded and stepped pages use. Tested against windows enumerated by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts.geometry import Extent, Geometry


@dataclass(frozen=True)
class Window:
    """How far a cell sees, axis by axis (rows first)."""

    sizes: tuple[int, int]
    """Rows and columns of the window."""
    dilation: int
    """Cells from one neighbour to the next."""
    causal: tuple[bool, bool]
    """Whether a cell sees no row below its own, and no column to the right of its own."""
    slide: bool
    """At borders: slide inwards (else: clip)."""


def first_of(place: Tensor | int, length: Tensor | int, size: int, causal: bool, slide: bool) -> Tensor:
    """The first index of the window of ``place`` (0 ... length - 1) on a line of ``length``; below 0 if clipped."""
    place, length = torch.as_tensor(place), torch.as_tensor(length)
    if causal:
        return place - size + 1
    first = place - size // 2
    return torch.minimum(first, (length - size).clamp(min=0)).clamp(min=0) if slide else first


def seen_on_axis(
    queries: Tensor, keys: Tensor, length: Tensor | int, size: int, dilation: int, causal: bool, slide: bool
) -> Tensor:
    """Bool ``(..., q, k)``: indices ``(..., q)`` and ``(..., k)`` from 0, on an axis of ``length`` cells."""
    line, place = queries % dilation, torch.div(queries, dilation, rounding_mode="floor")
    cells = torch.div(length - line + dilation - 1, dilation, rounding_mode="floor")  # of the query's line
    first = first_of(place, cells, size, causal, slide)
    last = place if causal else first + size - 1
    other = torch.div(keys, dilation, rounding_mode="floor")[..., None, :]
    same = (keys % dilation)[..., None, :] == line[..., :, None]
    return same & (other >= first[..., :, None]) & (other <= last[..., :, None])


def rows_and_columns(coords: Tensor) -> Tensor:
    """Coordinates ``(n, 1)`` of a line as ``(n, 2)`` of a page of one row; those of a page as they are."""
    if coords.shape[-1] == 1:
        return torch.cat([torch.zeros_like(coords), coords], dim=-1)
    if coords.shape[-1] != 2:
        raise UserError(f"neighbourhoods are of lines and pages, got {coords.shape[-1]} coordinate axes.")
    return coords


def page_extent(extent: Extent) -> Extent:
    """The same for an extent."""
    return ((0, 0), *extent) if len(extent) == 1 else extent


def seen(queries: Tensor, keys: Tensor, low: Tensor, high: Tensor, window: Window) -> Tensor:
    """Bool ``(..., q, k)``: cells ``(..., q, 2)`` and ``(..., k, 2)`` of a page from ``low`` to ``high (..., 2)``."""
    found = None
    for axis in (0, 1):
        start = low[..., axis, None]
        on_axis = seen_on_axis(
            queries[..., axis] - start,
            keys[..., axis] - start,
            (high - low)[..., axis, None] + 1,
            window.sizes[axis],
            window.dilation,
            window.causal[axis],
            window.slide,
        )
        found = on_axis if found is None else found & on_axis
    assert found is not None
    return found


def visible(geometry: Geometry, window: Window) -> Tensor:
    """Which slots see which, bool ``(n, n)``, or ``(b, 1, n, n)`` with padding; earlier ranks only where CAUSAL.

    Padding is no part of the page: it is seen by itself alone, and borders are those of the cells that are kept.
    """
    coords, n = rows_and_columns(geometry.coords), geometry.count
    if geometry.keep is None:
        extent = torch.tensor(page_extent(geometry.extent), device=coords.device)
        mask = seen(coords, coords, extent[:, 0], extent[:, 1], window)
    else:
        kept = geometry.keep[:, :, None]
        limits = torch.iinfo(coords.dtype)
        low = torch.where(kept, coords, limits.max).amin(dim=1)
        high = torch.where(kept, coords, limits.min).amax(dim=1)
        nothing = ~geometry.keep.any(dim=1, keepdim=True)
        low, high = low.masked_fill(nothing, 0), high.masked_fill(nothing, 0)
        itself = torch.eye(n, dtype=torch.bool, device=coords.device)
        both = geometry.keep[:, :, None] & geometry.keep[:, None, :]
        mask = ((seen(coords[None], coords[None], low, high, window) & both) | itself)[:, None]
    if geometry.causal:
        mask = mask & torch.ones(n, n, dtype=torch.bool, device=coords.device).tril()
    return mask
