"""The network of an ``Hourglass`` config: embedding, stages around a core, head; and its state.

Rows may have their ends at different slots, so inside a stage every row advances by itself. What is computed for a row
never depends, not even in its bits, on where the others end: rows are computed together or not at all, and in
evaluation the room for elements is that of the longest possible count. In training it is the largest count there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers.phased import Turns
from semagram.mixers.token_shift import TokenShiftState
from semagram.models.hierarchical_line import Line
from semagram.models.hourglass_blocks import POSITIONS, Blocks, Moment, Places
from semagram.models.hourglass_boundaries import Cut
from semagram.models.stack import INNER_SCALE

if TYPE_CHECKING:
    from semagram.models.hourglass import Hourglass


class _Core(nn.Module):
    """What stands in the middle."""

    def __init__(self, config: Hourglass) -> None:
        super().__init__()
        self.blocks = Blocks(config, config.width, config.heads, config.depth, None)

    def forward(
        self, x: Tensor, places: Places, inputs: Tensor | None, counts: Tensor | None, state: Any = None
    ) -> Tensor:
        """``(b, m, d) -> (b, m, d)``."""
        return self.blocks(x, places, counts, None if state is None else state["blocks"])

    def new_state(self, batch: int, capacity: int) -> dict[str, Any]:
        """Nothing read."""
        return {"blocks": self.blocks.new_states(batch, capacity)}

    def step(self, x: Tensor, moment: Moment, active: Tensor, state: Any) -> Tensor:
        """One element in the ``active (b,)`` rows, ``(b, 1, d)``."""
        return self.blocks.step(x, moment, active, state["blocks"])


class _Stage(nn.Module):
    """See ``Hourglass``; ``at``: its number, from the tokens inwards."""

    def __init__(self, config: Hourglass, vocabulary_size: int, at: int) -> None:
        super().__init__()
        stage = config.stages[at]
        last = at + 1 == len(config.stages)
        inner = config.width if last else config.stages[at + 1].width
        window = stage.window if isinstance(stage.window, int) else None
        size: int | None = stage.boundaries.size if stage.window == "element" else None  # type: ignore[union-attr]
        self.before = Blocks(config, stage.width, stage.heads, stage.before, window, size)
        self.boundaries = stage.boundaries.build(vocabulary_size, stage.width)
        self.pool = stage.pool.build(stage.width, inner, stage.boundaries)
        self.inner: nn.Module = _Core(config) if last else _Stage(config, vocabulary_size, at + 1)
        self.norm = config.norm.build(inner)
        self.back = stage.back.build(stage.width, inner, stage.boundaries)
        self.after = Blocks(config, stage.width, stage.heads, stage.after, window, size)

    def forward(
        self, x: Tensor, places: Places, inputs: Tensor | None, counts: Tensor | None, state: Any = None
    ) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; ``counts (b,)``: slots of each row that are no padding, None: all."""
        part = (lambda name: None) if state is None else state.__getitem__
        x = self.before(x, places, counts, part("before"))
        cut: Cut = self.boundaries(x, inputs, counts, part("boundaries"))
        slots = cut.slots()
        elements = self.pool(x, cut, slots, counts, part("pool"))
        told = self.norm(self.inner(elements, places.inner(slots), None, cut.counts(), part("inner")))
        x = x + self.back(x, told, cut, slots, counts, part("back"))
        return self.after(x, places, counts, part("after"))

    def new_state(self, batch: int, capacity: int) -> dict[str, Any]:
        """Nothing read."""
        like = next(self.parameters())
        return {
            "before": self.before.new_states(batch, capacity),
            "boundaries": self.boundaries.new_state(batch, like),  # type: ignore[operator]
            "pool": self.pool.new_state(batch, like),  # type: ignore[operator]
            "inner": self.inner.new_state(batch, capacity),  # type: ignore[operator]
            "back": self.back.new_state(batch, like),  # type: ignore[operator]
            "after": self.after.new_states(batch, capacity),
        }

    def step(self, x: Tensor, moment: Moment, active: Tensor, state: Any) -> Tensor:
        """One slot in the ``active (b,)`` rows, ``(b, 1, d)``; what is inside advances where an element ends."""
        x = self.before.step(x, moment, active, state["before"])
        ends, chance = self.boundaries.step(x, moment.inputs, active, state["boundaries"])  # type: ignore[operator]
        element = self.pool.step(x, ends, active, state["pool"])  # type: ignore[operator]
        told = None
        if bool(ends.any()):
            told = self.norm(self.inner.step(element, moment, ends, state["inner"]))  # type: ignore[operator]
        x = x + self.back.step(x, told, ends, chance, active, state["back"])  # type: ignore[operator]
        return self.after.step(x, moment, active, state["after"])


class HourglassState:
    """What every part remembers, and the tables of the whole canvas by head width."""

    def __init__(self, geometry: Geometry, turns: dict[int, Turns], stage: dict[str, Any], batch: int) -> None:
        self.geometry, self.turns, self.stage = geometry, turns, stage
        self.shift: TokenShiftState | None = None
        self.active = torch.ones(batch, dtype=torch.bool, device=geometry.coords.device)
        self.length = 0


class HourglassNetwork(nn.Module):
    """See ``Hourglass``; a ``Network``."""

    def __init__(self, config: Hourglass, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size, self.visibility = vocabulary_size, Visibility.CAUSAL
        self.logit_cap = config.logit_cap
        width = config.stages[0].width
        self.head_widths: Sequence[int] = sorted(
            {stage.width // stage.heads for stage in config.stages} | {config.width // config.heads}
        )
        self.embedding = nn.Embedding(vocabulary_size + 1, width)
        self.shift = None if config.shift is None else config.shift.build(width)
        self.embedding_norm = config.norm.build(width)
        self.dropout = nn.Dropout(config.dropout)
        self.stage = _Stage(config, vocabulary_size, 0)
        self.norm = config.norm.build(width)
        self.head = nn.Linear(width, vocabulary_size, bias=False)
        self._initialise()

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
            if hasattr(module, "begin"):
                module.begin()  # type: ignore[operator]

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        line = Line(inputs, geometry)
        return line.unpacked(self._run(line, None))

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """Those of the boundary rules in the last forward pass in training; they are forgotten by it."""
        return take_auxiliary_losses(self)

    def ends(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """Bool ``(b, n)``: the slots where elements of the outermost stage end (no padding)."""
        kept: list[Tensor] = []
        hook = self.stage.boundaries.register_forward_hook(lambda module, args, cut: kept.append(cut.ends))
        try:
            with torch.no_grad():
                self._run(Line(inputs, geometry), None)
        finally:
            hook.remove()
        return kept[0]

    def _run(self, line: Line, state: HourglassState | None) -> Tensor:
        x = self.embedding(line.inputs)
        if self.shift is not None:
            shifted = self.shift(x, Geometry(line.geometry.coords, line.geometry.order, self.visibility))
            if state is not None and state.shift is not None:
                state.shift.last, state.shift.length = x[:, -1:].detach(), x.shape[1]
            x = shifted
        x = self.dropout(self.embedding_norm(x))
        x = self.stage(x, Places(line), line.inputs, line.counts, None if state is None else state.stage)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        logits = self.head(self.norm(x))
        if self.logit_cap is not None:
            logits = torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap
        return logits

    def new_state(self, batch: int, geometry: Geometry) -> HourglassState:
        """An empty state for canvases of this geometry; raises ``ValueError`` where there is padding."""
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        line = Line(torch.zeros(1, geometry.count, dtype=torch.int64, device=geometry.coords.device), geometry)
        turns = {width: line.turns(POSITIONS, width) for width in self.head_widths}
        state = HourglassState(geometry, turns, self.stage.new_state(batch, geometry.count), batch)
        if self.shift is not None:
            state.shift = self.shift.new_state(batch, geometry.count)
        return state

    def step(self, inputs: Tensor, state: HourglassState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``; many at once on a fresh state are one parallel pass."""
        if state.length == 0 and inputs.shape[1] > 1:
            state.length = inputs.shape[1]
            return self._run(Line(inputs, state.geometry.narrow(0, inputs.shape[1])), state)
        return torch.cat([self._step_one(part, state) for part in inputs.split(1, dim=1)], dim=1)

    def _step_one(self, inputs: Tensor, state: HourglassState) -> Tensor:
        """``(b, 1) -> (b, 1, v)``."""
        moment = Moment(state.length, state.turns, inputs)
        state.length += 1
        x = self.embedding(inputs)
        if self.shift is not None and state.shift is not None:
            x = self.shift.step(x, state.geometry, state.shift)
        x = self.stage.step(self.embedding_norm(x), moment, state.active, state.stage)
        return self._logits(x)
