"""A trunk for the letters and one for each axis of tags, which look at each other after every layer.

The wiring of the Metadata-Enhanced (MultiGrid) Transformer. Streams are a main one, x, and one an axis, m_k. Each
layer has, with B a block of the experiment's transformer (its mixer and its feedforward) for each stream:

    x   <- B_main(x),     m_k <- B_k(m_k)
    c_k  = x + cross(x -> m_k),        c_k <- c_k + MLP(c_k)        a copy of the main stream an axis
    m_k <- m_k + cross(m_k -> c_k),    m_k <- m_k + MLP(m_k)
    x   <- mean_k c_k

``cross(a -> b)`` is multi-head attention with queries of a and keys and values of b at slots up to its own: slot t sees
the tags of slot t. Axes never meet directly. There is a head for the letters on x, and on m_k one for axis k where its
tags are asked for; where they are not, its last answer would be heard by nobody, and is not made. Tested: no peeking,
stepping equals the parallel pass, every parameter learns; ``cross`` against its definition.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts import Layout, Visibility
from semagram.layouts.axes import Crossed
from semagram.layouts.geometry import Geometry
from semagram.models.embedding import Embedding
from semagram.models.stack import INNER_SCALE, Stack
from semagram.models.transformer import Transformer


class CausalCross(nn.Module):
    """Attention of a stream to another one's slots, none further right: ``(b, n, d)`` twice -> ``(b, n, d)``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"layout.combine.heads must divide the model's width {width}, got {heads}.")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def matrices(self) -> dict[str, list[int]]:
        """Keys' and values' maps are two matrices in one weight."""
        return {"key_value.weight": [self.out.weight.shape[0]] * 2}

    def forward(self, x: Tensor, other: Tensor, seen: Tensor | None = None) -> Tensor:
        """``seen (b, n)`` bool: slots that may be looked at (a slot always sees its own)."""
        q, k, v = self._split(self.query(x)), *map(self._split, self.key_value(other).chunk(2, dim=-1))
        if seen is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            n = x.shape[1]
            causal = torch.ones(n, n, dtype=torch.bool, device=x.device).tril()
            own = torch.eye(n, dtype=torch.bool, device=x.device)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=(causal & seen[:, None, None, :]) | own)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def step(self, x: Tensor, other: Tensor, state: CrossState) -> Tensor:
        """The coming ``g`` slots."""
        start, stop = state.length, state.length + x.shape[1]
        k, v = map(self._split, self.key_value(other).chunk(2, dim=-1))
        state.keys[:, :, start:stop], state.values[:, :, start:stop] = k, v
        state.length = stop
        slots = torch.arange(stop, device=x.device)
        mask = slots[None, :] <= slots[start:, None]
        q = self._split(self.query(x))
        mixed = F.scaled_dot_product_attention(q, state.keys[:, :, :stop], state.values[:, :, :stop], attn_mask=mask)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class CrossState:
    """Keys and values ``(b, h, capacity, e)`` of the slots read."""

    def __init__(self, batch: int, capacity: int, cross: CausalCross) -> None:
        weight = cross.out.weight
        shape = batch, cross.heads, capacity, weight.shape[0] // cross.heads
        self.keys, self.values, self.length = weight.new_zeros(shape), weight.new_zeros(shape), 0


class Meeting(nn.Module):
    """One axis and the main stream look at each other: ``x, m -> copy of x, m``. ``back``: the axis answers."""

    def __init__(self, model: Transformer, heads: int, back: bool) -> None:
        super().__init__()
        width = model.width
        self.norms = nn.ModuleList(model.norm.build(width) for _ in range(6 if back else 3))
        self.to_axis, self.to_main = CausalCross(width, heads), CausalCross(width, heads) if back else None
        self.main_mlp = MLP(multiple=4.0, activation="relu").build(width)
        self.axis_mlp = MLP(multiple=4.0, activation="relu").build(width) if back else None
        self.dropout = nn.Dropout(model.dropout)

    def crosses(self) -> list[CausalCross]:
        """One, or two where the axis answers."""
        return [self.to_axis] if self.to_main is None else [self.to_axis, self.to_main]

    def forward(self, x: Tensor, m: Tensor, look: Any) -> tuple[Tensor, Tensor]:
        """``look(number, cross, a, b)`` asks a cross-attention, in parallel or in step."""
        a, b, c, *others = self.norms
        copy = x + self.dropout(look(0, self.to_axis, a(x), b(m)))
        copy = copy + self.dropout(self.main_mlp(c(copy)))
        if self.to_main is None or self.axis_mlp is None:
            return copy, m
        d, e, f = others
        m = m + self.dropout(look(1, self.to_main, d(m), e(copy)))
        return copy, m + self.dropout(self.axis_mlp(f(m)))


class CrossedState:
    """The states of all blocks and meetings."""

    def __init__(
        self, blocks: list[list[Any]], meetings: list[list[list[CrossState]]], shifts: list[Any], geometry: Geometry
    ) -> None:
        self.blocks, self.meetings, self.shifts, self.geometry = blocks, meetings, shifts, geometry
        self.length = 0


class CrossedNetwork(nn.Module):
    """See the module: packed ids ``(b, n)`` (``bundle.py``) -> logits ``(b, n, v)``."""

    def __init__(
        self,
        model: Transformer,
        vocabulary_size: int,
        sizes: tuple[int, ...],
        asked: tuple[tuple[int, int], ...],
        combine: Crossed,
        line: Layout,
    ) -> None:
        """``vocabulary_size``: letters, and after them the tags of every axis that is asked for. ``asked``: of each
        such axis the stream that is asked (0: the main one) and its tags."""
        super().__init__()
        if model.depth < 1:
            raise UserError(f"combine Crossed needs a model.depth of at least 1, got {model.depth}.")
        plain = Transformer()
        for name in ("tied", "head", "residual", "layers"):
            if getattr(model, name) != getattr(plain, name):
                raise UserError(f"combine Crossed does not read model.{name}: leave it at its default.")
        entering = model.embedding
        if entering != Embedding(positions=entering.positions, normalise=entering.normalise):
            raise UserError(
                "combine Crossed reads model.embedding's positions and normalise; leave its others as they are."
            )
        self.vocabulary_size, self.visibility = vocabulary_size, Visibility.CAUSAL
        self.sizes, self.logit_cap = sizes, model.logit_cap
        width, self.streams = model.width, 1 + len(sizes)
        self.embedding = nn.ModuleList([nn.Embedding(vocabulary_size + 1, width)])
        self.embedding.extend(nn.Embedding(size + 1, width) for size in sizes)
        self.shift = (
            None if model.shift is None else nn.ModuleList(model.shift.build(width) for _ in range(self.streams))
        )
        self.entries = None
        if entering.positions is not None:
            self.entries = nn.ModuleList(entering.build(width, line) for _ in range(self.streams))
        normed = range(self.streams if entering.normalise else 0)
        self.entry_norms = nn.ModuleList(model.norm.build(width) for _ in normed)
        self.dropout = nn.Dropout(model.dropout)
        layer = replace(model, depth=1).blocks()
        self.blocks = nn.ModuleList(
            nn.ModuleList(Stack(layer, final=False) for _ in range(self.streams)) for _ in range(model.depth)
        )
        heard = {stream for stream, _ in asked}
        self.meetings = nn.ModuleList(
            nn.ModuleList(
                Meeting(model, combine.heads, back=i < model.depth - 1 or k in heard) for k in range(1, self.streams)
            )
            for i in range(model.depth)
        )
        self.read = (0, *(stream for stream, _ in asked))
        letters = vocabulary_size - sum(size for _, size in asked)
        self.norms = nn.ModuleList(model.norm.build(width) for _ in self.read)
        self.head = nn.ModuleList(nn.Linear(width, s, bias=False) for s in (letters, *(size for _, size in asked)))
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INNER_SCALE * module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for table in self.embedding:
            nn.init.normal_(table.weight)  # type: ignore[arg-type]
        for head in self.head:
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]
        for module in self.modules():
            if isinstance(module, Stack):
                module.start_branches()
            if isinstance(module, CausalCross):
                nn.init.zeros_(module.out.weight)
            if isinstance(module, Meeting):
                for mlp in (module.main_mlp, module.axis_mlp):
                    for projection in () if mlp is None else mlp.output_projections():
                        nn.init.zeros_(projection.weight)

    def forward(self, packed: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        streams = self._entered(packed, geometry, lambda k, x: self.shift[k](x, geometry))  # type: ignore[index]
        seen = geometry.keep
        for blocks, meetings in zip(self.blocks, self.meetings, strict=True):
            streams = [block(x, geometry) for block, x in zip(blocks, streams, strict=True)]  # type: ignore[arg-type]
            streams = _met(meetings, streams, lambda axis, number, cross, a, b: cross(a, b, seen))  # type: ignore[arg-type]
        return self._logits(streams)

    def new_state(self, batch: int, geometry: Geometry) -> CrossedState:
        """Nothing read yet."""
        blocks = [[block.new_state(batch, geometry) for block in layer] for layer in self.blocks]  # type: ignore[operator]
        meetings = [
            [[CrossState(batch, geometry.count, cross) for cross in m.crosses()] for m in layer]  # type: ignore[operator, union-attr]
            for layer in self.meetings
        ]
        shifts = [] if self.shift is None else [s.new_state(batch, geometry.count) for s in self.shift]  # type: ignore[operator]
        return CrossedState(blocks, meetings, shifts, geometry)

    def step(self, packed: Tensor, state: CrossedState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        geometry, shifts = state.geometry, state.shifts
        part = geometry.narrow(state.length, packed.shape[1])
        streams = self._entered(packed, part, lambda k, x: self.shift[k].step(x, geometry, shifts[k]))  # type: ignore[index, union-attr]
        for layer, (blocks, meetings) in enumerate(zip(self.blocks, self.meetings, strict=True)):
            kept = state.blocks[layer]
            streams = [block.step(x, s) for block, x, s in zip(blocks, streams, kept, strict=True)]  # type: ignore[arg-type, union-attr]
            crossed = state.meetings[layer]
            streams = _met(
                meetings,  # type: ignore[arg-type]
                streams,
                lambda axis, number, cross, a, b, crossed=crossed: cross.step(a, b, crossed[axis][number]),
            )
        state.length += packed.shape[1]
        return self._logits(streams)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract of models."""
        return take_auxiliary_losses(self)

    def _entered(self, packed: Tensor, part: Geometry, shifted: Any) -> list[Tensor]:
        count = self.vocabulary_size + 1
        ids, code = [packed % count], packed // count
        for size in self.sizes:
            ids.append(code % (size + 1))
            code = code // (size + 1)
        streams = [table(i) for table, i in zip(self.embedding, ids, strict=True)]
        if self.entries is not None:
            streams = [entry(x, part, None) for entry, x in zip(self.entries, streams, strict=True)]
        if self.shift is not None:
            streams = [shifted(k, x) for k, x in enumerate(streams)]
        if len(self.entry_norms):
            streams = [norm(x) for norm, x in zip(self.entry_norms, streams, strict=True)]
        return [self.dropout(x) for x in streams]

    def _logits(self, streams: list[Tensor]) -> Tensor:
        parts = zip(self.read, self.norms, self.head, strict=True)
        logits = torch.cat([head(norm(streams[stream])) for stream, norm, head in parts], dim=-1)
        if self.logit_cap is not None:
            logits = torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap
        return logits


def _met(meetings: nn.ModuleList, streams: list[Tensor], look: Any) -> list[Tensor]:
    """All axes meet the main stream; the copies are averaged back."""
    copies, axes = [], []
    for axis, (meeting, m) in enumerate(zip(meetings, streams[1:], strict=True)):
        copy, m = meeting(streams[0], m, lambda *what, axis=axis: look(axis, *what))
        copies.append(copy)
        axes.append(m)
    return [torch.stack(copies).mean(dim=0), *axes]
