"""Attention among merged cells: those that say the same are merged, attend as one, and are handed back to each cell.

Token merging (ToMe, arXiv 2210.09461; undone after attention as in 2303.17604). Every second cell may move: it is
compared, by the cosine of its mean key, with all cells that stay, and the share of all cells with the best partners
is merged into them. A group S asks, answers and speaks with the mean of its cells, and weighs as much as it has cells:

    y_i = sum_T softmax_T(q_S . k_T * scale + log |T|) v_T      for every cell i of S

so that handing back is exact: where merged cells are equal, this *is* attention among all of them. It costs the square
of the cells that are left. Which cells are merged is no function to be differentiated; the means are. A cell's group
depends on all others, so this needs FULL. Tested: equal cells against ``Attention``; otherwise against ``reference``.
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
class Alike:
    """Cells that are alike attend as one."""

    heads: int = 4
    """Heads; the groups are the same for all."""
    share: float = 0.25
    """Of the cells, those that are merged into another; at most a half."""
    positions: Rotary | NoPositions = field(default_factory=Rotary)
    """How coordinates enter (a group stands where its cells' turned vectors have their mean)."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"alike heads must be at least 1, got {self.heads}.")
        if not 0.0 < self.share <= 0.5:
            raise UserError(f"alike share must be above 0 and at most 0.5, got {self.share} (none: Attention).")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"alike sharpness must be above 0 or none, got {self.sharpness}.")

    def visibilities(self) -> frozenset[Visibility]:
        """A group is chosen among all cells."""
        return frozenset({Visibility.FULL})

    def build(self, width: int) -> AlikeMixer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        refuse_unfit(width, self.heads, self.positions)
        return AlikeMixer(self, width)


class AlikeMixer(nn.Module):
    """See ``Alike``."""

    def __init__(self, config: Alike, width: int) -> None:
        super().__init__()
        self.heads, self.head_width, self.positions = config.heads, width // config.heads, config.positions
        self.share = config.share
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
        """None: groups are made of the whole canvas."""
        raise ValueError("merged cells are chosen from the whole canvas, which cannot be stepped through.")

    def step(self, x: Tensor, geometry: Geometry, state: MixerState) -> Tensor:
        """As ``new_state``."""
        raise ValueError("merged cells are chosen from the whole canvas, which cannot be stepped through.")

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; padding belongs to no group and is not read."""
        stacked = self.inward(x).unflatten(-1, (3, self.heads, self.head_width))
        turned, values = stacked[:, :, :2], stacked[:, :, 2]
        if self.normalised:
            turned = normalise(turned)
        group, sizes = groups(turned[:, :, 1].mean(dim=2), self.share, geometry.keep)
        if isinstance(self.positions, Rotary):
            base, width = self.positions.base, self.head_width
            cosine, sine = geometry.table(("rotary", width, base), lambda coords: rotary_tables(coords, width, base))
            turned = rotate(turned, cosine[:, None, None], sine[:, None, None])
        told = among(torch.cat([turned, values[:, :, None]], dim=2), group, sizes, self.scale)
        return self.outward(told.flatten(2))


def groups(names: Tensor, share: float, keep: Tensor | None) -> tuple[Tensor, Tensor]:
    """The group of every slot ``(b, n)``, and how many kept cells each group has ``(b, m)``.

    ``names (b, n, f)`` are compared. Padding is in groups of its own that have no cell: the choice is made among the
    kept cells, counted from the first, so that it is the same with padding as without.
    """
    b, n = names.shape[:2]
    names = F.normalize(names.detach(), dim=-1)
    kept = torch.ones(b, n, dtype=torch.bool, device=names.device) if keep is None else keep
    place = kept.long().cumsum(dim=1) - 1
    moves, stays = kept & (place % 2 == 0), kept & (place % 2 == 1)
    likeness = (names @ names.transpose(1, 2)).masked_fill(~(moves[:, :, None] & stays[:, None, :]), float("-inf"))
    best, to = likeness.max(dim=2)
    order = best.sort(dim=1, descending=True, stable=True).indices
    among_all = torch.empty_like(order).scatter(1, order, torch.arange(n, device=order.device).expand(b, n))
    merged = among_all < (kept.sum(dim=1, keepdim=True).double() * share).long()
    number = (~merged).long().cumsum(dim=1) - 1
    group = torch.where(merged, number.gather(1, to), number)
    # Known without asking a tensor (that could not be compiled in one graph); with padding the most there may be.
    most = n - int(n * share) if keep is None else n
    sizes = names.new_zeros(b, most).scatter_add(1, group, kept.to(names.dtype))
    return group, sizes


def among(stacked: Tensor, group: Tensor, sizes: Tensor, scale: float) -> Tensor:
    """Attention among groups, handed back: ``stacked (b, n, 3, h, d_h)`` (what asks, answers and is told), ``group (b,
    n)``, ``sizes (b, m)`` -> ``(b, n, h, d_h)``."""
    b, n, _, h, width = stacked.shape
    index = group[:, :, None].expand(b, n, 3 * h * width)
    means = stacked.new_zeros(b, sizes.shape[1], 3 * h * width).scatter_add(1, index, stacked.flatten(2))
    means = means / sizes.clamp(min=1)[:, :, None]
    # A canvas of padding alone reads it: an empty softmax would be NaN, and nobody looks.
    weight = torch.where(sizes.sum(dim=1, keepdim=True) > 0, sizes, torch.ones_like(sizes)).log()
    queries, keys, values = means.unflatten(2, (3, h, width)).permute(2, 0, 3, 1, 4)
    mask = weight[:, None, None, :].to(queries.dtype)
    mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scale)
    return (
        mixed.transpose(1, 2).flatten(2).gather(1, group[:, :, None].expand(b, n, h * width)).unflatten(2, (h, width))
    )


def reference(stacked: Tensor, group: Tensor, scale: float) -> Tensor:
    """The definition, among cells instead of groups: every cell stands for its group with an equal part of its weight,
    so with the group's mean at each cell this is plain attention. Shapes as in ``among``."""
    same = (group[:, :, None] == group[:, None, :]).to(stacked.dtype)
    means = torch.einsum("bij,bjthf->bithf", same / same.sum(dim=2, keepdim=True), stacked)
    queries, keys, values = means.permute(2, 0, 3, 1, 4)
    return (torch.softmax(queries @ keys.transpose(2, 3) * scale, dim=-1) @ values).transpose(1, 2)
