"""Landmarks: a few learnt cells that read the whole page, and are read by every cell. Global exchange at linear cost.

    L_j = sum_i softmax_i(s_j . k_i) v_i          y_i = sum_j softmax_j(q_i . t_j) L_j

with learnt seeds s_j and names t_j for each head: the induced set attention of Set Transformer (arXiv 1810.00825)
with fixed names, what Longformer's global tokens (2004.05150) do when there is nothing but them. Cost is m n for m
landmarks. Keys and queries are turned by their coordinates, so a landmark can belong to a region. A landmark reads
everything, so it needs FULL visibility. Best beside windows: as ``Page(whole=Whole(Landmarks()))``. Tested against
the formula written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.contract import MixerState
from semagram.mixers.rotary import NoPositions, Rotary, refuse_unfit, rotary_tables, rotate


@dataclass(frozen=True)
class Landmarks:
    """Every cell writes to, and reads from, a few learnt ones."""

    heads: int = 4
    """Heads."""
    count: int = 16
    """Landmarks of each head, m."""
    positions: Rotary | NoPositions = field(default_factory=Rotary)
    """How coordinates enter."""
    sharpness: float | None = 8.0
    """Normalise what is compared: a score is sharpness times a cosine; none: plain scaled products."""

    def __post_init__(self) -> None:
        for name in ("heads", "count"):
            if getattr(self, name) < 1:
                raise UserError(f"landmarks {name} must be at least 1, got {getattr(self, name)}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"landmarks sharpness must be above 0 or none, got {self.sharpness}.")

    def visibilities(self) -> frozenset[Visibility]:
        """A landmark has read every cell."""
        return frozenset({Visibility.FULL})

    def build(self, width: int) -> LandmarkMixer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        refuse_unfit(width, self.heads, self.positions)
        return LandmarkMixer(self, width)


class LandmarkMixer(nn.Module):
    """See ``Landmarks``."""

    def __init__(self, config: Landmarks, width: int) -> None:
        super().__init__()
        self.heads, self.head_width, self.positions = config.heads, width // config.heads, config.positions
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        self.seeds = nn.Parameter(torch.randn(config.heads, config.count, self.head_width))
        self.names = nn.Parameter(torch.randn(config.heads, config.count, self.head_width))
        self.normalised = config.sharpness is not None
        self.scale = self.head_width**-0.5 if config.sharpness is None else config.sharpness / self.head_width

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of the stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.heads * self.head_width] * 3}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.outward]

    def new_state(self, batch: int, capacity: int) -> MixerState:
        """None: it has read the whole page before it answers."""
        raise ValueError("landmarks read the whole page and cannot be stepped through it.")

    def step(self, x: Tensor, geometry: Geometry, state: MixerState) -> Tensor:
        """As ``new_state``."""
        raise ValueError("landmarks read the whole page and cannot be stepped through it.")

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding is not read."""
        stacked = self.inward(x).unflatten(-1, (3, self.heads, self.head_width))
        turned, values = stacked[:, :, :2], stacked[:, :, 2]
        seeds, names = self.seeds, self.names
        if self.normalised:
            turned, seeds, names = normalise(turned), normalise(seeds), normalise(names)
        if isinstance(self.positions, Rotary):
            base, width = self.positions.base, self.head_width
            cosine, sine = geometry.table(("rotary", width, base), lambda coords: rotary_tables(coords, width, base))
            turned = rotate(turned, cosine[:, None, None], sine[:, None, None])
        queries, keys = (t.transpose(1, 2) for t in turned.unbind(2))
        mask = None
        if geometry.keep is not None:
            # A page of padding alone reads it: an empty softmax would be NaN, and nobody looks.
            mask = (geometry.keep | ~geometry.keep.any(dim=1, keepdim=True))[:, None, None, :]
        told = exchanged(queries, keys, values.transpose(1, 2), seeds, names, self.scale, mask)
        return self.outward(told.transpose(1, 2).flatten(2))


def exchanged(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    seeds: Tensor,
    names: Tensor,
    scale: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Both sums through the fused kernel; shapes as in ``reference``, ``mask (b, 1, 1, n)`` bool of what is read."""
    batch = (queries.shape[0], *seeds.shape)
    read = F.scaled_dot_product_attention(seeds.expand(batch), keys, values, attn_mask=mask, scale=scale)
    return F.scaled_dot_product_attention(queries, names.expand(batch), read, scale=scale)


def reference(queries: Tensor, keys: Tensor, values: Tensor, seeds: Tensor, names: Tensor, scale: float) -> Tensor:
    """The formula: ``(b, h, n, d_h)`` and ``(h, m, d_h)`` -> ``(b, h, n, d_h)``."""
    read = torch.softmax(torch.einsum("hmd,bhnd->bhmn", seeds, keys) * scale, dim=-1) @ values
    return torch.softmax(torch.einsum("bhnd,hmd->bhnm", queries, names) * scale, dim=-1) @ read
