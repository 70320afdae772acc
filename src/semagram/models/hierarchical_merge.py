"""After each layer, levels tell each other what they have read.

Every *receiver* r gets something added at each of its tokens t; of level l it is shown element floor(t / s_l), which
ended at or before t.

| kind | what is added to receiver r | from |
|---|---|---|
| Concatenate | W2 silu(W1 norm([x_0; x_1; ...])), all receivers' parts in one | simple-hierarchical-transformer |
| GatedAdd | sum over l of sigmoid(G norm(x_r)) * W norm(x_l) | gated fusion |
| LookUp (its own file) | attention from x_r over the last elements of every other level | cross-attention |
| Separable | W (depthwise causal convolution over tokens of norm([x_0; x_1; ...])) | its first version (April 2023) |

Tested against loops over tokens; Concatenate against the installed package. Where its norm is RMSNorm no level
is repeated and nothing put side by side (``hierarchical_product.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import Norm
from semagram.feedforward.norms import RMSNormLayer
from semagram.mixers.convolution import shifted_sum
from semagram.models.hierarchical_level import Level
from semagram.models.hierarchical_product import NormedProduct


@dataclass(frozen=True)
class Concatenate:
    """All levels' features in one vector, through a small network."""

    multiple: float = 2.0
    """Hidden width as a multiple of the receivers' width."""

    def __post_init__(self) -> None:
        if not self.multiple > 0:
            raise UserError(f"merge multiple must be above 0, got {self.multiple}.")

    def build(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm) -> nn.Module:
        """For one layer."""
        return _Concatenated(levels, receivers, norm, self.multiple)


@dataclass(frozen=True)
class GatedAdd:
    """Every other level, weighted feature by feature by what the receiver knows."""

    def build(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm) -> nn.Module:
        """For one layer."""
        return _Gated(levels, receivers, norm)


@dataclass(frozen=True)
class Separable:
    """A depthwise convolution over the tokens, then a linear map."""

    kernel: int = 3
    """Tokens read, the last one included."""

    def __post_init__(self) -> None:
        if self.kernel < 1:
            raise UserError(f"merge kernel must be at least 1, got {self.kernel}.")

    def build(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm) -> nn.Module:
        """For one layer."""
        return _Separated(levels, receivers, norm, self.kernel)


def at_slots(x: Tensor, stride: int, rate: int, count: int) -> Tensor:
    """Of ``x (b, m, d)``, elements every ``stride`` tokens, those known at tokens 0, rate, 2 rate ... (``count``)."""
    if stride == rate:
        return x[:, :count]
    if stride % rate == 0:
        return x.repeat_interleave(stride // rate, dim=1)[:, :count]
    if rate % stride == 0:
        return x[:, :: rate // stride][:, :count]
    return x[:, torch.arange(count, device=x.device) * rate // stride]


class MergeState:
    """The last element of every level, and what a merge itself remembers in ``kept``."""

    def __init__(self, levels: int) -> None:
        self.latest: list[Any] = [None] * levels
        self.kept: list[Tensor] = []
        self.count = 0


class _Joined(nn.Module):
    """What Concatenate and Separable share: all levels side by side, at the coarsest pace that serves all receivers."""

    def __init__(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm, pace: int) -> None:
        super().__init__()
        self.strides = [level.stride for level in levels]
        self.receivers, self.pace = tuple(receivers), pace
        self.widths = [levels[r].width for r in receivers]
        self.norm = norm.build(sum(level.width for level in levels))

    def joined(self, levels: list[Tensor], slots: int) -> Tensor:
        count = -(-slots // self.pace)
        shown = (at_slots(x, s, self.pace, count) for x, s in zip(levels, self.strides, strict=True))
        return self.norm(torch.cat(list(shown), dim=-1))

    def added(self, levels: list[Tensor], told: Tensor, due: Sequence[bool] | None = None) -> list[Tensor]:
        """``told (b, ., sum of receivers' widths)`` to each receiver (that is due), at its own pace."""
        levels = list(levels)
        for r, part in zip(self.receivers, told.split(self.widths, dim=-1), strict=True):
            if due is None or due[r]:
                levels[r] = levels[r] + (part[:, :: self.strides[r] // self.pace] if due is None else part)
        return levels


def _shared_pace(levels: Sequence[Level], receivers: Sequence[int]) -> int:
    return reduce(gcd, (levels[r].stride for r in receivers))


class _Concatenated(_Joined):
    def __init__(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm, multiple: float) -> None:
        super().__init__(levels, receivers, norm, _shared_pace(levels, receivers))
        out = sum(self.widths)
        hidden = max(1, round(out * multiple))
        self.inward = nn.Linear(sum(level.width for level in levels), hidden)
        self.outward = nn.Linear(hidden, out)

    def output_projections(self) -> list[nn.Linear]:
        """What writes into the receivers."""
        return [self.outward]

    def forward(self, levels: list[Tensor], slots: int, state: MergeState | None = None) -> list[Tensor]:
        """For each level ``(b, m, d_l)``, the same with what the receivers were told."""
        return self.added(levels, self.outward(F.silu(self._inside(levels, slots))))

    def _inside(self, levels: list[Tensor], slots: int) -> Tensor:
        """``inward(joined(levels))``, ``(b, ., hidden)``."""
        norm = self.norm
        # Mixed precision chooses a kind of number for each operation; a product with a way back of its own evades it.
        mixed = torch.is_autocast_enabled(levels[0].device.type)
        if not isinstance(norm, RMSNormLayer) or mixed or torch.compiler.is_compiling():
            return self.inward(self.joined(levels, slots))
        count, weight = -(-slots // self.pace), self.inward.weight
        if norm.gain is not None:
            weight = weight * (norm.gain + 1.0 if norm.from_one else norm.gain)
        own, times = [], []
        for x, stride in zip(levels, self.strides, strict=True):
            slow = stride % self.pace == 0
            own.append(x if slow else at_slots(x, stride, self.pace, count))
            times.append(stride // self.pace if slow else 1)
        return NormedProduct.apply(weight, self.inward.bias, norm.epsilon, count, times, *own)  # type: ignore[return-value]

    def flops(self, args: tuple[Any, ...]) -> int:
        """Of a call, beside those of the modules that it calls: where levels are multiplied at their own pace."""
        levels: list[Tensor] = args[0]
        if not isinstance(self.norm, RMSNormLayer):
            return 0
        count = -(-args[1] // self.pace)
        rows = (x.shape[1] if s % self.pace == 0 else count for x, s in zip(levels, self.strides, strict=True))
        numbers = sum(m * x.shape[2] for m, x in zip(rows, levels, strict=True))
        return 2 * levels[0].shape[0] * numbers * self.inward.out_features

    def step(self, due: list[bool], state: MergeState) -> list[Tensor]:
        """The same of the last elements, ``(b, 1, d_l)``."""
        if not any(due[r] for r in self.receivers):
            return list(state.latest)
        joined = self.norm(torch.cat(state.latest, dim=-1))
        return self.added(state.latest, self.outward(F.silu(self.inward(joined))), due)


class _Separated(_Joined):
    def __init__(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm, kernel: int) -> None:
        super().__init__(levels, receivers, norm, 1)
        width = sum(level.width for level in levels)
        self.kernel = kernel
        self.taps = nn.Parameter(torch.randn(kernel, width) * kernel**-0.5)
        self.outward = nn.Linear(width, sum(self.widths))

    def output_projections(self) -> list[nn.Linear]:
        """What writes into the receivers."""
        return [self.outward]

    def forward(self, levels: list[Tensor], slots: int, state: MergeState | None = None) -> list[Tensor]:
        """For each level ``(b, m, d_l)``, the same with what the receivers were told."""
        padded = F.pad(self.joined(levels, slots), (0, 0, self.kernel - 1, 0))
        if state is not None:
            state.kept = [padded[:, padded.shape[1] - (self.kernel - 1) :].detach()]
        return self.added(levels, self.outward(shifted_sum(padded, self.taps)))

    def step(self, due: list[bool], state: MergeState) -> list[Tensor]:
        """The same of the last elements, ``(b, 1, d_l)``."""
        now = self.norm(torch.cat(state.latest, dim=-1))
        recent = state.kept[0] if state.kept else now.new_zeros(now.shape[0], self.kernel - 1, now.shape[2])
        padded = torch.cat([recent, now], dim=1)
        state.kept = [padded[:, 1:]]
        return self.added(state.latest, self.outward(shifted_sum(padded, self.taps)), due)


class _Gated(nn.Module):
    def __init__(self, levels: Sequence[Level], receivers: Sequence[int], norm: Norm) -> None:
        super().__init__()
        self.strides, self.receivers = [level.stride for level in levels], tuple(receivers)
        self.norms = nn.ModuleList(norm.build(level.width) for level in levels)
        pairs = [(r, other) for r in receivers for other in range(len(levels)) if other != r]
        self.pairs = pairs
        self.values = nn.ModuleList(nn.Linear(levels[o].width, levels[r].width, bias=False) for r, o in pairs)
        self.gates = nn.ModuleList(nn.Linear(levels[r].width, levels[r].width) for r, _ in pairs)

    def output_projections(self) -> list[nn.Module]:
        """What writes into the receivers."""
        return list(self.values)

    def forward(self, levels: list[Tensor], slots: int, state: MergeState | None = None) -> list[Tensor]:
        """For each level ``(b, m, d_l)``, the same with what the receivers were told."""
        read = [norm(x) for norm, x in zip(self.norms, levels, strict=True)]
        told = list(levels)
        for (r, other), value, gate in zip(self.pairs, self.values, self.gates, strict=True):
            shown = at_slots(value(read[other]), self.strides[other], self.strides[r], levels[r].shape[1])
            told[r] = told[r] + torch.sigmoid(gate(read[r])) * shown
        return told

    def step(self, due: list[bool], state: MergeState) -> list[Tensor]:
        """The same of the last elements, ``(b, 1, d_l)``."""
        told = list(state.latest)
        for (r, other), value, gate in zip(self.pairs, self.values, self.gates, strict=True):
            if due[r]:
                shown = value(self.norms[other](state.latest[other]))
                told[r] = told[r] + torch.sigmoid(gate(self.norms[r](state.latest[r]))) * shown
        return told
