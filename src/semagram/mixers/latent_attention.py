"""Multi-head latent attention: keys and values come from one narrow latent, and only that is remembered (DeepSeek-V2,
arXiv 2405.04434).

    c_j = norm(W_dkv x_j)         k_j = [W_uk c_j, rope(W_kr x_j)]         v_j = W_uv c_j
    q_i = [W_uq c'_i, rope(W_qr c'_i)]    with c'_i = norm(W_dq x_i), or x_i itself

A few features of every query and one key shared by all heads carry rotary positions ("decoupled"), since a turned key
could not be folded into the latent. A state holds ``rank + rotary_width`` numbers a slot instead of ``2 h d_h``.
Stepping never makes keys or values of the past: ``q W_uk`` meets the latents themselves, all heads sharing them, and
``W_uv`` comes after the weighted sum; that equals the pass over all slots, where making them once is cheaper.

The values are narrower than queries and keys; torch's fused kernel wants one width, so they are padded with zeros.
Tested against Hugging Face's DeepSeek-V3. It has no slots for biases, sinks or windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import RMSNorm
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.attention_parts.reach import Everything
from semagram.mixers.attention_parts.state import SlotBuffer
from semagram.mixers.attention_parts.visible import pairs_at, visible
from semagram.mixers.rotary import Rotary, rotary_tables, rotate


@dataclass(frozen=True)
class LatentAttention:
    """Every slot looks at every slot that it may see; of each only a narrow latent is remembered."""

    heads: int = 4
    """Query heads, each with keys and values of its own."""
    rank: int = 32
    """Features of the latent that keys and values are made from."""
    query_rank: int | None = None
    """Features of the latent that queries are made from; none: straight from the slot."""
    content_width: int = 16
    """Features of queries and keys, in each head, that compare what stands there."""
    rotary_width: int = 8
    """Features of queries and keys that compare where it stands; even."""
    value_width: int = 16
    """Features of values in each head."""
    positions: Rotary = field(default_factory=Rotary)
    """How the rotary features turn."""

    reads_pairs = True
    """What the caller says of pairs and a prefix (``Geometry``) is heeded."""

    def __post_init__(self) -> None:
        for name in ("heads", "rank", "content_width", "value_width"):
            if getattr(self, name) < 1:
                raise UserError(f"latent attention {name} must be at least 1, got {getattr(self, name)}.")
        if self.query_rank is not None and self.query_rank < 1:
            raise UserError(f"latent attention query_rank must be at least 1 or none, got {self.query_rank}.")
        if self.rotary_width < 2 or self.rotary_width % 2 != 0:
            raise UserError(f"latent attention rotary_width must be even and at least 2, got {self.rotary_width}.")
        if self.positions.fraction != 1.0 or self.positions.decay is not None:
            raise UserError(f"latent attention turns all of rotary_width, without decay; got {self.positions}.")

    def visibilities(self) -> frozenset[Visibility]:
        """A slot sees itself, so what stands in it must be allowed: not OTHERS."""
        return frozenset({Visibility.CAUSAL, Visibility.FULL})

    def build(self, width: int) -> LatentAttentionMixer:
        """The module."""
        return LatentAttentionMixer(self, width)


class LatentState:
    """Latents and turned keys of the slots read so far, ``(b, 1, capacity, rank + rotary_width)``."""

    def __init__(self, capacity: int) -> None:
        self.slots = SlotBuffer(capacity)

    @property
    def length(self) -> int:
        """Slots read so far."""
        return self.slots.length


class LatentAttentionMixer(nn.Module):
    """See ``LatentAttention``."""

    def __init__(self, config: LatentAttention, width: int) -> None:
        super().__init__()
        self.heads, self.rank, self.positions = config.heads, config.rank, config.positions
        self.content, self.rotary, self.values = config.content_width, config.rotary_width, config.value_width
        query = config.heads * (config.content_width + config.rotary_width)
        norm = RMSNorm(gain=True)
        self.query_down = self.query_norm = None
        if config.query_rank is not None:
            self.query_down = nn.Linear(width, config.query_rank, bias=False)
            self.query_norm = norm.build(config.query_rank)
        self.query_up = nn.Linear(config.query_rank or width, query, bias=False)
        self.down = nn.Linear(width, config.rank + config.rotary_width, bias=False)
        self.norm = norm.build(config.rank)
        self.up = nn.Linear(config.rank, config.heads * (config.content_width + config.value_width), bias=False)
        self.outward = nn.Linear(config.heads * config.value_width, width, bias=False)
        self.scale = (config.content_width + config.rotary_width) ** -0.5

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"down.weight": [self.rank, self.rotary]}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.outward]

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        content, turned, latent, key = self._project(x, geometry)
        made = self.up(latent).unflatten(-1, (self.heads, self.content + self.values)).transpose(1, 2)
        keys, values = made.split([self.content, self.values], dim=-1)
        queries = torch.cat([content, turned], dim=-1)
        keys = torch.cat([keys, key[:, None].expand(-1, self.heads, -1, -1)], dim=-1)
        mask, causal = None, geometry.causal
        if geometry.keep is not None or geometry.rules:
            numbers = torch.arange(geometry.start, geometry.start + geometry.count, device=x.device)
            mask, causal = self._mask(geometry, numbers, numbers, geometry.keep), False
        return self._result(self._attend(queries, keys, values, mask, causal))

    def new_state(self, batch: int, capacity: int) -> LatentState:
        """Room for the latents of a whole canvas; the batch is that of the first slots."""
        return LatentState(capacity)

    def step(self, x: Tensor, geometry: Geometry, state: LatentState) -> Tensor:
        """The coming ``g`` slots, ``(b, g, d) -> (b, g, d)``, without keys or values of the past."""
        content, turned, latent, key = self._project(x, geometry)
        known, coming = state.length, x.shape[1]
        if known < geometry.prefix and not known == 0 < geometry.prefix <= coming:
            raise ValueError(f"a prefix of {geometry.prefix} slots is read in one piece, not {coming} after {known}.")
        (both,) = state.slots.append(torch.cat([latent, key], dim=-1)[:, None])
        to_keys, to_values = self.up.weight.unflatten(0, (self.heads, -1)).split([self.content, self.values], dim=1)
        queries = torch.cat([content @ to_keys, turned], dim=-1)
        mask = None
        if coming > 1 or geometry.rules:
            asking = torch.arange(known, known + coming, device=x.device)
            mask = self._mask(geometry, asking, state.slots.index, None)
        latents = self._attend(queries, both, both[..., : self.rank], mask, False)
        return self._result(latents @ to_values.transpose(1, 2))

    def _project(self, x: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries ``(b, h, n, content)``, ``(b, h, n, rotary)``, latents ``(b, n, rank)``, keys ``(b, n, rotary)``."""
        inner = x
        if self.query_down is not None and self.query_norm is not None:
            inner = self.query_norm(self.query_down(x))
        queries = self.query_up(inner).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        content, turned = queries.split([self.content, self.rotary], dim=-1)
        latent, key = self.down(x).split([self.rank, self.rotary], dim=-1)
        base, scaling = self.positions.base, self.positions.scaling
        cosine, sine = geometry.table(
            ("rotary", self.rotary, base, scaling), lambda coords: rotary_tables(coords, self.rotary, base, scaling)
        )
        return content, rotate(turned, cosine, sine), self.norm(latent), rotate(key, cosine, sine)

    def _mask(self, geometry: Geometry, queries: Tensor, keys: Tensor, keep: Tensor | None) -> Tensor:
        """What the caller said of pairs and padding, as one mask."""
        may = visible(geometry, Everything(), queries, keys, keep)
        if geometry.pairs is None or geometry.pairs.dtype == torch.bool:
            return may
        return pairs_at(geometry.pairs, queries, keys).masked_fill(~may, float("-inf"))

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        width = values.shape[-1]
        if width < queries.shape[-1]:
            values = F.pad(values, (0, queries.shape[-1] - width))
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, mask, 0.0, causal, scale=self.scale, enable_gqa=keys.shape[1] != self.heads
        )
        return mixed[..., :width]

    def _result(self, mixed: Tensor) -> Tensor:
        """``(b, h, n, value) -> (b, n, d)``."""
        return self.outward(mixed.transpose(1, 2).flatten(2))
