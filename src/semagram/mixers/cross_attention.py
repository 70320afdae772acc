"""Cross-attention: slots look at a context that stands beside them (a source text, an image, another model's output).

    y_i = W_o sum_j softmax_j(scale q_i . k_j) v_j,    q = W_q x,  (k, v) = W_c context,  j over kept context positions

Attention Is All You Need (arXiv 1706.03762, section 3.2.3); grouped keys and values (2305.13245); normalised queries
and keys (2302.05442). The whole context is visible to every slot: there is no causal mask here, so nothing peeks as
long as nobody puts a canvas's future into its context. A row whose context is empty, or padding throughout, gets
exactly 0: nothing to look at is not an error.

The keys and values of the context are made once: ``new_state(context)`` keeps them, ``step`` only makes queries.
Options of self-attention (windows, biases over distance, causality) do not exist here, so none can leak in.
``reference`` is the definition; also tested against x-transformers' decoder with ``cross_attend=True``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.mixers.context import Context
from semagram.mixers.rotary import NoPositions, Rotary, rotary_tables, rotate


@dataclass(frozen=True)
class CrossAttention:
    """Every slot looks at the whole context."""

    heads: int = 4
    """Query heads."""
    head_width: int | None = None
    """Features a head; none: model width / heads."""
    key_value_heads: int | None = None
    """Heads of the context's keys and values, shared by groups of query heads; none: as many as query heads."""
    context_width: int | None = None
    """Features of the context, c; none: the model's width."""
    positions: NoPositions | Rotary = field(default_factory=NoPositions)
    """Rotary: where slots and context share coordinates, a score depends on their distance."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""

    def __post_init__(self) -> None:
        for name in ("heads", "head_width", "context_width"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"cross-attention {name} must be at least 1, got {value}.")
        if self.key_value_heads is not None and (self.key_value_heads < 1 or self.heads % self.key_value_heads != 0):
            raise UserError(
                f"cross-attention key_value_heads must divide heads ({self.heads}), got {self.key_value_heads}."
            )
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"cross-attention sharpness must be above 0 or none, got {self.sharpness}.")

    def build(self, width: int) -> CrossAttentionLayer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        if self.head_width is None and width % self.heads != 0:
            raise UserError(f"width {width} is not divisible by {self.heads} heads; change one or set head_width.")
        head_width = self.head_width or width // self.heads
        if isinstance(self.positions, Rotary) and head_width % 2 != 0:
            raise UserError(f"rotary positions need an even head width, got {head_width}.")
        return CrossAttentionLayer(self, width, head_width)


class CrossState:
    """Keys and values of a context, ``(b, h_kv, m, d_h)``, and how many slots have looked at them."""

    def __init__(self, keys: Tensor, values: Tensor, keep: Tensor | None, slots: Tensor | None) -> None:
        self.keys = keys
        self.values = values
        self.slots = slots
        self.length = 0
        # A row with nothing to look at looks at everything and is then set to 0: softmax over nothing would be NaN.
        self.empty = None if keep is None else ~keep.any(dim=1)
        self.mask = None if keep is None or self.empty is None else (keep | self.empty[:, None])[:, None, None, :]


class CrossAttentionLayer(nn.Module):
    """See ``CrossAttention``: ``(b, n, d)`` and a context -> ``(b, n, d)``."""

    def __init__(self, config: CrossAttention, width: int, head_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.key_value_heads = config.key_value_heads or config.heads
        self.head_width = head_width
        self.positions = config.positions
        self.context_width = config.context_width or width
        inner, shared = self.heads * head_width, self.key_value_heads * head_width
        self.queries = nn.Linear(width, inner, bias=False)
        self.keys_values = nn.Linear(self.context_width, 2 * shared, bias=False)
        self.outward = nn.Linear(inner, width, bias=False)
        self.normalised = config.sharpness is not None
        # As in self-attention: normalised vectors have length sqrt(d_h), so dividing by d_h leaves the cosine.
        self.scale = head_width**-0.5 if config.sharpness is None else config.sharpness / head_width

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        shared = self.key_value_heads * self.head_width
        return {"keys_values.weight": [shared, shared]}

    def output_projections(self) -> list[nn.Linear]:
        """The linear map that writes into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        return self.step(x, self.new_state(context))

    def new_state(self, context: Context) -> CrossState:
        """The context's keys and values. Raises ``UserError`` for a context of another width."""
        features = context.features
        if features.shape[-1] != self.context_width:
            raise UserError(
                f"the context has {features.shape[-1]} features, but cross-attention reads {self.context_width}; "
                f"set context_width."
            )
        shared = self.key_value_heads
        stacked = self.keys_values(features).unflatten(-1, (2 * shared, self.head_width)).transpose(1, 2)
        keys, values = stacked.split(shared, dim=1)
        return CrossState(self._placed(keys, context.coords, "the context"), values, context.keep, context.slots)

    def step(self, x: Tensor, state: CrossState) -> Tensor:
        """The coming slots, ``(b, g, d) -> (b, g, d)``: they look at the same keys, not at each other."""
        start, stop = state.length, state.length + x.shape[1]
        state.length = stop
        if state.keys.shape[2] == 0:
            return torch.zeros_like(x)
        queries = self.queries(x).unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)
        queries = self._placed(queries, None if state.slots is None else state.slots[start:stop], "the slots")
        mixed = F.scaled_dot_product_attention(
            queries,
            state.keys,
            state.values,
            attn_mask=state.mask,
            scale=self.scale,
            enable_gqa=self.key_value_heads != self.heads,
        )
        y = self.outward(mixed.transpose(1, 2).flatten(2))
        return y if state.empty is None else y.masked_fill(state.empty[:, None, None], 0.0)

    def _placed(self, x: Tensor, coords: Tensor | None, whose: str) -> Tensor:
        """``(b, h, n, d_h)`` normalised and turned."""
        if self.normalised:
            x = normalise(x)
        if not isinstance(self.positions, Rotary):
            return x
        if coords is None:
            raise UserError(f"rotary cross-attention needs the coordinates of {whose}; give them, or use NoPositions.")
        cosine, sine = rotary_tables(coords, self.head_width, self.positions.base)
        return rotate(x, cosine, sine)


def reference(queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None, scale: float) -> Tensor:
    """The definition, row by row: queries ``(b, h, n, d_h)``; keys, values ``(b, h_kv, m, d_h)``; keep ``(b, m)``."""
    groups = queries.shape[1] // keys.shape[1]
    keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
    rows = []
    for row in range(queries.shape[0]):
        kept = slice(None) if keep is None else keep[row]
        k, v = keys[row][:, kept], values[row][:, kept]
        if k.shape[1] == 0:
            rows.append(torch.zeros_like(queries[row]))
        else:
            rows.append(torch.softmax(queries[row] @ k.transpose(-1, -2) * scale, dim=-1) @ v)
    return torch.stack(rows)
