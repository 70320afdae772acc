"""Routed attention: cells choose where to look. A block of cells reads the few blocks that suit it best, no others.

The canvas is cut into blocks of ``side`` x ``side`` cells (``side`` of a line). Head by head, a block I is compared
with every block J by the mean of its queries and the mean of J's keys; the cells of I then attend to all cells of the
best ``blocks`` of them, its own always among these (bi-level routing attention, BiFormer, arXiv 2303.08810; the same
choice from left to right is MoBA's, 2502.13189):

    R_I = {I} and the largest of  mean(q_I) . mean(k_J)          y_i = sum_{j in R_I} softmax_j(q_i . k_j) v_j

Cost: n times ``blocks * side^2``, and the square of the number of blocks for the choice. What is chosen is not
differentiable; queries and keys learn from the attention that follows. A mean of queries has seen all of its block, so
this needs FULL. Shapes ``(b, h, n, d_h)``. Tested: against ``reference`` with the choice as a mask, in values and
gradients; with all blocks chosen it is ``Attention``.
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
class Routed:
    """Every block of cells looks at the few blocks that suit it best."""

    heads: int = 4
    """Heads; each chooses for itself."""
    side: int = 4
    """Cells a side of a block."""
    blocks: int = 4
    """Blocks that are read, one's own among them."""
    positions: Rotary | NoPositions = field(default_factory=Rotary)
    """How coordinates enter, the choice as well as the weights."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""

    def __post_init__(self) -> None:
        for name in ("heads", "side", "blocks"):
            if getattr(self, name) < 1:
                raise UserError(f"routed {name} must be at least 1, got {getattr(self, name)}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"routed sharpness must be above 0 or none, got {self.sharpness}.")

    def visibilities(self) -> frozenset[Visibility]:
        """A block chooses with all of its cells."""
        return frozenset({Visibility.FULL})

    def build(self, width: int) -> RoutedMixer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        refuse_unfit(width, self.heads, self.positions)
        return RoutedMixer(self, width)


@dataclass(frozen=True)
class Cut:
    """The canvas as ``count`` blocks of ``size`` places; ``home (n,)`` is the place of each slot, ``there (b or 1,
    count, size)`` where a slot that is kept stands."""

    home: Tensor
    count: int
    size: int
    there: Tensor
    full: bool
    """Every place holds a kept slot."""

    @classmethod
    def of(cls, geometry: Geometry, side: int) -> Cut:
        """Blocks begin at multiples of ``side``, wherever the canvas does."""
        coords, device = geometry.coords, geometry.coords.device
        block = torch.zeros(geometry.count, dtype=torch.int64, device=device)
        inside, count = torch.zeros_like(block), 1
        for axis, (low, high) in enumerate(geometry.extent):
            length = high // side - low // side + 1
            at = torch.div(coords[:, axis], side, rounding_mode="floor")
            block, inside = block * length + at - low // side, inside * side + coords[:, axis] - at * side
            count *= length
        size = side ** len(geometry.extent)
        home = block * size + inside
        kept = torch.ones(1, geometry.count, dtype=torch.bool, device=device)
        kept = kept if geometry.keep is None else geometry.keep
        there = torch.zeros(kept.shape[0], count * size, dtype=torch.bool, device=device).index_copy(1, home, kept)
        # Told by plain numbers: a tensor that is asked for one could not be compiled in one graph.
        full = geometry.keep is None and count * size == geometry.count
        return cls(home, count, size, there.unflatten(1, (count, size)), full)

    def laid(self, x: Tensor) -> Tensor:
        """Slots ``(b, h, n, f)`` in their blocks ``(b, h, count, size, f)``; 0 where there is none."""
        places = x.new_zeros(*x.shape[:2], self.count * self.size, x.shape[3]).index_copy(2, self.home, x)
        return places.unflatten(2, (self.count, self.size)) * self.there[:, None, :, :, None]


class RoutedMixer(nn.Module):
    """See ``Routed``."""

    def __init__(self, config: Routed, width: int) -> None:
        super().__init__()
        self.heads, self.head_width, self.positions = config.heads, width // config.heads, config.positions
        self.side, self.blocks = config.side, config.blocks
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width, bias=False)
        self.normalised = config.sharpness is not None
        self.scale = self.head_width**-0.5 if config.sharpness is None else config.sharpness / self.head_width

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of the stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.heads * self.head_width] * 3}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.outward]

    def new_state(self, batch: int, capacity: int) -> MixerState:
        """None: a block chooses with all of its cells."""
        raise ValueError("routed attention reads whole blocks and cannot be stepped through them.")

    def step(self, x: Tensor, geometry: Geometry, state: MixerState) -> Tensor:
        """As ``new_state``."""
        raise ValueError("routed attention reads whole blocks and cannot be stepped through them.")

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding is neither read nor asked."""
        stacked = self.inward(x).unflatten(-1, (3, self.heads, self.head_width))
        turned, values = stacked[:, :, :2], stacked[:, :, 2]
        if self.normalised:
            turned = normalise(turned)
        if isinstance(self.positions, Rotary):
            base, width = self.positions.base, self.head_width
            cosine, sine = geometry.table(("rotary", width, base), lambda coords: rotary_tables(coords, width, base))
            turned = rotate(turned, cosine[:, None, None], sine[:, None, None])
        queries, keys = (t.transpose(1, 2) for t in turned.unbind(2))
        cut = geometry.once(("routed", self.side), lambda: Cut.of(geometry, self.side))
        told = routed(queries, keys, values.transpose(1, 2), cut, self.blocks, self.scale)
        return self.outward(told.transpose(1, 2).flatten(2))


def chosen(queries: Tensor, keys: Tensor, cut: Cut, most: int) -> Tensor:
    """The blocks that each block reads, ``(b, h, count, t)``: its own and the best others, at most ``most``.
    ``queries`` and ``keys`` are laid, ``(b, h, count, size, d_h)``. Blocks without a cell come last."""
    cells = cut.there.sum(dim=2).clamp(min=1)[:, None, :, None]
    fit = (queries.detach().sum(dim=3) / cells) @ (keys.detach().sum(dim=3) / cells).transpose(2, 3)
    fit = fit.masked_fill(~cut.there.any(dim=2)[:, None, None, :], float("-inf"))
    own = torch.eye(cut.count, dtype=torch.bool, device=fit.device)
    fit = fit.masked_fill(own, float("inf"))
    return fit.sort(dim=3, descending=True, stable=True).indices[..., : min(most, cut.count)]


def routed(queries: Tensor, keys: Tensor, values: Tensor, cut: Cut, most: int, scale: float) -> Tensor:
    """The fast path: chosen blocks side by side. ``(b, h, n, d_h)`` all -> the same."""
    b, h, _, width = queries.shape
    asking, asked, told = (cut.laid(t) for t in (queries, keys, values))
    blocks = chosen(asking, asked, cut, most)
    reads = blocks.shape[3]
    first = torch.arange(b * h, device=blocks.device).view(b, h, 1, 1) * cut.count
    rows = (first + blocks).flatten()

    def beside(t: Tensor) -> Tensor:
        return t.reshape(b * h * cut.count, -1)[rows].view(b * h, cut.count, reads * cut.size, width)

    mask = None
    if not cut.full:
        there = cut.there.expand(b, -1, -1)[:, None].expand(-1, h, -1, -1)
        mask = there.reshape(b * h * cut.count, cut.size)[rows].view(b * h, cut.count, 1, reads * cut.size)
        # A block of padding reads it: an empty softmax would be NaN, and nobody looks.
        mask = mask | ~mask.any(dim=3, keepdim=True)
    mixed = F.scaled_dot_product_attention(
        asking.flatten(0, 1), beside(asked), beside(told), attn_mask=mask, scale=scale
    )
    return mixed.reshape(b, h, cut.count * cut.size, width).index_select(2, cut.home)


def reference(queries: Tensor, keys: Tensor, values: Tensor, cut: Cut, most: int, scale: float) -> Tensor:
    """The definition: softmax over all slots with everything masked that stands in no chosen block."""
    blocks = chosen(cut.laid(queries), cut.laid(keys), cut, most)
    reads = torch.zeros(*blocks.shape[:3], cut.count, dtype=torch.bool, device=blocks.device).scatter(3, blocks, True)
    of = torch.div(cut.home, cut.size, rounding_mode="floor")
    seen = reads[:, :, of][:, :, :, of] & cut.there.flatten(1)[:, cut.home][:, None, None, :]
    seen = seen | torch.eye(len(of), dtype=torch.bool, device=seen.device)
    scores = (queries @ keys.transpose(2, 3) * scale).masked_fill(~seen, float("-inf"))
    return torch.softmax(scores, dim=-1) @ values
