"""The network of a ``Hierarchical`` config: embedding, compressor, layers of blocks and merges, head; and its state.

In stepping a level advances only at tokens where an element of it ends; the others keep their last element. A
canvas whose first tokens come at once is read in one parallel pass that fills the state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from semagram.feedforward.auxiliary import Carried, take_auxiliary_losses
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers.phased import PhasedAttention, Turns
from semagram.mixers.token_shift import TokenShiftState
from semagram.models.hierarchical_compress import CompressorState
from semagram.models.hierarchical_level import BlockState, LevelBlock
from semagram.models.hierarchical_line import Line
from semagram.models.hierarchical_losses import Health, health
from semagram.models.hierarchical_merge import MergeState, at_slots
from semagram.models.hierarchical_recurrent import PhasedRecurrence
from semagram.models.stack import INNER_SCALE

if TYPE_CHECKING:
    from semagram.models.hierarchical import Hierarchical


class HierarchicalState:
    """What every part remembers, and the positions of the whole canvas, level by level."""

    def __init__(self, geometry: Geometry, turns: list[Turns | None], compress: CompressorState) -> None:
        self.geometry, self.turns, self.compress = geometry, turns, compress
        self.shift: TokenShiftState | None = None
        self.blocks: list[list[BlockState]] = []
        self.merges: list[MergeState] = []
        self.heads: list[Tensor] = []
        """What the head reads of each level that it reads, ``(b, 1, d_l)``."""
        self.length = 0


class HierarchicalNetwork(nn.Module):
    """See ``Hierarchical``; a ``Network``."""

    def __init__(self, config: Hierarchical, vocabulary_size: int, canvas: int) -> None:
        super().__init__()
        self.vocabulary_size, self.visibility = vocabulary_size, Visibility.CAUSAL
        self.levels, self.logit_cap = config.levels, config.logit_cap
        self.read = tuple(range(len(config.levels))) if config.pooled else (config.predicting,)
        end_norm = config.end_norm or config.norm
        self.embedding = nn.Embedding(vocabulary_size + 1, config.width)
        self.shift = None if config.shift is None else config.shift.build(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.compress = config.compress.build(config.width, config.levels)
        self.made_norms = nn.ModuleList(end_norm.build(level.width) for level in config.levels)
        self.layers = nn.ModuleList(self._layer(config, canvas) for _ in range(config.depth))
        merges = range(config.depth) if len(config.levels) > 1 else ()
        self.merges = nn.ModuleList(config.merge.build(config.levels, config.receivers(i), config.norm) for i in merges)
        self.norms = nn.ModuleList(end_norm.build(config.levels[i].width) for i in self.read)
        self.head = nn.Linear(sum(config.levels[i].width for i in self.read), vocabulary_size, bias=False)
        self.losses = nn.ModuleList(loss.build(config.levels, vocabulary_size, config.width) for loss in config.losses)
        self.carried = Carried()
        self.watched = bool(config.losses)
        """Whether training should look at ``health``: an auxiliary loss may be won by collapse."""
        self._initialise()

    def _layer(self, config: Hierarchical, canvas: int) -> nn.ModuleList:
        made: PhasedAttention | None = None
        blocks = []
        for level in config.levels:
            attention: PhasedAttention | PhasedRecurrence | None = None
            lent = made is not None
            if level.recurrence is not None:
                attention = PhasedRecurrence(level.recurrence, level.width)
            elif level.window != "none":
                attention = made or PhasedAttention(level.width, level.heads, level.features, config.sharpness)
                made = attention if config.shared_attention else None
            feedforward = config.feedforward
            if level.multiple is not None:
                feedforward = replace(feedforward, multiple=level.multiple)
            norm = None if attention is None else (level.attention_norm or config.norm).build(level.width)
            blocks.append(
                LevelBlock(
                    level.width,
                    attention,
                    feedforward.build(level.width),
                    (norm, config.norm.build(level.width)),
                    level.reach(canvas),
                    level.phases,
                    config.half_shift,
                    config.dropout,
                    lent=lent and attention is not None,
                )
            )
        return nn.ModuleList(blocks)

    def _initialise(self) -> None:
        """As the transformer: inner maps shrink their input; the head and what writes into streams start at 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INNER_SCALE * module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.embedding.weight)
        nn.init.zeros_(self.head.weight)
        for module in self.modules():
            if module is not self and hasattr(module, "output_projections"):
                for projection in module.output_projections():  # type: ignore[operator]
                    nn.init.zeros_(projection.weight)
        for compressed in self.compress.modules():
            if isinstance(compressed, nn.Linear):  # these write into nothing that is already there
                nn.init.normal_(compressed.weight, std=compressed.in_features**-0.5)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        line = Line(inputs, geometry)
        made, tops = self._run(line, None)
        logits = line.unpacked(self._logits(tops, inputs.shape[1]))
        if self.training:
            for loss in self.losses:
                self.carried.put(loss.name, loss(line.inputs, line.valid(), made, tops))  # type: ignore[arg-type]
        return logits

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """Those of the last forward pass in training, each times its weight; they are forgotten by it."""
        return take_auxiliary_losses(self)

    def health(self, inputs: Tensor, geometry: Geometry) -> dict[int, Health]:
        """For each level that sums up tokens, by number: how alike its elements are before the head."""
        with torch.no_grad():
            _, tops = self._run(Line(inputs, geometry), None)
        return {
            i: health(top) for i, (top, level) in enumerate(zip(tops, self.levels, strict=True)) if level.factor > 1
        }

    def _run(self, line: Line, state: HierarchicalState | None) -> tuple[list[Tensor], list[Tensor]]:
        """For each level its elements as they were made and as they are at the top, ``(b, m, d_l)``."""
        x = self.embedding(line.inputs)
        if self.shift is not None:
            shifted = self.shift(x, Geometry(line.geometry.coords, line.geometry.order, self.visibility))
            if state is not None and state.shift is not None:
                state.shift.last, state.shift.length = x[:, -1:].detach(), x.shape[1]
            x = shifted
        x = self.dropout(x)
        made = self.compress(x, None if state is None else state.compress)
        made = [norm(elements) for norm, elements in zip(self.made_norms, made, strict=True)]
        turns = [None if not level.attends else line.level_turns(level) for level in self.levels]
        levels, slots = made, x.shape[1]
        for i, layer in enumerate(self.layers):
            states = None if state is None else state.blocks[i]
            levels = [
                block(x, turn, None if states is None else states[j])
                for j, (block, x, turn) in enumerate(zip(layer, levels, turns, strict=True))  # type: ignore[arg-type]
            ]
            if len(self.merges):
                kept = None if state is None else state.merges[i]
                if kept is not None:
                    kept.latest = [x[:, -1:].detach() for x in levels]
                levels = self.merges[i](levels, slots, kept)
        return made, levels

    def _logits(self, tops: list[Tensor], slots: int) -> Tensor:
        read = [
            at_slots(norm(tops[i]), self.levels[i].stride, 1, slots)
            for norm, i in zip(self.norms, self.read, strict=True)
        ]
        return self._capped(self.head(read[0] if len(read) == 1 else torch.cat(read, dim=-1)))

    def _capped(self, logits: Tensor) -> Tensor:
        if self.logit_cap is None:
            return logits
        return torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap

    def new_state(self, batch: int, geometry: Geometry) -> HierarchicalState:
        """An empty state for canvases of this geometry; raises ``ValueError`` where there is padding."""
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        line = Line(torch.zeros(1, geometry.count, dtype=torch.int64, device=geometry.coords.device), geometry)
        turns = [None if not level.attends else line.level_turns(level) for level in self.levels]
        state = HierarchicalState(geometry, turns, self.compress.new_state(batch))
        if self.shift is not None:
            state.shift = self.shift.new_state(batch, geometry.count)
        for layer in self.layers:
            pairs = zip(layer, self.levels, strict=True)  # type: ignore[arg-type]
            state.blocks.append([block.new_state(batch, level.elements(geometry.count)) for block, level in pairs])
        state.merges = [MergeState(len(self.levels)) for _ in self.merges]
        return state

    def step(self, inputs: Tensor, state: HierarchicalState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``; many at once on a fresh state are one parallel pass."""
        slots = inputs.shape[1]
        if state.length == 0 and slots > 1:
            line = Line(inputs, state.geometry.narrow(0, slots))
            _, tops = self._run(line, state)
            state.heads = [norm(tops[i][:, -1:]).detach() for norm, i in zip(self.norms, self.read, strict=True)]
            state.length = slots
            return self._logits(tops, slots)
        return torch.cat([self._step_one(part, state) for part in inputs.split(1, dim=1)], dim=1)

    def _step_one(self, inputs: Tensor, state: HierarchicalState) -> Tensor:
        """``(b, 1) -> (b, 1, v)``; a level advances only when its stride says so."""
        slot, state.length = state.length, state.length + 1
        x = self.embedding(inputs)
        if self.shift is not None and state.shift is not None:
            x = self.shift.step(x, state.geometry, state.shift)
        levels = self.compress.step(x, state.compress)
        due = [x is not None for x in levels]
        levels = [None if x is None else norm(x) for norm, x in zip(self.made_norms, levels, strict=True)]
        turns = [
            None if all_turns is None or not now else all_turns.slot(slot // level.stride)
            for all_turns, level, now in zip(state.turns, self.levels, due, strict=True)
        ]
        for i, layer in enumerate(self.layers):
            for j, block in enumerate(layer):  # type: ignore[arg-type]
                if due[j]:
                    levels[j] = block.step(levels[j], turns[j], state.blocks[i][j])
            if len(self.merges):
                kept = state.merges[i]
                kept.latest = [x if now else old for x, old, now in zip(levels, kept.latest, due, strict=True)]
                levels = self.merges[i].step(due, kept)  # type: ignore[operator]
        fresh = [norm(levels[i]) if due[i] else None for norm, i in zip(self.norms, self.read, strict=True)]
        state.heads = [x if x is not None else state.heads[k] for k, x in enumerate(fresh)]
        return self._capped(self.head(torch.cat(state.heads, dim=-1)))
