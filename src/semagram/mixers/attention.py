"""Multi-head attention through torch's fused kernel, with rotary positions and normalised queries and keys.

Attention Is All You Need (arXiv 1706.03762); rotary (2104.09864); QK-norm (2302.05442); grouped-query
attention (2305.13245). Queries, keys and values come from one projection; queries and keys are normalised and
turned together, since on a CPU the number of small operations costs as much as their size.

The causal path gives the kernel its flag and never a mask. ``reference`` is the definition, in float64 if asked.
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
from semagram.mixers.rotary import NoPositions, Rotary, rotary_tables, rotate, rotations
from semagram.mixers.single import Single, transposed


@dataclass(frozen=True)
class Attention:
    """Every slot looks at every slot that it may see."""

    heads: int = 4
    """Query heads."""
    head_width: int | None = None
    """Features a head; none: model width / heads."""
    key_value_heads: int | None = None
    """Heads of keys and values, shared by groups of query heads; none: as many as query heads."""
    positions: Rotary | NoPositions = field(default_factory=Rotary)
    """How order and distance enter."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"attention heads must be at least 1, got {self.heads}.")
        if self.head_width is not None and self.head_width < 1:
            raise UserError(f"attention head_width must be at least 1 or none, got {self.head_width}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"attention sharpness must be above 0 or none, got {self.sharpness}.")
        if self.key_value_heads is not None and (self.key_value_heads < 1 or self.heads % self.key_value_heads != 0):
            raise UserError(f"attention key_value_heads must divide heads ({self.heads}), got {self.key_value_heads}.")

    def visibilities(self) -> frozenset[Visibility]:
        """A slot sees itself, so what stands in it must be allowed: not OTHERS."""
        return frozenset({Visibility.CAUSAL, Visibility.FULL})

    def build(self, width: int) -> AttentionMixer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        if self.head_width is None and width % self.heads != 0:
            raise UserError(f"width {width} is not divisible by {self.heads} heads; change one or set head_width.")
        head_width = self.head_width or width // self.heads
        if isinstance(self.positions, Rotary) and head_width % 2 != 0:
            raise UserError(f"rotary positions need an even head width, got {head_width}.")
        return AttentionMixer(self, width, head_width)


class KeyValueState:
    """Keys and values of the slots read so far, ``(b, h_kv, capacity, d_h)``, written in place."""

    def __init__(self, batch: int, heads: int, capacity: int, head_width: int, like: Tensor) -> None:
        shape = (batch, heads, capacity, head_width)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.length = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store ``(b, h_kv, g, d_h)`` and return all keys and values up to and including them."""
        stop = self.length + keys.shape[2]
        self.keys[:, :, self.length : stop] = keys
        self.values[:, :, self.length : stop] = values
        self.length = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]


class AttentionMixer(nn.Module):
    """See ``Attention``."""

    def __init__(self, config: Attention, width: int, head_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.key_value_heads = config.key_value_heads or config.heads
        self.head_width = head_width
        self.positions = config.positions
        self.sizes = (self.heads * head_width, self.key_value_heads * head_width)
        self.inward = nn.Linear(width, self.sizes[0] + 2 * self.sizes[1], bias=False)
        self.outward = nn.Linear(self.sizes[0], width, bias=False)
        self.normalised = config.sharpness is not None
        # Normalised vectors have length sqrt(d_h), so that dividing their product by d_h leaves the cosine.
        self.scale = head_width**-0.5 if config.sharpness is None else config.sharpness / head_width

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.sizes[0], self.sizes[1], self.sizes[1]]}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        queries, keys, values = self._project(x, geometry)
        if geometry.keep is None:
            mixed = self._attend(queries, keys, values, mask=None, causal=geometry.causal)
        else:
            mixed = self._attend(queries, keys, values, mask=padding_mask(geometry), causal=False)
        return self.outward(mixed.transpose(1, 2).flatten(2))

    def new_state(self, batch: int, capacity: int) -> KeyValueState:
        """Room for the keys and values of a whole canvas."""
        return KeyValueState(batch, self.key_value_heads, capacity, self.head_width, self.inward.weight)

    def step(self, x: Tensor, geometry: Geometry, state: KeyValueState) -> Tensor:
        """The coming ``g`` slots, ``(b, g, d) -> (b, g, d)``."""
        queries, keys, values = self._project(x, geometry)
        known, coming = state.length, x.shape[1]
        keys, values = state.append(keys, values)
        mask = None
        if coming > 1 and known > 0:
            mask = torch.ones(coming, known + coming, dtype=torch.bool, device=x.device).tril(known)
        mixed = self._attend(queries, keys, values, mask, causal=coming > 1 and known == 0)
        return self.outward(mixed.transpose(1, 2).flatten(2))

    def single(self, state: KeyValueState, geometry: Geometry) -> Single:
        """``step`` for one slot a row, added to the residual stream (see ``mixers/single.py``)."""
        inward, outward = transposed(self.inward.weight), transposed(self.outward.weight)
        heads, shared, width, scale = self.heads, self.key_value_heads, self.head_width, self.scale
        both, grouped, normalised = heads + shared, heads != shared, self.normalised
        # Views are made once: where each slot's keys and values go, and all that stand up to and including it.
        key_of, value_of = state.keys.unbind(2), state.values.unbind(2)
        keys_to = [state.keys[:, :, : at + 1] for at in range(len(key_of))]
        values_to = [state.values[:, :, : at + 1] for at in range(len(key_of))]
        tables = self._rotary(geometry)
        turns = None if tables is None else rotations(*tables).unbind(0)

        def one(x: Tensor, residual: Tensor) -> Tensor:
            at = state.length
            state.length = at + 1
            batch = x.shape[0]
            turned, values = torch.mm(x, inward).view(batch, both + shared, width).split([both, shared], 1)
            if normalised:
                turned = normalise(turned)
            if turns is not None:
                turned = torch.matmul(turned, turns[at])
            queries, keys = turned.split([heads, shared], 1)
            key_of[at].copy_(keys)
            value_of[at].copy_(values)
            mixed = F.scaled_dot_product_attention(
                queries.unsqueeze(2), keys_to[at], values_to[at], scale=scale, enable_gqa=grouped
            )
            return torch.addmm(residual, mixed.reshape(batch, heads * width), outward)

        return one

    def _rotary(self, geometry: Geometry) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines ``(n, d_h)``, or None without rotary positions."""
        if not isinstance(self.positions, Rotary):
            return None
        base = self.positions.base
        cosine, sine = geometry.table(
            ("rotary", self.head_width, base), lambda coords: rotary_tables(coords, self.head_width, base)
        )
        return cosine, sine

    def _project(self, x: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor]:
        """Queries ``(b, h, n, d_h)``, keys and values ``(b, h_kv, n, d_h)``, normalised and turned."""
        both = self.heads + self.key_value_heads
        stacked = self.inward(x).unflatten(-1, (both + self.key_value_heads, self.head_width))
        turned, values = stacked.split([both, self.key_value_heads], dim=2)
        if self.normalised:
            turned = normalise(turned)
        if (tables := self._rotary(geometry)) is not None:
            turned = rotate(turned, tables[0][:, None, :], tables[1][:, None, :])
        queries, keys = turned.transpose(1, 2).split([self.heads, self.key_value_heads], dim=1)
        return queries, keys, values.transpose(1, 2)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        grouped = self.key_value_heads != self.heads
        return F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal, scale=self.scale, enable_gqa=grouped
        )


def padding_mask(geometry: Geometry) -> Tensor:
    """Bool ``(b, 1, n, n)`` of what each slot may see when some slots are padding.

    A padding slot sees itself, so that no row of the softmax is empty; nobody else sees it.
    """
    assert geometry.keep is not None
    n = geometry.count
    itself = torch.eye(n, dtype=torch.bool, device=geometry.keep.device)
    mask = geometry.keep[:, None, None, :] | itself
    if geometry.causal:
        mask = mask & torch.ones(n, n, dtype=torch.bool, device=mask.device).tril()
    return mask


def reference(queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor, scale: float | None = None) -> Tensor:
    """The definition: softmax(scale q k^T) v over the visible pairs, ``visible`` bool ``(n, n)``; scale 1 / sqrt(d_h).

    Shapes ``(b, h, n, d_h)``; groups of query heads share the heads of keys and values.
    """
    groups = queries.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
    scores = queries @ keys.transpose(-1, -2) * (queries.shape[-1] ** -0.5 if scale is None else scale)
    return torch.softmax(scores.masked_fill(~visible, float("-inf")), dim=-1) @ values
