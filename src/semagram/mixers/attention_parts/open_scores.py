"""The way of attention for everything that the bare fused kernel cannot do: masks, biases, windows, sinks.

One description serves a whole pass, the coming slots of a state, and blocks of a window: slot numbers, coordinates,
padding and running sums of queries and keys. From it come the terms that are added to the scores; then either the fused
kernel takes their sum as its mask, or ``scores.attend`` works in the open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.layouts.geometry import Geometry
from semagram.mixers.attention_parts import kernel, scores
from semagram.mixers.attention_parts.blocks import Blocks
from semagram.mixers.attention_parts.distances import distances
from semagram.mixers.attention_parts.forgetting import faded
from semagram.mixers.attention_parts.reach import Window
from semagram.mixers.attention_parts.selective import deselected, held_against
from semagram.mixers.attention_parts.state import KeyValueState, WindowState
from semagram.mixers.attention_parts.visible import minus_infinity, pairs_at, visible

if TYPE_CHECKING:
    from semagram.mixers.attention import Attention


@dataclass(frozen=True)
class Projected:
    """What the projection gives for the slots of a call."""

    queries: Tensor
    """``(b, h, n, d_h)``."""
    keys: Tensor
    """``(b, h_kv, n, d_h)``."""
    values: Tensor
    """``(b, h_kv, n, d_v)``."""
    unturned: Tensor
    """Queries before rotary positions."""


@dataclass(frozen=True)
class Sides:
    """What is known of queries and keys, in whatever shape they come."""

    queries: Tensor
    """Slot numbers ``(..., q)``."""
    keys: Tensor
    """Slot numbers ``(..., k)``."""
    query_coords: Tensor
    """``(..., q, a)``."""
    key_coords: Tensor
    """``(..., k, a)``."""
    keep: Tensor | None = None
    """Of keys, ``(b, ..., k)``."""
    sums: tuple[Tensor, Tensor] | None = None
    """Running sums of forgetting ``(b, h, ..., q, 1)`` and ``(b, h, ..., k, 1)``."""


class OpenScores(nn.Module):
    """The parts of an ``Attention`` that stand between its projection and its result."""

    def __init__(self, config: Attention, width: int, heads: int, shared: int, head_width: int, scale: float) -> None:
        super().__init__()
        self.reach = config.reach
        self.shape = (shared, head_width)
        self.normalised = config.sharpness is not None
        self.masked = not kernel.needs_scores(config)
        self.rules = scores.Rules(scale, config.weights.weigh, config.score_cap)
        self.bias = None if config.bias is None else config.bias.build(heads)
        self.bias_key = (config.bias, heads)
        self.forgetting = None if config.forgetting is None else config.forgetting.build(width, heads)
        self.selective = config.selective
        self.dropout = config.dropout
        self.talking = None if config.talking is None else config.talking.build(heads)
        self.sink = None if config.sink is None else config.sink.build(heads, shared, head_width, head_width)

    def whole(self, parts: Projected, x: Tensor, geometry: Geometry) -> Tensor:
        """All presented slots: -> ``(b, h, n, d_v)``."""
        numbers = torch.arange(geometry.start, geometry.start + geometry.count, device=x.device)
        sums = None if self.forgetting is None else self.forgetting(x, geometry.keep)
        blocks = None
        if isinstance(self.reach, Window) and not geometry.prefix:
            blocks = Blocks.of(geometry.count, self.reach.size, self.reach.dilation, geometry.causal)
        if blocks is None:
            known = None if sums is None else (sums, sums)
            sides = Sides(numbers, numbers, geometry.coords, geometry.coords, geometry.keep, known)
            select = self._selecting(sides, geometry, None) if self.selective else None
            return self._mix(parts, sides, geometry, "whole", select)
        q, k = blocks.slots(x.device)
        coords = geometry.coords[None, None]
        keep = None if geometry.keep is None else blocks.keys(geometry.keep[:, None, :, None])[:, 0, ..., 0]
        sides = Sides(
            torch.where(q < 0, q, q + geometry.start),
            torch.where(k < 0, k, k + geometry.start),
            blocks.queries(coords)[0, 0],
            blocks.keys(coords)[0, 0],
            keep,
            None if sums is None else (blocks.queries(sums), blocks.keys(sums)),
        )
        cut = Projected(
            blocks.queries(parts.queries),
            blocks.keys(parts.keys),
            blocks.keys(parts.values),
            parts.unturned if self.sink is None else blocks.queries(parts.unturned),
        )
        return blocks.back(self._mix(cut, sides, geometry, blocks))

    def new_state(self, batch: int, capacity: int, like: Tensor) -> KeyValueState | WindowState:
        """Room for a whole canvas, or for a window."""
        if isinstance(self.reach, Window):
            return WindowState(self.reach.span, capacity)
        return KeyValueState(batch, self.shape[0], capacity, self.shape[1], like)

    def step(self, parts: Projected, x: Tensor, geometry: Geometry, state: KeyValueState | WindowState) -> Tensor:
        """The coming slots: -> ``(b, h, g, d_v)``."""
        known, coming = state.length, x.shape[1]
        if known < geometry.prefix and not known == 0 < geometry.prefix <= coming:
            raise ValueError(f"a prefix of {geometry.prefix} slots is read in one piece, not {coming} after {known}.")
        notes = [geometry.coords[None, None]]
        if self.forgetting is not None:
            notes.append(self.forgetting(x, None, state.sums))
            state.sums = notes[1][:, :, -1:]
        if self.selective:
            notes.append(x.new_zeros(x.shape[0], 1, coming, 1))
        if isinstance(state, WindowState):
            keys, values, *remembered = state.slots.append(parts.keys, parts.values, *notes)
            numbers = state.slots.index
        else:
            keys, values = state.append(parts.keys, parts.values)
            remembered = state.notes.append(*notes)
            numbers = state.notes.index
        asking = torch.arange(known, known + coming, device=x.device)
        sums = None if self.forgetting is None else (notes[1], remembered[1])
        sides = Sides(asking, numbers, geometry.coords, remembered[0][0, 0], None, sums)
        select = self._selecting(sides, geometry, remembered[-1]) if self.selective else None
        return self._mix(Projected(parts.queries, keys, values, parts.unturned), sides, geometry, None, select)

    def _mix(
        self, parts: Projected, sides: Sides, geometry: Geometry, key: object, select: scores.Select | None = None
    ) -> Tensor:
        """Add up the terms and attend; tables are kept under ``key`` unless it is None."""
        added = self._added(sides, geometry, key, parts.queries)
        dropped = self.dropout if self.training else 0.0
        if self.masked and parts.queries.dim() == 4:
            mask = added[0]
            for term in added[1:]:
                mask = mask + term
            grouped = parts.queries.shape[1] != parts.keys.shape[1]
            q, k, v = parts.queries, parts.keys, parts.values
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropped, scale=self.rules.scale, enable_gqa=grouped
            )
        columns = None if self.sink is None else self.sink(parts.unturned, self.rules.scale, self.normalised)
        return scores.attend(
            parts.queries, parts.keys, parts.values, added, self.rules, columns, select, self.talking, dropped
        )

    def _selecting(self, sides: Sides, geometry: Geometry, memory: Tensor | None) -> scores.Select:
        """What selective attention does to scores; ``memory (b, 1, k, 1)`` holds the sums of earlier queries."""

        def select(found: Tensor) -> Tensor:
            keep = geometry.keep
            first = sides.keys.new_full((1,), geometry.start) if memory is None else sides.keys.new_zeros(1)
            if keep is not None:
                first = geometry.start + keep.long().argmax(dim=1)
            held = held_against(found, sides.queries, sides.keys, first)
            subtracted, sums = deselected(held, None if memory is None else memory[..., 0])
            if memory is not None:
                memory[..., 0] = sums
            return found - subtracted

        return select

    def _added(self, sides: Sides, geometry: Geometry, key: object, like: Tensor) -> list[Tensor]:
        """What is added to the scores, each term broadcasting to ``(b, h, ..., q, k)``."""

        def seen() -> tuple[Tensor]:
            may = visible(geometry, self.reach, sides.queries, sides.keys, sides.keep)
            return (minus_infinity(may, like),)

        fixed = key is not None and sides.keep is None and not geometry.rules
        (mask,) = geometry.pair_table(("seen", self.reach, key), seen) if fixed else seen()
        added = [mask]
        if self.bias is not None:
            causal = geometry.causal and not geometry.prefix
            places = getattr(self.bias, "reads_places", False)

            def apart() -> tuple[Tensor]:
                return (distances(sides.query_coords, sides.key_coords),)

            def biased() -> tuple[Tensor]:
                if places:
                    return (self.bias(sides.query_coords, sides.key_coords),)  # type: ignore[misc]
                (distance,) = geometry.pair_table(("apart", key), apart) if key is not None else apart()
                return (self.bias(distance, causal),)  # type: ignore[misc]

            kept = key is not None and not self.bias.learned
            added += geometry.pair_table(("bias", self.bias_key, key), biased) if kept else biased()
        if sides.sums is not None:
            added.append(faded(*sides.sums))
        if geometry.pairs is not None and geometry.pairs.dtype != torch.bool:
            added.append(pairs_at(geometry.pairs, sides.queries, sides.keys))
        return added
