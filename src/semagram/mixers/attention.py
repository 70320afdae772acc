"""Multi-head attention: a pipeline of parts, through torch's fused kernel wherever no part needs to see the scores.

Attention Is All You Need (arXiv 1706.03762); rotary (2104.09864); QK-norm (2302.05442); grouped-query
attention (2305.13245). Queries, keys and values come from one projection; queries and keys are normalised and
turned together, since on a CPU the number of small operations costs as much as their size. The other parts stand in
``attention_parts``, each with its paper; ``Attention.kernel`` says which way a configuration takes, and why.

The causal path gives the kernel its flag and never a mask. ``reference`` is the definition, in float64 if asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.attention_parts import kernel
from semagram.mixers.attention_parts.biases import Bias
from semagram.mixers.attention_parts.causal_rows import causal_rows, fits
from semagram.mixers.attention_parts.forgetting import Forgetting
from semagram.mixers.attention_parts.gains import QueryKeyGains
from semagram.mixers.attention_parts.open_scores import OpenScores, Projected
from semagram.mixers.attention_parts.output_gate import OutputGate
from semagram.mixers.attention_parts.reach import Everything, Reach
from semagram.mixers.attention_parts.single_slot import single_slot
from semagram.mixers.attention_parts.sinks import Sink
from semagram.mixers.attention_parts.state import KeyValueState, WindowState
from semagram.mixers.attention_parts.talking import TalkingHeads
from semagram.mixers.attention_parts.value_residual import ValueResidual
from semagram.mixers.attention_parts.weights import Softmax, Weights
from semagram.mixers.rotary import NoPositions, Rotary, head_tables, rotate_first
from semagram.mixers.single import Single


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
    """How order and distance turn queries and keys."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""
    gains: Literal["none", "heads", "features", "both"] = "none"
    """Learned factors of normalised queries and keys: one a head (queries only), one a feature, or both."""
    scale: float | None = None
    """Factor of plain products, where sharpness is none; none: 1 / sqrt(head width)."""
    input_bias: bool = False
    """Add a learned bias to queries, keys and values."""
    output_bias: bool = False
    """Add a learned bias to the result."""
    bias: Bias | None = None
    """What distance, or where the two stand, adds to the scores; none: nothing."""
    forgetting: Forgetting | None = None
    """Let scores fade with distance at a rate that depends on the text; none: do not."""
    score_cap: float | None = None
    """Soft limit of the scores before biases, cap * tanh(score / cap); none: no limit."""
    reach: Reach = field(default_factory=Everything)
    """How far a slot sees."""
    weights: Weights = field(default_factory=Softmax)
    """How scores become weights."""
    selective: bool = False
    """Let a slot tell all later ones to leave a key alone."""
    sink: Sink | None = None
    """Where attention may rest when it wants nothing; none: nowhere."""
    value_residual: ValueResidual | None = None
    """Mix every layer's values with those of the first layer; none: do not."""
    gate: OutputGate | None = None
    """Let each slot decide how much it takes of what it gathered; none: all."""
    talking: TalkingHeads | None = None
    """Let heads mix their scores and weights; none: each for itself."""
    dropout: float = 0.0
    """Share of the weights zeroed in training, the rest scaled up (arXiv 1706.03762)."""

    reads_pairs = True
    """What the caller says of pairs and a prefix (``Geometry``) is heeded."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"attention heads must be at least 1, got {self.heads}.")
        if self.head_width is not None and self.head_width < 1:
            raise UserError(f"attention head_width must be at least 1 or none, got {self.head_width}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"attention sharpness must be above 0 or none, got {self.sharpness}.")
        if self.key_value_heads is not None and (self.key_value_heads < 1 or self.heads % self.key_value_heads != 0):
            raise UserError(f"attention key_value_heads must divide heads ({self.heads}), got {self.key_value_heads}.")
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"attention dropout must be from 0 up to, not including, 1; got {self.dropout}.")
        kernel.refuse_idle(self)

    def visibilities(self) -> frozenset[Visibility]:
        """A slot sees itself, so what stands in it must be allowed: not OTHERS. Some parts look back only."""
        back = kernel.looks_back(self)
        return frozenset({Visibility.CAUSAL} if back else {Visibility.CAUSAL, Visibility.FULL})

    def kernel(self) -> kernel.Kernel:
        """Which way this configuration goes (fused or not), and what keeps it from the fused kernel."""
        return kernel.of(self)

    def build(self, width: int) -> AttentionMixer:
        """The module; refuses a width that heads do not divide, and odd head widths under rotary."""
        if self.head_width is None and width % self.heads != 0:
            raise UserError(f"width {width} is not divisible by {self.heads} heads; change one or set head_width.")
        head_width = self.head_width or width // self.heads
        if isinstance(self.positions, Rotary):
            self.positions.turned(head_width)
        return AttentionMixer(self, width, head_width)


class AttentionMixer(nn.Module):
    """See ``Attention``."""

    def __init__(self, config: Attention, width: int, head_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.key_value_heads = config.key_value_heads or config.heads
        self.head_width = head_width
        self.positions = config.positions
        self.sizes = (self.heads * head_width, self.key_value_heads * head_width)
        self.inward = nn.Linear(width, self.sizes[0] + 2 * self.sizes[1], bias=config.input_bias)
        self.outward = nn.Linear(self.sizes[0], width, bias=config.output_bias)
        for bias in (self.inward.bias, self.outward.bias):
            if bias is not None:
                nn.init.zeros_(bias)
        self.dropout = config.dropout
        self.normalised = config.sharpness is not None
        # Normalised vectors have length sqrt(d_h), so that dividing their product by d_h leaves the cosine.
        plain = head_width**-0.5 if config.scale is None else config.scale
        self.scale = plain if config.sharpness is None else config.sharpness / head_width
        self.turned = config.positions.turned(head_width) if isinstance(config.positions, Rotary) else 0
        self.gains = None
        if config.gains != "none":
            self.gains = QueryKeyGains(config.gains, self.heads, self.key_value_heads, head_width)
        self.direct = config.kernel().name == "fused"
        plainly_turned = self.turned in (0, head_width) and not kernel.looks_back(config)
        extras = (config.gate, config.value_residual, self.gains, self.inward.bias, self.outward.bias)
        self.quick = self.direct and plainly_turned and all(extra is None for extra in extras)
        self.in_rows = self.quick and kernel.trains_in_rows(config)
        self.value_mix = None
        if config.value_residual is not None:
            self.value_mix = config.value_residual.build(width, self.key_value_heads)
        self.open = OpenScores(config, width, self.heads, self.key_value_heads, head_width, self.scale)
        self.gate = None if config.gate is None else config.gate.build(width, self.heads, head_width)

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.sizes[0], self.sizes[1], self.sizes[1]]}

    def output_projections(self) -> list[nn.Linear]:
        """The linear maps that write into the residual stream."""
        return [self.outward]

    @property
    def leaves_values(self) -> bool:
        """True where layers share values within a call: a stack must open the geometry's board for it."""
        return self.value_mix is not None

    def comes_first(self) -> None:
        """Told by the stack that no layer before this one has values: it has nothing to mix, and no weights for it."""
        if self.value_mix is not None:
            self.value_mix.share = None

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        stacked = self.inward(x)
        if self.in_rows and fits(stacked, geometry):
            return self.outward(causal_rows(stacked, self._rotary(geometry), self.heads, self.scale, self.normalised))
        parts = self._parts(stacked, x, geometry)
        if not self.direct or geometry.rules:
            mixed = self.open.whole(parts, x, geometry)
        elif geometry.keep is None:
            mixed = self._attend(parts.queries, parts.keys, parts.values, mask=None, causal=geometry.causal)
        else:
            mask = padding_mask(geometry)
            mixed = self._attend(parts.queries, parts.keys, parts.values, mask=mask, causal=False)
        return self._result(mixed, x)

    def new_state(self, batch: int, capacity: int) -> KeyValueState | WindowState:
        """Room for the keys and values of a whole canvas, or of a window."""
        if self.quick:
            sizes = (batch, self.key_value_heads, capacity, self.head_width)
            return KeyValueState(*sizes, self.inward.weight, turned=True)
        return self.open.new_state(batch, capacity, self.inward.weight)

    def step(self, x: Tensor, geometry: Geometry, state: KeyValueState | WindowState) -> Tensor:
        """The coming ``g`` slots, ``(b, g, d) -> (b, g, d)``."""
        parts = self._project(x, geometry)
        if not self.direct or geometry.rules:
            return self._result(self.open.step(parts, x, geometry, state), x)
        assert isinstance(state, KeyValueState)
        known, coming = state.length, x.shape[1]
        keys, values = state.append(parts.keys, parts.values)
        mask = None
        if coming > 1 and known > 0:
            mask = torch.ones(coming, known + coming, dtype=torch.bool, device=x.device).tril(known)
        mixed = self._attend(parts.queries, keys, values, mask, causal=coming > 1 and known == 0)
        return self._result(mixed, x)

    def single(self, state: Any, geometry: Geometry) -> Single:
        """``step`` for one slot a row, added to the residual stream (see ``mixers/single.py``)."""
        if self.quick and not geometry.rules:
            tables = self._rotary(geometry)
            return single_slot(self, state, None if tables is None else (tables[0][:, 0], tables[1][:, 0]))
        step = self.step
        return lambda x, residual: residual + step(x[:, None], geometry.narrow(state.length, 1), state)[:, 0]

    def _rotary(self, geometry: Geometry) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines ``(n, 1 or h + h_kv, turned)``, or None without rotary positions."""
        if not isinstance(self.positions, Rotary):
            return None
        positions, heads = self.positions, (self.heads, self.key_value_heads)
        cosine, sine = geometry.table(
            ("rotary", self.turned, positions, heads), lambda coords: head_tables(coords, self.turned, positions, heads)
        )
        return cosine, sine

    def _project(self, x: Tensor, geometry: Geometry) -> Projected:
        """Queries ``(b, h, n, d_h)``, keys and values ``(b, h_kv, n, d_h)``, normalised and turned."""
        return self._parts(self.inward(x), x, geometry)

    def _parts(self, stacked: Tensor, x: Tensor, geometry: Geometry) -> Projected:
        """``_project`` from the projection ``(b, n, (h + 2 h_kv) d_h)`` on."""
        both = self.heads + self.key_value_heads
        turned, values = stacked.unflatten(-1, (-1, self.head_width)).split([both, self.key_value_heads], dim=2)
        if self.normalised:
            turned = normalise(turned)
        if self.gains is not None:
            turned = turned * self.gains()
        before = turned
        if (tables := self._rotary(geometry)) is not None:
            turned = rotate_first(turned, *tables)
        queries, keys = turned.transpose(1, 2).split([self.heads, self.key_value_heads], dim=1)
        unturned = queries if before is turned else before[:, :, : self.heads].transpose(1, 2)
        values = values.transpose(1, 2)
        if self.value_mix is not None:
            values = self.value_mix(values, x, geometry)
        return Projected(queries, keys, values, unturned)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        grouped = self.key_value_heads != self.heads
        dropped = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=mask,
            dropout_p=dropped,
            is_causal=causal,
            scale=self.scale,
            enable_gqa=grouped,
        )

    def _result(self, mixed: Tensor, x: Tensor) -> Tensor:
        """``(b, h, n, d_h) -> (b, n, d)``."""
        mixed = mixed.transpose(1, 2)
        if self.gate is not None:
            mixed = self.gate(mixed, x)
        return self.outward(mixed.flatten(2))


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
