"""From the slots of an element to the element: ``(b, n, d)`` and a ``Cut`` to ``(b, most, d_inner)``.

| kind | the element | as in |
|---|---|---|
| Last | its last slot | H-Net (arXiv 2507.07955), SpaceByte (2404.14408) |
| Mean | the mean of its slots | dynamic pooling (2211.09761) |
| Weigh | their softmax-weighted mean, scores learnt a head | attention pooling |
| Join | all of them side by side (fixed boundaries only) | MegaByte (2305.07185) |

A linear map follows each. Tested against loops over elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.models.hourglass_boundaries import Cut, Fixed
from semagram.models.hourglass_learnt import Boundaries

_CAP = 5.0
"""Scores of ``Weigh`` are within +-5, so that sums of exponentials need no running maximum."""


@dataclass(frozen=True)
class Last:
    """An element is what was known at its end."""

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``width`` to ``inner`` features."""
        return _Last(width, inner)


@dataclass(frozen=True)
class Mean:
    """An element is the mean of its slots."""

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``width`` to ``inner`` features."""
        return _Summed(width, inner, None)


@dataclass(frozen=True)
class Weigh:
    """An element is a weighted mean of its slots."""

    heads: int = 4
    """Parts of the features that have weights of their own; they divide the width."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"pool heads must be at least 1, got {self.heads}.")

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``width`` to ``inner`` features."""
        if width % self.heads != 0:
            raise UserError(f"pool heads {self.heads} must divide the stage's width, got {width}.")
        return _Summed(width, inner, self.heads)


@dataclass(frozen=True)
class Join:
    """An element is all of its slots."""

    def build(self, width: int, inner: int, boundaries: Boundaries) -> nn.Module:
        """From ``width`` to ``inner`` features; refuses elements of no fixed size."""
        if not isinstance(boundaries, Fixed):
            raise UserError(f"Join needs Fixed boundaries, got {type(boundaries).__name__}.")
        return _Joined(width, inner, boundaries.size)


Pool = Last | Mean | Weigh | Join


def gathered(x: Tensor, index: Tensor) -> Tensor:
    """``x (b, n, d)`` at ``index (b, m)``."""
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[-1]))


class _Last(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.outward = nn.Linear(width, inner, bias=False)

    def forward(self, x: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None) -> Tensor:
        """``slots``: the cut's; a fresh ``state`` is filled."""
        return self.outward(gathered(x, slots))

    def new_state(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def step(self, x: Tensor, ends: Tensor, active: Tensor, state: Any) -> Tensor:
        """``x (b, 1, d)``: the element that ends here, ``(b, 1, d_inner)``; without meaning where none does."""
        return self.outward(x)


class _Summed(nn.Module):
    """Mean (no heads) and Weigh: sums of weighted slots over sums of weights."""

    def __init__(self, width: int, inner: int, heads: int | None) -> None:
        super().__init__()
        self.width = width
        self.scores = None if heads is None else nn.Linear(width, heads)
        self.outward = nn.Linear(width, inner, bias=False)

    def _weighted(self, x: Tensor) -> Tensor:
        """Each slot times its weights, and the weights behind, ``(b, n, d + heads)``."""
        if self.scores is None:
            return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)
        weights = torch.exp(torch.tanh(self.scores(x) / _CAP) * _CAP)
        spread = weights.repeat_interleave(self.width // weights.shape[-1], dim=-1)
        return torch.cat([x * spread, weights], dim=-1)

    def _element(self, sums: Tensor) -> Tensor:
        total, weights = sums.split([self.width, sums.shape[-1] - self.width], dim=-1)
        spread = weights.repeat_interleave(self.width // weights.shape[-1], dim=-1)
        return self.outward(total / spread.clamp(min=1e-6))

    def forward(self, x: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None) -> Tensor:
        """As ``_Last``."""
        weighted = self._weighted(x)
        belongs = cut.belongs()
        index = belongs[:, :, None].expand_as(weighted)
        sums = weighted.new_zeros(x.shape[0], cut.most + 1, weighted.shape[-1]).scatter_add(1, index, weighted)
        if state is not None:
            open_slots = belongs == cut.most
            if counts is not None:
                open_slots = open_slots & (torch.arange(x.shape[1], device=x.device) < counts[:, None])
            state["sums"] = (weighted.detach() * open_slots[:, :, None]).sum(dim=1, keepdim=True)
        return self._element(sums[:, : cut.most])

    def new_state(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """The sums of the element that has not ended."""
        extra = 1 if self.scores is None else self.scores.out_features
        return {"sums": torch.zeros(batch, 1, self.width + extra, dtype=like.dtype, device=like.device)}

    def step(self, x: Tensor, ends: Tensor, active: Tensor, state: Any) -> Tensor:
        """As ``_Last``."""
        sums = state["sums"] + self._weighted(x) * active[:, None, None]
        state["sums"] = torch.where(ends[:, None, None], torch.zeros_like(sums), sums)
        return self._element(sums)


class _Joined(nn.Module):
    """Slots before the first are zero."""

    def __init__(self, width: int, inner: int, size: int) -> None:
        super().__init__()
        self.width, self.size = width, size
        self.outward = nn.Linear(width * size, inner, bias=False)

    def forward(self, x: Tensor, cut: Cut, slots: Tensor, counts: Tensor | None, state: Any = None) -> Tensor:
        """As ``_Last``."""
        padded = F.pad(x, (0, 0, self.size - 1, 0))
        if state is not None:
            read = torch.full((x.shape[0],), x.shape[1], device=x.device) if counts is None else counts
            kept = read[:, None] + torch.arange(self.size - 1, device=x.device)
            state["recent"] = gathered(padded.detach(), kept)
        behind = max(0, cut.most * self.size - padded.shape[1])
        padded = F.pad(padded, (0, 0, 0, behind))[:, : cut.most * self.size]
        return self.outward(padded.unflatten(1, (cut.most, self.size)).flatten(2))

    def new_state(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        """The last slots but one element's."""
        return {"recent": torch.zeros(batch, self.size - 1, self.width, dtype=like.dtype, device=like.device)}

    def step(self, x: Tensor, ends: Tensor, active: Tensor, state: Any) -> Tensor:
        """As ``_Last``."""
        joined = torch.cat([state["recent"], x], dim=1)
        state["recent"] = torch.where(active[:, None, None], joined[:, 1:], state["recent"])
        return self.outward(joined.flatten(1))[:, None]
