"""The stack: blocks one above the other and a final norm, from vectors to vectors.

    x (b, n, d) -> norm(block_L(... block_1(x))) (b, n, d)

It knows nothing of ids: an embedding before it and a head behind it make a language model (``transformer.py``); patches
of an image, sound or the two halves of an encoder-decoder use the same stack. Zero-initialised branch outputs
(arXiv 1901.09321). Stepping equals the parallel pass; one slot at a time takes a path with as few operations as it can
be written in (``mixers/single.py``), wherever the blocks are of the plain kind that it is written for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.feedforward.conditioned import Conditioned, applied
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers import Attention, Mixer
from semagram.models.block import Block, Cross, OneSlot
from semagram.models.fitting import check, check_rules, deaf_mixer
from semagram.models.joins import ManyStreams
from semagram.models.layers import Layers, Plan
from semagram.models.residual import Residual
from semagram.models.reversible import Reversible, run_reversibly
from semagram.models.skips import Reinjection, UNetSkips

INNER_SCALE = 0.6
"""Standard deviation of inner weights, times sqrt(inputs); below 1 a matrix is soon as large as its updates."""


@dataclass(frozen=True)
class Blocks:
    """What stands between embedding and head."""

    width: int = 128
    """Features of the residual stream, d."""
    depth: int = 4
    """Blocks."""
    mixer: Mixer = field(default_factory=Attention)
    """How positions exchange information."""
    feedforward: Feedforward = field(default_factory=MLP)
    """What is computed at each position."""
    norm: Norm = field(default_factory=RMSNorm)
    """Normalisation before each branch and at the end."""
    dropout: float = 0.0
    """Share of features zeroed after each branch, in training."""
    residual: Residual = field(default_factory=Residual)
    """How a branch joins the stream."""
    layers: Layers = field(default_factory=Layers)
    """Which branches stand in which order, and what they share."""
    registers: int = 0
    """Learned vectors before the first slot, which every slot may look at: memory tokens (arXiv 2006.11527), registers
    (2309.16588)."""

    def __post_init__(self) -> None:
        check(self)

    def visibilities(self) -> frozenset[Visibility]:
        """Those of all mixers; never OTHERS, since the residual stream carries every slot's own input."""
        allowed = [mixer.visibilities() for mixer in self.layers.mixers(self.mixer)]
        return frozenset.intersection(*allowed) - {Visibility.OTHERS}

    def build(self, cross: Cross | None = None) -> Stack:
        """A stack with its starting weights; ``cross`` gives every block with a mixer a cross-attention slot."""
        stack = Stack(self, cross)
        stack.initialise()
        return stack


class StackState:
    """The states of all blocks that are run, and the geometry of the canvas they were opened for."""

    def __init__(self, blocks: list[tuple[Any, Any]], geometry: Geometry) -> None:
        self.blocks = blocks
        self.geometry = geometry
        self.length = 0
        self.registers_wait = False
        """Whether the registers have yet to be read; they are, with the first slots."""
        self.singles: list[tuple[OneSlot, OneSlot]] | None = None
        """For each run of a block its mixer and feedforward, one slot at a time; made at the first such step."""


class Stack(nn.Module):
    """See the module. Blocks are its children 0, 1, ... (iterate over it); ``norm`` is the final norm, if there is."""

    def __init__(self, config: Blocks, cross: Cross | None = None, final: bool = True) -> None:
        """``final=False``: no final norm, for a model that keeps its own."""
        super().__init__()
        c = config
        if cross is not None and c.residual.parallel != "no":
            raise UserError(f"residual.parallel={c.residual.parallel!r} leaves no place for cross-attention; use no.")
        plans = c.layers.plans(c)
        self.own = len(plans)
        self.order = c.layers.runs(c) * c.layers.loops
        """The number of the block that is run first, second, ..."""
        self.deaf = deaf_mixer(c)
        self.loops, self.fewest_loops = c.layers.loops, c.layers.fewest_loops
        self.silences, self.by_depth = c.residual.silences, c.residual.start == "by_depth"
        skips = c.layers.skips
        self.reinjection = skips.build(c.width) if isinstance(skips, Reinjection) else None
        self.skips = skips.build(c.width, len(self.order)) if isinstance(skips, UNetSkips) else None
        join = c.residual.join
        self.streams = join if isinstance(join, ManyStreams) else None
        self.reversible = isinstance(join, Reversible)
        total, index = sum(branches(plan, cross) for plan in plans), 0
        for number, plan in enumerate(plans):
            looks = cross if plan.mixer is not None else None
            again = self.reinjection is not None
            block = Block(c.width, plan, c.norm, c.residual, c.dropout, looks, index, total, again)
            index += branches(plan, looks)
            self.add_module(str(number), block)
        self.registers = nn.Parameter(torch.randn(c.registers, c.width) * 0.02) if c.registers else None
        self.norm = c.norm.build(c.width) if final and final_norm(c) else None
        self.one_slot_is_right = all(block.plain for block in self) and self.skips is None and self.streams is None
        if self.reversible and any(isinstance(m, Conditioned) or hasattr(m, "carried") for m in self.modules()):
            raise UserError(
                "Reversible branches must be undone from the stream alone: no conditioned parts, no experts."
            )
        sharing = [n for n in self.order if getattr(getattr(self[n], "mixer", None), "leaves_values", False)]
        self.shares_values = bool(sharing)
        """Whether layers leave something for later ones of the same call."""
        if len(sharing) == 1:
            raise UserError("a value residual needs at least 2 attention layers: the first one has nothing to mix.")
        if sharing and (self.reversible or self.fewest_loops is not None):
            raise UserError("a value residual needs layers that run in order: not Reversible, not drawn loops.")
        if sharing and self.order.count(sharing[0]) == 1:
            self[sharing[0]].mixer.comes_first()
        self.one_slot_is_right = self.one_slot_is_right and not sharing
        if self.reversible and cross is not None:
            raise UserError("Reversible branches must be undone from the stream alone: no cross-attention.")

    def __len__(self) -> int:
        return self.own

    def __iter__(self) -> Iterator[Block]:
        return (self[index] for index in range(self.own))

    def __getitem__(self, index: int) -> Block:
        return self._modules[str(index)]  # type: ignore[return-value]

    def initialise(self) -> None:
        """Inner maps shrink their input a little; maps into the residual stream start at 0."""
        scale_inner_maps(self)
        self.start_branches()

    def start_branches(self) -> None:
        """Starting weights of the maps into the residual stream, as the residual form wants them."""
        for number, block in enumerate(self):
            for part in block.branches():
                for projection in part.output_projections():  # type: ignore[operator]
                    if self.silences:
                        nn.init.zeros_(projection.weight)
                    elif self.by_depth:
                        start_linear(projection, (2 * (number + 1)) ** -0.5)

    def forward(self, x: Tensor, geometry: Geometry, context: Any = None, condition: Tensor | None = None) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; ``context`` is what the cross-attentions look at, ``condition`` ``(b, c)`` or
        ``(b, n, c)`` what steers conditioned parts."""
        check_rules(geometry, self.deaf)
        if self.registers is not None:
            x = torch.cat([self.registers.expand(x.shape[0], -1, -1), x], dim=1)
            geometry = geometry.preceded(len(self.registers))
            condition = self._for_registers(condition)
        again = None if self.reinjection is None else self.reinjection(x)
        geometry = geometry.opened() if self.shares_values else geometry
        if self.fewest_loops is not None and self.training:
            x = self._drawn_loops(x, geometry, context, condition, again, self.fewest_loops)
        elif self.reversible and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            x = self._reversibly(x, geometry)
        else:
            x = self._all(x, lambda number, run, h: self[number](h, geometry, context, condition, again))
        x = x if self.norm is None else applied(self.norm, x, condition)
        return x if self.registers is None else x[:, len(self.registers) :]

    def _for_registers(self, condition: Tensor | None) -> Tensor | None:
        """A condition for each position, with 0 for the registers; one for a row is theirs too."""
        if condition is None or condition.dim() == 2 or self.registers is None:
            return condition
        return torch.nn.functional.pad(condition, (0, 0, len(self.registers), 0))

    def _all(self, x: Tensor, call: Callable[[int, int, Any], Any]) -> Tensor:
        """All runs of all blocks: ``call(number of the block, number of the run, stream)``."""
        h: Any = x if self.streams is None else self.streams.open(x)
        if self.skips is None:
            for run, number in enumerate(self.order):
                h = call(number, run, h)
        else:
            below: list[Tensor] = []
            for run, number in enumerate(self.order):
                below.append(h)
                if str(run) in self.skips:
                    h = self.skips[str(run)](h, below[len(self.order) - 1 - run])
                h = call(number, run, h)
        return h if self.streams is None else self.streams.close(h)

    def _reversibly(self, x: Tensor, geometry: Geometry) -> Tensor:
        """With memory for one branch, whatever the depth."""
        branches, parameters = [], []
        for number in self.order:
            block, calls = self[number], self[number].calls(geometry, None)
            for slot in block.slots:
                branches.append(partial(block.branch, slot, calls, condition=None, again=None))
                parameters.append(
                    [p for name, p in block.named_parameters() if name.startswith((f"{slot}_", f"{slot}."))]
                )
        assert isinstance(self.streams, Reversible)
        return self.streams.close(run_reversibly(branches, parameters, self.streams.open(x)))

    def _drawn_loops(
        self, x: Tensor, geometry: Geometry, context: Any, condition: Any, again: Any, fewest: int
    ) -> Tensor:
        """Each row stops after a number of loops of its own. All are run: so there is one graph, whatever is drawn."""
        wanted = torch.randint(fewest, self.loops + 1, (x.shape[0], 1, 1), device=x.device)
        once = len(self.order) // self.loops
        before = x

        def call(number: int, run: int, h: Tensor) -> Tensor:
            nonlocal before
            before = h if run % once == 0 else before
            h = self[number](h, geometry, context, condition, again)
            return torch.where(wanted > run // once, h, before) if run % once == once - 1 else h

        return self._all(x, call)

    def new_state(self, batch: int, geometry: Geometry, context: Any = None) -> StackState:
        """An empty state for canvases of this geometry; raises ``ValueError`` unless CAUSAL and without padding."""
        if not geometry.causal:
            raise ValueError(f"only a CAUSAL network can be stepped; this one is {geometry.visibility.name}.")
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        check_rules(geometry, self.deaf)
        if self.registers is not None:
            geometry = geometry.preceded(len(self.registers))
        state = StackState([self[number].new_states(batch, geometry, context) for number in self.order], geometry)
        state.registers_wait = self.registers is not None
        return state

    def step(self, x: Tensor, state: StackState, condition: Tensor | None = None) -> Tensor:
        """The coming slots, ``(b, g, d) -> (b, g, d)``; ``condition`` is ``(b, c)`` or ``(b, g, c)``."""
        if self.registers is not None and state.registers_wait:
            state.registers_wait = False
            before = self.registers.expand(x.shape[0], -1, -1)
            whole = self.step(torch.cat([before, x], dim=1), state, self._for_registers(condition))
            return whole[:, len(self.registers) :]
        if x.shape[1] == 1 and self.one_slot_is_right and not torch.is_grad_enabled():
            x = self._one_slot(x[:, 0], state)[:, None]
        else:
            part = state.geometry.narrow(state.length, x.shape[1])
            part = part.opened() if self.shares_values else part
            again = None if self.reinjection is None else self.reinjection(x)
            x = self._all(x, lambda number, run, h: self[number].step(h, part, state.blocks[run], condition, again))
        state.length += x.shape[1]
        return x if self.norm is None else applied(self.norm, x, condition)

    def _one_slot(self, x: Tensor, state: StackState) -> Tensor:
        """All blocks on one slot a row, ``(b, d) -> (b, d)``."""
        if state.singles is None:
            runs = zip(self.order, state.blocks, strict=True)
            state.singles = [self[number].single(mixer, state.geometry) for number, (mixer, _) in runs]
        for mix, feed in state.singles:
            x = feed(mix(x))
        return x


def branches(plan: Plan, cross: Cross | None) -> int:
    """How many branches a block of this plan has."""
    return (plan.mixer is not None) + (plan.feedforward is not None) + (plan.mixer is not None and cross is not None)


def final_norm(config: Blocks) -> bool:
    """Where each sum is normalised, the last one is too; otherwise a norm of its own ends the stack."""
    return not config.residual.norm_after


def start_linear(projection: Any, scale: float) -> None:
    """Weights of deviation ``scale / sqrt(inputs)``; layers of functions start as such a map by their own means."""
    if isinstance(projection, nn.Linear):
        nn.init.normal_(projection.weight, std=scale * projection.in_features**-0.5)
    else:
        projection.start_linear(scale)


def scale_inner_maps(module: nn.Module) -> None:
    """Every linear map in ``module`` shrinks its input a little, unless a part that knows better says so in its
    ``initialise()``."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=INNER_SCALE * part.in_features**-0.5)
    for part in module.modules():
        if part is not module and not isinstance(part, Stack) and hasattr(part, "initialise"):
            part.initialise()  # type: ignore[operator]
