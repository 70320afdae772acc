"""Neighbourhood attention: a cell looks at the cells around it, on a page or on a line (arXiv 2204.07143, 2209.15001).

Every cell has ``rows`` x ``columns`` neighbours, itself among them; the window slides inwards at borders and can be
dilated or look one way along an axis (``windows``). Some heads may look at the whole page instead (a hybrid by head;
the hybrid by layer is the model ``Page``). Cost is linear in cells (``tiles``), but for those global heads.

Under CAUSAL visibility a cell sees what stands in its window *and* was written before, in whatever order the page is
written. One radius and full page agree with ``Attention`` (tested); everything else with the dense mask (tested).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.attention import KeyValueState
from semagram.mixers.attention import reference as reference
from semagram.mixers.mixed_rotary import MixedRotary
from semagram.mixers.rotary import NoPositions, Rotary, refuse_unfit, rotary_tables, rotate
from semagram.mixers.tiles import Tiling, tiled_attention
from semagram.mixers.windows import Window, rows_and_columns, visible

Positions = Rotary | MixedRotary | NoPositions

_REACH_FEATURES = 3


@dataclass(frozen=True)
class Neighbourhood:
    """Every cell looks at its neighbours."""

    heads: int = 4
    """Heads."""
    rows: int = 7
    """Rows of the window (a line has one)."""
    columns: int = 7
    """Columns of the window."""
    dilation: int = 1
    """Cells from one neighbour to the next."""
    border: Literal["slide", "clip"] = "slide"
    """At the page's borders the window slides inwards (as many neighbours everywhere), or is clipped."""
    causal_rows: bool = False
    """See no row below one's own."""
    causal_columns: bool = False
    """See no column to the right of one's own."""
    global_heads: int = 0
    """Heads, of those, that look at the whole page."""
    reach: float | None = None
    """Standard deviation in cells at which each head's learnt, soft window begins; none: windows are hard only."""
    positions: Positions = field(default_factory=Rotary)
    """How distance and direction enter."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""

    def __post_init__(self) -> None:
        for name in ("heads", "rows", "columns", "dilation"):
            if getattr(self, name) < 1:
                raise UserError(f"neighbourhood {name} must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.global_heads < self.heads:
            raise UserError(
                f"neighbourhood global_heads must be 0 or more and fewer than heads ({self.heads}), got "
                f"{self.global_heads}: for global heads alone use the mixer Attention."
            )
        if self.reach is not None and not self.reach > 0:
            raise UserError(f"neighbourhood reach must be above 0 or none, got {self.reach}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"neighbourhood sharpness must be above 0 or none, got {self.sharpness}.")

    @property
    def window(self) -> Window:
        """What the local heads see."""
        return Window(
            (self.rows, self.columns), self.dilation, (self.causal_rows, self.causal_columns), self.border == "slide"
        )

    def visibilities(self) -> frozenset[Visibility]:
        """A cell sees itself, so what stands in it must be allowed: not OTHERS."""
        return frozenset({Visibility.CAUSAL, Visibility.FULL})

    def build(self, width: int) -> NeighbourhoodMixer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        refuse_unfit(width, self.heads, self.positions)
        return NeighbourhoodMixer(self, width)


class NeighbourhoodMixer(nn.Module):
    """See ``Neighbourhood``."""

    def __init__(self, config: Neighbourhood, width: int) -> None:
        super().__init__()
        self.heads, self.head_width = config.heads, width // config.heads
        self.local_heads = config.heads - config.global_heads
        self.window, self.positions = config.window, config.positions
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        turned = config.positions
        self.frequencies = turned.build(self.heads, self.head_width) if isinstance(turned, MixedRotary) else None
        self.log_reach = None if config.reach is None else nn.Parameter(torch.full((self.heads,), log(config.reach)))
        self.normalised = config.sharpness is not None
        self.scale = self.head_width**-0.5 if config.sharpness is None else config.sharpness / self.head_width

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of the stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.heads * self.head_width] * 3}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        projected = self._project(x, geometry)
        local, whole = self._halves()
        queries, keys, values = (t[:, :, local] for t in projected)
        mixed = [self._near(queries, keys, values, geometry)]
        if self.local_heads < self.heads:
            mask = None if geometry.keep is None else self._padding(geometry)
            queries, keys, values = (t[:, :, whole] for t in projected)
            mixed.append(self._far(queries, keys, values, mask, geometry.causal and mask is None))
        return self.outward(torch.cat(mixed, dim=2)[..., : self.head_width].flatten(2))

    def new_state(self, batch: int, capacity: int) -> KeyValueState:
        """Room for the keys and values of a whole canvas."""
        extra = 0 if self.log_reach is None else _REACH_FEATURES
        return KeyValueState(batch, self.heads, capacity, self.head_width + extra, self.inward.weight)

    def step(self, x: Tensor, geometry: Geometry, state: KeyValueState) -> Tensor:
        """The coming ``g`` slots, ``(b, g, d) -> (b, g, d)``."""
        known, coming = state.length, x.shape[1]
        queries, keys, values = (t.transpose(1, 2) for t in self._project(x, geometry))
        keys, values = state.append(keys, values)
        whole = geometry.whole
        asked = slice(known, known + coming), slice(known + coming)
        near = whole.once(("visible", self.window), lambda: visible(whole, self.window))[asked]
        far = torch.ones_like(near).tril(known)
        mixed = []
        for heads, mask in zip(self._halves(), (near, far), strict=True):
            if heads.start == heads.stop:
                continue
            k, v = keys[:, heads], values[:, heads]
            if coming == 1:  # then only what is seen is read
                places = mask[0].nonzero()[:, 0]
                k, v, mask = k[:, :, places], v[:, :, places], None
            mixed.append(F.scaled_dot_product_attention(queries[:, heads], k, v, attn_mask=mask, scale=self.scale))
        return self.outward(torch.cat(mixed, dim=1).transpose(1, 2)[..., : self.head_width].flatten(2))

    def _halves(self) -> tuple[slice, slice]:
        """The local and the global heads."""
        return slice(0, self.local_heads), slice(self.local_heads, self.heads)

    def _near(self, queries: Tensor, keys: Tensor, values: Tensor, geometry: Geometry) -> Tensor:
        """Windows. All ``(b, n, h, d_h)``."""
        if geometry.keep is not None:
            mask = geometry.once(("visible", self.window), lambda: visible(geometry, self.window))
            return self._far(queries, keys, values, mask, False)
        dtype = queries.dtype
        tiling = geometry.once(("tiling", self.window, dtype), lambda: Tiling.of(geometry, self.window, dtype))
        return tiled_attention(queries, keys, values, tiling, self.scale)

    def _far(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """The whole page. All ``(b, n, h, d_h)``."""
        q, k, v = (t.transpose(1, 2) for t in (queries, keys, values))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=self.scale)
        return mixed.transpose(1, 2)

    def _padding(self, geometry: Geometry) -> Tensor:
        """Bool ``(b, 1, n, n)``: what a global head sees when some slots are padding; padding sees itself."""
        assert geometry.keep is not None
        n = geometry.count
        mask = geometry.keep[:, None, None, :] | torch.eye(n, dtype=torch.bool, device=geometry.keep.device)
        return mask & torch.ones_like(mask[0, 0]).tril() if geometry.causal else mask

    def _project(self, x: Tensor, geometry: Geometry) -> tuple[Tensor, ...]:
        """Queries, keys and values ``(b, n, h, d_h)``, normalised and turned (wider with a reach)."""
        stacked = self.inward(x).unflatten(-1, (3, self.heads, self.head_width))
        turned, values = stacked[:, :, :2], stacked[:, :, 2]
        if self.normalised:
            turned = normalise(turned)
        if self.frequencies is not None:
            cosine, sine = self.frequencies.tables(geometry.coords)
            turned = rotate(turned, cosine[:, None], sine[:, None])
        elif isinstance(self.positions, Rotary):
            key, base, width = ("rotary", self.head_width, self.positions.base), self.positions.base, self.head_width
            cosine, sine = geometry.table(key, lambda coords: rotary_tables(coords, width, base))
            turned = rotate(turned, cosine[:, None, None], sine[:, None, None])
        if self.log_reach is None:
            return turned[:, :, 0], turned[:, :, 1], values
        return self._reaching(turned[:, :, 0], turned[:, :, 1], values, geometry)

    def _reaching(self, queries: Tensor, keys: Tensor, values: Tensor, geometry: Geometry) -> tuple[Tensor, ...]:
        """A score loses |a - b|^2 / (2 r^2) by the distance of its cells, with a radius r learnt by each head.

        The square is 2 a b - |b|^2 but for what depends on the query alone and drops out of the softmax: a product of
        three further features, so that every path (tiles, masks, steps) has it without knowing.
        """
        assert self.log_reach is not None
        place = rows_and_columns(geometry.coords).to(queries.dtype)
        weight = torch.exp(-2.0 * self.log_reach)[:, None] / self.scale
        asking = torch.cat([place, torch.full_like(place[:, :1], -0.5)], dim=1)[:, None] * weight
        asked = torch.cat([place, place.square().sum(dim=1, keepdim=True)], dim=1)[:, None]
        batch = (*queries.shape[:3], _REACH_FEATURES)
        return (
            torch.cat([queries, asking.expand(batch)], dim=-1),
            torch.cat([keys, asked.expand(batch)], dim=-1),
            F.pad(values, (0, _REACH_FEATURES)),
        )
