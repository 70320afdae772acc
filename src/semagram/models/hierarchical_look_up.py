"""The merge ``LookUp``: a receiver looks at the last elements of every other level, and chooses.

At token t of level l the elements floor(t / s_l) - last + 1 .. floor(t / s_l) are seen: those that ended at or before
t. Scores are scaled products plus a learned number for each head, level and distance in elements; the softmax is over
all levels together. Memory grows with tokens x ``last``, not with tokens squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import Norm
from semagram.models.hierarchical_level import Level
from semagram.models.hierarchical_merge import MergeState, at_slots


@dataclass(frozen=True)
class LookUp:
    """The receiver looks at the last elements of every other level and chooses."""

    last: int = 4
    """Elements of each level that it sees."""
    heads: int = 4
    """Heads; they divide every receiver's width."""

    def __post_init__(self) -> None:
        if self.last < 1 or self.heads < 1:
            raise UserError(f"merge last and heads must be at least 1, got {self.last} and {self.heads}.")

    def build(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm) -> nn.Module:
        """For one layer; refuses widths that heads do not divide."""
        for r in receivers:
            if levels[r].width % self.heads != 0:
                raise UserError(f"merge heads {self.heads} must divide a receiver's width, got {levels[r].width}.")
        return LookedUp(levels, receivers, norm, self.last, self.heads)


class LookedUp(nn.Module):
    """See the module."""

    def __init__(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm, last: int, heads: int) -> None:
        super().__init__()
        self.strides, self.receivers = [level.stride for level in levels], tuple(receivers)
        self.last, self.heads = last, heads
        self.norms = nn.ModuleList(norm.build(level.width) for level in levels)
        self.pairs = [(r, other) for r in receivers for other in range(len(levels)) if other != r]
        self.queries = nn.ModuleList(nn.Linear(levels[r].width, levels[r].width, bias=False) for r in receivers)
        self.looks = nn.ModuleList(nn.Linear(levels[o].width, 2 * levels[r].width, bias=False) for r, o in self.pairs)
        self.outward = nn.ModuleList(nn.Linear(levels[r].width, levels[r].width, bias=False) for r in receivers)
        self.distance = nn.Parameter(torch.zeros(len(self.pairs), heads, last))

    def output_projections(self) -> list[nn.Module]:
        """What writes into the receivers."""
        return list(self.outward)

    def flops(self, args: tuple[Any, ...]) -> int:
        """Of a call, beside those of the modules that it calls: scores and weighted values."""
        levels: list[Tensor] = args[0]
        return sum(4 * levels[r].numel() * self.last for r, _ in self.pairs)

    def forward(self, levels: list[Tensor], slots: int, state: MergeState | None = None) -> list[Tensor]:
        """For each level ``(b, m, d_l)``, the same with what the receivers were told."""
        read = [norm(x) for norm, x in zip(self.norms, levels, strict=True)]
        looks = [look(read[o]) for look, (_, o) in zip(self.looks, self.pairs, strict=True)]
        if state is not None:
            state.kept = [F.pad(k, (0, 0, self.last, 0))[:, k.shape[1] :].detach() for k in looks]
            state.count = slots
        told = list(levels)
        for r in self.receivers:
            windows, counts = [], []
            for (receiver, o), look in zip(self.pairs, looks, strict=True):
                if receiver == r:
                    near = F.pad(look, (0, 0, self.last - 1, 0)).unfold(1, self.last, 1)
                    windows.append(at_slots(near.flatten(2), self.strides[o], self.strides[r], levels[r].shape[1]))
                    at = torch.arange(levels[r].shape[1], device=look.device) * self.strides[r]
                    counts.append(at // self.strides[o] + 1)
            told[r] = levels[r] + self._told(r, read[r], windows, counts)
        return told

    def step(self, due: list[bool], state: MergeState) -> list[Tensor]:
        """The same of the last elements, ``(b, 1, d_l)``."""
        slot, state.count = state.count, state.count + 1
        fresh = [slot % s == 0 for s in self.strides]
        for i, ((_, o), look) in enumerate(zip(self.pairs, self.looks, strict=True)):
            now = look(self.norms[o](state.latest[o])) if fresh[o] else None
            if len(state.kept) <= i:
                assert now is not None
                state.kept.append(now.new_zeros(now.shape[0], self.last, now.shape[2]))
            if now is not None:
                state.kept[i] = torch.cat([state.kept[i][:, 1:], now], dim=1)
        told = list(state.latest)
        for r in self.receivers:
            if due[r]:
                own = [(i, o) for i, (receiver, o) in enumerate(self.pairs) if receiver == r]
                windows = [state.kept[i].transpose(1, 2).flatten(1)[:, None] for i, _ in own]
                counts = [torch.tensor([slot // self.strides[o] + 1]) for _, o in own]
                told[r] = told[r] + self._told(r, self.norms[r](state.latest[r]), windows, counts)
        return told

    def _told(self, r: int, read: Tensor, windows: list[Tensor], counts: list[Tensor]) -> Tensor:
        """``read (b, m, d_r)``; of each other level its last elements, ``(b, m, 2 d_r * last)``, and how many stand."""
        which = self.receivers.index(r)
        queries = self.queries[which](read).unflatten(-1, (self.heads, -1))
        own = [i for i, (receiver, _) in enumerate(self.pairs) if receiver == r]
        scores, values = [], []
        for i, window, count in zip(own, windows, counts, strict=True):
            keys, value = window.unflatten(-1, (2, self.heads, -1, self.last)).unbind(2)
            score = torch.einsum("bmhd,bmhdk->bmhk", queries, keys) * queries.shape[-1] ** -0.5 + self.distance[i]
            stands = torch.arange(self.last, device=read.device) >= self.last - count.to(read.device)[:, None]
            scores.append(score.masked_fill(~stands[:, None, :], float("-inf")))
            values.append(value)
        weights = torch.softmax(torch.cat(scores, dim=-1), dim=-1)
        return self.outward[which](torch.einsum("bmhk,bmhdk->bmhd", weights, torch.cat(values, dim=-1)).flatten(2))
