"""From token embeddings to the elements of every level: each sums up the last c tokens, never a later one.

| kind | element of level (c, s) at token t = m s | peer or source |
|---|---|---|
| Convolve | W2 silu(W1 [x_{t-c+1} ... x_t]), padded on the left | simple-hierarchical-transformer |
| AttendBack | softmax(q(x_t) k(x_j) + distance) v(x_j) over j = t-c+1 .. t | attention pooling (arXiv 2110.13711) |
| Pyramid | linear map of layer log2 c of an encoder that all levels share | WaveNet (1609.03499) |

The encoder's layers have kernel 2 and dilation 1, 2, 4 ...; with the loss ``Reconstruct`` it is a small autoencoder.
A level of factor 1 is the embedding itself, through a linear map where widths differ. Tested against loops over
windows, and Convolve against the installed package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semagram.errors import UserError
from semagram.models.hierarchical_level import Level


@dataclass(frozen=True)
class Convolve:
    """A causal convolution over the tokens of each element, then a linear map."""

    hidden: int | None = None
    """Features between the two; none: the level's width."""

    def __post_init__(self) -> None:
        if self.hidden is not None and self.hidden < 1:
            raise UserError(f"compress hidden must be at least 1 or none, got {self.hidden}.")

    def build(self, width: int, levels: Sequence[Level]) -> Compressor:
        """For embeddings of ``width``."""
        return Compressor(
            width,
            levels,
            [_Convolved(width, level, self.hidden or level.width) for level in levels if level.factor > 1],
        )


@dataclass(frozen=True)
class AttendBack:
    """The last token of each element looks at all of its tokens."""

    heads: int = 4
    """Heads; they divide the width of every level."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"compress heads must be at least 1, got {self.heads}.")

    def build(self, width: int, levels: Sequence[Level]) -> Compressor:
        """For embeddings of ``width``; refuses level widths that heads do not divide."""
        for level in levels:
            if level.factor > 1 and level.width % self.heads != 0:
                raise UserError(f"compress heads {self.heads} must divide the width of every level, got {level.width}.")
        return Compressor(width, levels, [_Attended(width, level, self.heads) for level in levels if level.factor > 1])


@dataclass(frozen=True)
class Pyramid:
    """One small encoder for all levels; factors must be powers of two."""

    hidden: int | None = None
    """Features of its layers; none: the width of the embedding."""

    def __post_init__(self) -> None:
        if self.hidden is not None and self.hidden < 1:
            raise UserError(f"compress hidden must be at least 1 or none, got {self.hidden}.")

    def build(self, width: int, levels: Sequence[Level]) -> Compressor:
        """For embeddings of ``width``; refuses factors that are no powers of two."""
        for level in levels:
            if level.factor & (level.factor - 1):
                raise UserError(
                    f"a Pyramid doubles from layer to layer: factors are powers of two, got {level.factor}."
                )
        most = max((level.factor for level in levels), default=1)
        shared = _Encoder(width, self.hidden or width, most.bit_length() - 1) if most > 1 else None
        made = [_FromLayer(shared, level) for level in levels if level.factor > 1 and shared is not None]
        return Compressor(width, levels, made, shared)


Compress = Convolve | AttendBack | Pyramid


class CompressorState:
    """The last tokens' embeddings, ``(b, longest factor - 1, d)``, zero before the beginning."""

    def __init__(self, batch: int, length: int, width: int, like: Tensor) -> None:
        self.recent = torch.zeros(batch, length, width, dtype=like.dtype, device=like.device)
        self.count = 0


class Compressor(nn.Module):
    """``(b, n, d) ->`` for each level ``(b, ceil(n / s), d_l)``."""

    def __init__(self, width: int, levels: Sequence[Level], made: list[Any], shared: nn.Module | None = None) -> None:
        super().__init__()
        self.width, self.levels = width, tuple(levels)
        self.shared = shared
        rest = iter(made)
        self.parts = nn.ModuleList(_plain(width, level) if level.factor == 1 else next(rest) for level in levels)
        self.longest = max((level.factor for level in levels), default=1)

    def forward(self, x: Tensor, state: CompressorState | None = None) -> list[Tensor]:
        """All elements; a fresh ``state`` is filled."""
        if state is not None:
            keep = self.longest - 1
            state.recent = F.pad(x, (0, 0, keep, 0))[:, x.shape[1] :].detach()
            state.count = x.shape[1]
        maps = None if self.shared is None else self.shared(x)
        made = []
        for level, part in zip(self.levels, self.parts, strict=True):
            if level.factor == 1:
                made.append(part(x))
            else:
                made.append(part(x if maps is None else maps, x.shape[1], 0))
        return made

    def new_state(self, batch: int) -> CompressorState:
        """Nothing read."""
        return CompressorState(batch, self.longest - 1, self.width, next(self.parameters(), torch.zeros(())))

    def step(self, x: Tensor, state: CompressorState) -> list[Tensor | None]:
        """One token's embedding ``(b, 1, d)``: the elements ``(b, 1, d_l)`` that end there, None where none does."""
        joined = torch.cat([state.recent, x], dim=1)
        slot, state.count = state.count, state.count + 1
        state.recent = joined[:, 1:] if self.longest > 1 else state.recent
        due = [slot % level.stride == 0 for level in self.levels]
        maps = None
        if self.shared is not None and any(d for d, level in zip(due, self.levels, strict=True) if level.factor > 1):
            # What stands before the first slot is nothing, and must be nothing in every layer of the pyramid.
            known = joined[:, max(0, joined.shape[1] - 1 - slot) :]
            maps = self.shared(known)
        made: list[Tensor | None] = []
        for level, part, now in zip(self.levels, self.parts, due, strict=True):
            if not now:
                made.append(None)
            elif level.factor == 1:
                made.append(part(x))
            elif maps is not None:
                made.append(part([m[:, -1:] for m in maps], 1, 0))
            else:
                made.append(part(joined[:, joined.shape[1] - level.factor :], 1, slot))
        return made


def _plain(width: int, level: Level) -> nn.Module:
    return nn.Identity() if width == level.width else nn.Linear(width, level.width, bias=False)


MOST_COPIES = 8
"""Windows that a token may be copied into; beyond, slices are multiplied where they lie."""


def of_slices(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """The convolution of ``x (b, n, d)`` with ``weight (hidden, c d)`` as a sum over places in the window."""
    taps = weight.split(x.shape[-1], dim=1)
    elements = (x.shape[1] - len(taps)) // stride + 1
    hidden = bias
    for offset, tap in enumerate(taps):
        hidden = hidden + F.linear(x[:, offset : offset + (elements - 1) * stride + 1 : stride], tap)
    return hidden


class Windows(torch.autograd.Function):
    """``(b, n, d) -> (b, m, c d)``: windows of ``c`` slots, ``s`` apart; the way back adds in place."""

    @staticmethod
    def forward(ctx, x: Tensor, c: int, s: int) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Copies."""
        ctx.sizes = (x.shape, c, s)
        return x.unfold(1, c, s).transpose(2, 3).flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):  # type: ignore[no-untyped-def, override]
        """Place by place in the window."""
        shape, c, s = ctx.sizes
        dx = dy.new_zeros(shape)
        for offset, part in enumerate(dy.unflatten(2, (c, -1)).unbind(2)):
            dx[:, offset : offset + (part.shape[1] - 1) * s + 1 : s] += part
        return dx, None, None


class _Convolved(nn.Module):
    """The convolution as one product of windows; where each token is in many, as a sum of ``c`` products of slices."""

    def __init__(self, width: int, level: Level, hidden: int) -> None:
        super().__init__()
        self.factor, self.stride = level.factor, level.stride
        self.inward = nn.Linear(level.factor * width, hidden)
        self.outward = nn.Linear(hidden, level.width)

    def forward(self, x: Tensor, count: int, before: int) -> Tensor:
        """``(b, n, d) -> (b, m, d_l)``. A single window of ``c`` slots (stepping) gives one element."""
        c, s = self.factor, self.stride
        if count == 1 and x.shape[1] == c:
            return self.outward(F.silu(self.inward(x.flatten(1))))[:, None]
        elements = -(-count // s)
        x = F.pad(x, (0, 0, c - 1, 0))
        if s == c:
            hidden = self.inward(x[:, : elements * c].unflatten(1, (elements, c)).flatten(2))
        elif c <= MOST_COPIES * s and not torch.compiler.is_compiling():
            hidden = F.linear(Windows.apply(x, c, s), self.inward.weight, self.inward.bias)  # type: ignore[arg-type]
        else:
            hidden = of_slices(x, self.inward.weight, self.inward.bias, s)
        return self.outward(F.silu(hidden))

    def flops(self, args: tuple[Any, ...]) -> int:
        """Of a call, beside those of the modules that it calls: the products of windows."""
        batch, slots = args[0].shape[:2]
        return 0 if self.stride == self.factor else 2 * batch * -(-slots // self.stride) * self.inward.weight.numel()


class _Attended(nn.Module):
    """The query is the last token's; a learned number a head and distance is added to the scores."""

    def __init__(self, width: int, level: Level, heads: int) -> None:
        super().__init__()
        self.factor, self.stride, self.heads = level.factor, level.stride, heads
        self.query = nn.Linear(width, level.width, bias=False)
        self.look = nn.Linear(width, 2 * level.width, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, level.factor))
        self.outward = nn.Linear(level.width, level.width, bias=False)

    def matrices(self) -> dict[str, list[int]]:
        """Keys and values are stacked."""
        return {"look.weight": [self.look.out_features // 2] * 2}

    def forward(self, x: Tensor, count: int, before: int) -> Tensor:
        """``(b, n, d) -> (b, m, d_l)``; ``before``: slots that stand before the last of a single window (stepping)."""
        c, s = self.factor, self.stride
        one = count == 1 and x.shape[1] == c
        last = x[:, -1:] if one else x[:, ::s]
        elements = last.shape[1]
        if not one:
            x = F.pad(x, (0, 0, c - 1, 0))
        queries = self.query(last).unflatten(-1, (self.heads, -1))
        windows = self.look(x).unfold(1, c, s)[:, :elements].unflatten(2, (2, self.heads, -1))
        keys, values = windows.unbind(2)  # (b, m, h, d_h, c)
        scores = torch.einsum("bmhd,bmhdc->bmhc", queries, keys) * queries.shape[-1] ** -0.5 + self.distance
        at = torch.arange(elements, device=x.device) * s + before
        stands = torch.arange(c, device=x.device) >= c - 1 - at[:, None]
        weights = torch.softmax(scores.masked_fill(~stands[:, None, :], float("-inf")), dim=-1)
        return self.outward(torch.einsum("bmhc,bmhdc->bmhd", weights, values).flatten(2))

    def flops(self, args: tuple[Any, ...]) -> int:
        """Of a call, beside those of the modules that it calls: scores and weighted values."""
        batch, slots = args[0].shape[:2]
        return 4 * batch * -(-slots // self.stride) * self.factor * self.outward.in_features


class _Encoder(nn.Module):
    """Layer i joins what it has read up to a token with what it had read 2^i tokens before."""

    def __init__(self, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2 * (width if i == 0 else hidden), hidden) for i in range(layers))

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(b, n, d) ->`` the maps that have seen 2, 4, 8 ... tokens, each ``(b, n, hidden)``."""
        maps = []
        for i, layer in enumerate(self.layers):
            before = F.pad(x, (0, 0, 1 << i, 0))[:, : x.shape[1]]
            x = F.silu(layer(torch.cat([before, x], dim=-1)))
            maps.append(x)
        return maps


class _FromLayer(nn.Module):
    """A level's linear map of the encoder's layer that has seen ``c`` tokens."""

    def __init__(self, encoder: _Encoder, level: Level) -> None:
        super().__init__()
        self.layer, self.stride = level.factor.bit_length() - 2, level.stride
        self.outward = nn.Linear(encoder.layers[0].out_features, level.width)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor], count: int, before: int) -> Tensor:
        """``(b, n, hidden) -> (b, m, d_l)``."""
        return self.outward(maps[self.layer][:, :: self.stride])
