"""Windowed attention between every a-th element of a stream, for networks that read a text at several resolutions.

A stream that sums up c tokens in every element but advances only s tokens from one to the next overlaps itself. Split
into a = c / s *phases* (elements j, j + a, j + 2 a, ...), neighbours inside a phase are exactly c tokens apart and do
not overlap, and attention inside each phase costs n^2 / (c s) instead of n^2 / s^2. Elements see themselves and
``window`` elements before them in their phase (none: all of them).

The windowed path cuts the line into blocks of at least ``window`` elements, each of which looks at itself and at the
block before: time and memory grow linearly with the length. ``reference`` is the definition, a mask over all pairs.
Rotary positions (arXiv 2104.09864) come as tables from outside, optionally with a decay (xPos, 2212.10554).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.feedforward.norms import normalise
from semagram.mixers.rotary import rotate

SMALLEST_BLOCK = 32
"""Elements of a block of the windowed path, at least: smaller products do not pay."""


@dataclass(frozen=True)
class Turns:
    """What positions do to queries and keys: tables ``(n, d_h)`` or ``(b, n, d_h)``.

    ``decay``: queries are multiplied by it and keys divided (xPos); none: neither.
    """

    cosine: Tensor
    sine: Tensor
    decay: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Turns:
        """The same change of every table."""
        decay = None if self.decay is None else change(self.decay)
        return Turns(change(self.cosine), change(self.sine), decay)

    def every(self, stride: int) -> Turns:
        """Of slots 0, stride, 2 stride ..."""
        return self.each(lambda table: table[..., ::stride, :])

    def slot(self, index: int) -> Turns:
        """Of one slot, ``(1, d_h)``."""
        return self.each(lambda table: table[..., index : index + 1, :])

    def at(self, slots: Tensor) -> Turns:
        """Of ``slots (b, m)``, for tables of either shape; gives ``(b, m, d_h)``."""

        def pick(table: Tensor) -> Tensor:
            if table.dim() == 2:
                return table[slots]
            return table.gather(1, slots[:, :, None].expand(-1, -1, table.shape[-1]))

        return self.each(pick)


class Ring:
    """Keys and values of the last elements of every phase; all rows advance together.

    ``(b, h, places, phases, d_h)``: element m stands at place ``(m // phases) % places`` of phase ``m % phases``.
    """

    def __init__(
        self, batch: int, heads: int, head_width: int, window: int | None, phases: int, capacity: int, like: Tensor
    ) -> None:
        whole = -(-capacity // phases)
        self.places = whole if window is None else min(window + 1, whole)
        self.phases = phases
        shape = (batch, heads, self.places, phases, head_width)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.count = 0

    def fill(self, keys: Tensor, values: Tensor) -> None:
        """Take the first elements of a fresh canvas, ``(b, h, m, d_h)``."""
        size, count = self.places * self.phases, keys.shape[2]
        kept = torch.arange(max(0, count - size), count, device=keys.device)
        for store, new in ((self.keys, keys), (self.values, values)):
            store.view(*store.shape[:2], size, -1)[:, :, kept % size] = new[:, :, kept].detach()
        self.count = count

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store one element, ``(b, h, 1, d_h)``; all that it sees, in any order: positions are in the keys."""
        number, phase = divmod(self.count, self.phases)
        place = number % self.places
        self.keys[:, :, place, phase] = keys[:, :, 0]
        self.values[:, :, place, phase] = values[:, :, 0]
        self.count += 1
        filled = min(number + 1, self.places)
        return self.keys[:, :, :filled, phase], self.values[:, :, :filled, phase]


class RowRing:
    """The same for one phase, where each row advances by itself."""

    def __init__(
        self, batch: int, heads: int, head_width: int, window: int | None, capacity: int, like: Tensor
    ) -> None:
        self.places = capacity if window is None else min(window + 1, capacity)
        shape = (batch, heads, self.places, head_width)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.count = torch.zeros(batch, dtype=torch.int64, device=like.device)

    def fill(self, keys: Tensor, values: Tensor, count: Tensor) -> None:
        """Take the first ``count (b,)`` elements of each row of ``(b, h, m, d_h)``."""
        last = count[:, None] - 1
        place = torch.arange(self.places, device=keys.device)
        newest = last - (last - place) % self.places  # the newest element that belongs at each place; < 0: none yet
        index = newest.clamp(min=0)[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
        self.keys.copy_(keys.detach().gather(2, index))
        self.values.copy_(values.detach().gather(2, index))
        self.count.copy_(count)

    def append(self, keys: Tensor, values: Tensor, active: Tensor, time: int) -> tuple[Tensor, Tensor, Tensor]:
        """One element in the rows that are ``active (b,)``; keys, values and which of them stand ``(b, 1, 1, places)``.

        ``time`` bounds how many any row can have, so that what is looked at does not depend on the other rows.
        """
        place = (self.count % self.places)[:, None, None, None].expand(-1, keys.shape[1], 1, keys.shape[3])
        for store, new in ((self.keys, keys), (self.values, values)):
            store.scatter_(2, place, torch.where(active[:, None, None, None], new, store.gather(2, place)))
        self.count += active
        bound = min(self.places, time)
        stands = torch.arange(bound, device=keys.device) < self.count[:, None]
        return self.keys[:, :, :bound], self.values[:, :, :bound], stands[:, None, None, :]


class PhasedAttention(nn.Module):
    """Multi-head attention whose window and phases are given with each call, so that levels may share its weights."""

    def __init__(self, width: int, heads: int, head_width: int, sharpness: float | None) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.inward = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.outward = nn.Linear(heads * head_width, width, bias=False)
        self.normalised = sharpness is not None
        self.scale = head_width**-0.5 if sharpness is None else sharpness / head_width

    def matrices(self) -> dict[str, list[int]]:
        """Rows of the matrices stacked in the inward projection."""
        return {"inward.weight": [self.heads * self.head_width] * 3}

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def forward(
        self,
        x: Tensor,
        turns: Turns,
        window: int | None,
        phases: int = 1,
        state: Ring | None = None,
        rows: tuple[RowRing, Tensor] | None = None,
    ) -> Tensor:
        """``(b, m, d) -> (b, m, d)``; a fresh state given is filled with what was read (``rows``: with the counts)."""
        queries, keys, values = self._project(x, turns)
        if state is not None:
            state.fill(keys, values)
        if rows is not None:
            rows[0].fill(keys, values, rows[1])
        count = x.shape[1]
        if phases > 1:
            queries, keys, values = (apart(t, phases) for t in (queries, keys, values))
        mixed = windowed(queries, keys, values, window, self.scale)
        if phases > 1:
            mixed = together(mixed, phases, count)
        return self.outward(mixed.transpose(1, 2).flatten(2))

    def step(self, x: Tensor, turns: Turns, state: Ring) -> Tensor:
        """The coming element, ``(b, 1, d) -> (b, 1, d)``."""
        queries, keys, values = self._project(x, turns)
        keys, values = state.append(keys, values)
        return self._one(queries, keys, values, None)

    def step_rows(self, x: Tensor, turns: Turns, state: RowRing, active: Tensor, time: int) -> Tensor:
        """The same where only some rows are ``active (b,)``; what comes out of the others means nothing."""
        queries, keys, values = self._project(x, turns)
        keys, values, stands = state.append(keys, values, active, time)
        return self._one(queries, keys, values, stands)

    def _one(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=self.scale)
        return self.outward(mixed.transpose(1, 2).flatten(2))

    def _project(self, x: Tensor, turns: Turns) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``(b, h, m, d_h)``, queries and keys normalised, turned and decayed."""
        turned, values = self.inward(x).unflatten(-1, (3 * self.heads, -1)).split([2 * self.heads, self.heads], dim=2)
        if self.normalised:
            turned = normalise(turned)
        turned = rotate(turned, turns.cosine[..., None, :], turns.sine[..., None, :])
        queries, keys = turned.split([self.heads, self.heads], dim=2)
        if turns.decay is not None:
            queries, keys = queries * turns.decay[..., None, :], keys / turns.decay[..., None, :]
        return queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)


def apart(x: Tensor, phases: int) -> Tensor:
    """``(b, h, m, d_h) -> (b * phases, h, m / phases, d_h)``, zeros behind where m is no multiple."""
    x = F.pad(x, (0, 0, 0, -x.shape[2] % phases))
    return x.unflatten(2, (-1, phases)).permute(0, 3, 1, 2, 4).flatten(0, 1)


def together(x: Tensor, phases: int, count: int) -> Tensor:
    """The way back, cut to ``count`` elements."""
    return x.unflatten(0, (-1, phases)).permute(0, 2, 3, 1, 4).flatten(2, 3)[:, :, :count]


def windowed(queries: Tensor, keys: Tensor, values: Tensor, window: int | None, scale: float) -> Tensor:
    """Causal attention to oneself and ``window`` elements before, ``(b, h, n, d_h)``."""
    n = queries.shape[2]
    size = n if window is None else max(window, min(SMALLEST_BLOCK, n))
    if window is None or window >= n - 1 or size >= n:
        if window is None or window >= n - 1:
            return F.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=scale)
        mask = banded(n, window, queries.device)
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scale)
    behind = -n % size
    blocks = (n + behind) // size
    batch, heads = queries.shape[:2]
    own = [F.pad(t, (0, 0, 0, behind)).reshape(batch * heads, blocks, size, -1) for t in (queries, keys, values)]
    both = [torch.cat([F.pad(t, (0, 0, 0, 0, 1, 0))[:, :-1], t], dim=2) for t in own[1:]]
    at = torch.arange(size, device=queries.device)[:, None]
    before = torch.arange(2 * size, device=queries.device)[None, :] - size
    near = (before <= at) & (before >= at - window)
    mask = near.repeat(1, blocks, 1, 1)  # of four axes: torch's fused kernel takes no others
    mask[:, 0] &= before >= 0
    mixed = F.scaled_dot_product_attention(own[0], *both, attn_mask=mask, scale=scale)
    return mixed.reshape(batch, heads, blocks * size, -1)[:, :, :n]


def banded(n: int, window: int | None, device: torch.device) -> Tensor:
    """Bool ``(n, n)``: which key each query sees."""
    near = torch.ones(n, n, dtype=torch.bool, device=device).tril()
    return near if window is None else near.triu(-window)


def reference(queries: Tensor, keys: Tensor, values: Tensor, window: int | None, scale: float) -> Tensor:
    """The definition of ``windowed``: a softmax over all pairs, masked."""
    scores = queries @ keys.transpose(-1, -2) * scale
    scores = scores.masked_fill(~banded(queries.shape[2], window, queries.device), float("-inf"))
    return torch.softmax(scores, dim=-1) @ values
