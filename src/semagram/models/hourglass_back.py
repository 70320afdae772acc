"""From the core's elements back to slots: what is added to slot i, of the elements that ended at or before it.

| kind | added at slot i, j being the last element that has ended | as in |
|---|---|---|
| Repeat | W y_j | MegaByte (arXiv 2305.07185), dynamic pooling (2211.09761) |
| Unfold | W_r y_j, r = slots since the end (fixed boundaries only) | Hourglass, linear (2110.13711) |
| LookBack | attention from slot i over y_{j - last + 1} .. y_j | BLT (2412.09871), Hourglass with attention |
| Smoothed | c_i W z_j, z_j = p_j y_j + (1 - p_j) z_{j-1} (routed boundaries only) | H-Net (2507.07955) |

In Smoothed p is the router's chance of each end and c_i the chance of what it chose at slot i, 1 in value (straight
through) and itself in gradient: that is how the router learns from the next token. Tested against loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.models.hourglass_boundaries import Cut, Fixed
from semagram.models.hourglass_learnt import Boundaries, Routing
from semagram.models.hourglass_pool import gathered

_SURE = 1e-4
"""Chances are kept this far from 0 and 1 in the recurrence."""


@dataclass(frozen=True)
class Repeat:
    """The last element, the same until the next one ends."""

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``inner`` to ``width`` features."""
        return _Repeated(width, inner)


@dataclass(frozen=True)
class Unfold:
    """The last element, seen otherwise from each place."""

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``inner`` to ``width`` features; refuses elements of no fixed size."""
        if not isinstance(boundaries, Fixed):
            raise UserError(f"Unfold needs Fixed boundaries, got {type(boundaries).__name__}.")
        return _Unfolded(width, inner, boundaries.size)


@dataclass(frozen=True)
class LookBack:
    """Every slot chooses among the last elements."""

    last: int = 4
    """Elements that it sees."""
    heads: int = 4
    """Heads; they divide the stage's width."""

    def __post_init__(self) -> None:
        if self.last < 1 or self.heads < 1:
            raise UserError(f"back last and heads must be at least 1, got {self.last} and {self.heads}.")

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``inner`` to ``width`` features."""
        if width % self.heads != 0:
            raise UserError(f"back heads {self.heads} must divide the stage's width, got {width}.")
        return _LookedBack(width, inner, self.last, self.heads)


@dataclass(frozen=True)
class Smoothed:
    """Elements fade into each other as far as the router was unsure."""

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``inner`` to ``width`` features; refuses boundaries without a router."""
        if not isinstance(boundaries, Routing):
            raise UserError(f"Smoothed needs Routing boundaries, got {type(boundaries).__name__}.")
        return _Smoothed(width, inner)


Back = Repeat | Unfold | LookBack | Smoothed


class _Repeated(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.outward = nn.Linear(inner, width, bias=False)

    def forward(
        self, x: Tensor, y: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None
    ) -> Tensor:
        """``x (b, n, d)`` of the slots, ``y (b, most, d_inner)``: ``(b, n, d)``; a fresh ``state`` is filled."""
        if state is not None:
            state["told"] = gathered(self.outward(y), cut.counts()[:, None] - 1).detach()
        return gathered(self.outward(y), cut.latest())

    def new_state(self, batch: int, like: Tensor) -> dict[str, Any]:
        """What the last element says."""
        return {"told": torch.zeros(batch, 1, self.outward.out_features, dtype=like.dtype, device=like.device)}

    def step(
        self, x: Tensor, y: Tensor | None, ends: Tensor, chance: Tensor | None, active: Tensor, state: Any
    ) -> Tensor:
        """``x (b, 1, d)``, ``y (b, 1, d_inner)`` new where an element ends, None where none does in any row.

        ``active (b,)``: the rows that have a slot here.
        """
        if y is not None:
            state["told"] = torch.where(ends[:, None, None], self.outward(y), state["told"])
        return state["told"]


class _Unfolded(nn.Module):
    def __init__(self, width: int, inner: int, size: int) -> None:
        super().__init__()
        self.width, self.size = width, size
        self.outward = nn.Linear(inner, width * size, bias=False)

    def matrices(self) -> dict[str, list[int]]:
        """One map for each place."""
        return {"outward.weight": [self.width] * self.size}

    def forward(
        self, x: Tensor, y: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None
    ) -> Tensor:
        """As ``_Repeated``; element j serves slots j k .. j k + k - 1."""
        told = self.outward(y).unflatten(-1, (self.size, self.width))
        if state is not None:
            index = (cut.counts() - 1)[:, None, None, None].expand(-1, 1, self.size, self.width)
            state["told"] = told.detach().gather(1, index)[:, 0]
            read = torch.full_like(state["since"], x.shape[1]) if counts is None else counts
            state["since"] = (read - 1) % self.size
        return told.flatten(1, 2)[:, : x.shape[1]]

    def new_state(self, batch: int, like: Tensor) -> dict[str, Any]:
        """What the last element says for each place, and slots since it ended."""
        told = torch.zeros(batch, self.size, self.width, dtype=like.dtype, device=like.device)
        return {"told": told, "since": torch.zeros(batch, dtype=torch.int64, device=like.device)}

    def step(
        self, x: Tensor, y: Tensor | None, ends: Tensor, chance: Tensor | None, active: Tensor, state: Any
    ) -> Tensor:
        """As ``_Repeated``."""
        state["since"] = torch.where(ends, 0, state["since"] + active) % self.size
        if y is not None:
            told = self.outward(y).unflatten(-1, (self.size, self.width))[:, 0]
            state["told"] = torch.where(ends[:, None, None], told, state["told"])
        return gathered(state["told"], state["since"][:, None])


class _LookedBack(nn.Module):
    """Scores have a learned number for each head and distance in elements."""

    def __init__(self, width: int, inner: int, last: int, heads: int) -> None:
        super().__init__()
        self.last, self.heads, self.width = last, heads, width
        self.query = nn.Linear(width, width, bias=False)
        self.look = nn.Linear(inner, 2 * width, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, last))
        self.outward = nn.Linear(width, width, bias=False)

    def matrices(self) -> dict[str, list[int]]:
        """Keys and values are stacked."""
        return {"look.weight": [self.width] * 2}

    def flops(self, args: tuple[Any, ...]) -> int:
        """Of a call, beside those of the modules that it calls: scores and weighted values."""
        return 4 * args[0].numel() * self.last

    def _told(self, x: Tensor, looks: Tensor, standing: Tensor) -> Tensor:
        """``x (b, n, d)``, ``looks (b, n, last, 2 d)``, how many of them stand ``(b, n)``."""
        queries = self.query(x).unflatten(-1, (self.heads, -1))
        keys, values = looks.unflatten(-1, (2, self.heads, -1)).unbind(3)
        scores = torch.einsum("bnhd,bnkhd->bnhk", queries, keys) * queries.shape[-1] ** -0.5 + self.distance
        stands = torch.arange(self.last, device=x.device) >= self.last - standing[:, :, None]
        weights = torch.softmax(scores.masked_fill(~stands[:, :, None, :], float("-inf")), dim=-1)
        return self.outward(torch.einsum("bnhk,bnkhd->bnhd", weights, values).flatten(2))

    def forward(
        self, x: Tensor, y: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None
    ) -> Tensor:
        """As ``_Repeated``."""
        looks, latest = self.look(y), cut.latest()
        near = F.pad(looks, (0, 0, self.last - 1, 0)).unfold(1, self.last, 1).transpose(2, 3)
        if state is not None:
            last = (cut.counts() - 1)[:, None]
            state["looks"] = gathered(near.flatten(2), last).unflatten(2, (self.last, -1))[:, 0].detach()
            state["count"] = cut.counts()
        shown = gathered(near.flatten(2), latest).unflatten(2, (self.last, -1))
        return self._told(x, shown, latest + 1)

    def new_state(self, batch: int, like: Tensor) -> dict[str, Any]:
        """Keys and values of the last elements, and how many there have been."""
        looks = torch.zeros(batch, self.last, 2 * self.width, dtype=like.dtype, device=like.device)
        return {"looks": looks, "count": torch.zeros(batch, dtype=torch.int64, device=like.device)}

    def step(
        self, x: Tensor, y: Tensor | None, ends: Tensor, chance: Tensor | None, active: Tensor, state: Any
    ) -> Tensor:
        """As ``_Repeated``."""
        if y is not None:
            moved = torch.cat([state["looks"][:, 1:], self.look(y)], dim=1)
            state["looks"] = torch.where(ends[:, None, None], moved, state["looks"])
            state["count"] = state["count"] + ends
        return self._told(x, state["looks"][:, None], state["count"][:, None].clamp(min=1))


class _Smoothed(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.outward = nn.Linear(inner, width, bias=False)

    def forward(
        self, x: Tensor, y: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None
    ) -> Tensor:
        """As ``_Repeated``."""
        assert cut.chance is not None
        sure = cut.chance.gather(1, slots).clamp(_SURE, 1.0 - _SURE)[:, :, None]
        smooth = recurrence(1.0 - sure, sure * y)
        if state is not None:
            state["smooth"] = gathered(smooth, (cut.counts() - 1)[:, None]).detach()
        chosen = torch.where(cut.ends, cut.chance, 1.0 - cut.chance)[:, :, None]
        return self.outward(gathered(smooth, cut.latest())) * (chosen + (1.0 - chosen).detach())

    def new_state(self, batch: int, like: Tensor) -> dict[str, Any]:
        """The smoothed element."""
        return {"smooth": torch.zeros(batch, 1, self.outward.in_features, dtype=like.dtype, device=like.device)}

    def step(
        self, x: Tensor, y: Tensor | None, ends: Tensor, chance: Tensor | None, active: Tensor, state: Any
    ) -> Tensor:
        """As ``_Repeated``."""
        assert chance is not None
        if y is not None:
            sure = chance.clamp(_SURE, 1.0 - _SURE)[:, :, None]
            smooth = sure * y + (1.0 - sure) * state["smooth"]
            state["smooth"] = torch.where(ends[:, None, None], smooth, state["smooth"])
        return self.outward(state["smooth"])


def recurrence(keep: Tensor, add: Tensor) -> Tensor:
    """``z_j = keep_j z_{j-1} + add_j``, ``keep (b, m, 1)``, ``add (b, m, d)``: in log2 m doublings."""
    reach = 1
    while reach < add.shape[1]:
        add = torch.cat([add[:, :reach], add[:, reach:] + keep[:, reach:] * add[:, :-reach]], dim=1)
        keep = torch.cat([keep[:, :reach], keep[:, reach:] * keep[:, :-reach]], dim=1)
        reach *= 2
    return add


def reference(keep: Tensor, add: Tensor) -> Tensor:
    """The definition of ``recurrence``."""
    made, z = [], torch.zeros_like(add[:, 0])
    for j in range(add.shape[1]):
        z = keep[:, j] * z + add[:, j]
        made.append(z)
    return torch.stack(made, dim=1)
