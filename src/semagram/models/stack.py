"""The stack: blocks one above the other and a final norm, from vectors to vectors.

    x (b, n, d) -> norm(block_L(... block_1(x))) (b, n, d)

It knows nothing of ids: an embedding before it and a head behind it make a language model (``transformer.py``); patches
of an image, sound or the two halves of an encoder-decoder use the same stack. Zero-initialised branch outputs
(arXiv 1901.09321). Stepping equals the parallel pass; one slot at a time takes a path with as few operations as it can
be written in (``mixers/single.py``), wherever the blocks are of the plain kind that it is written for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers import Attention, Mixer
from semagram.mixers.contract import MixerState
from semagram.models.block import Block, Cross, OneSlot

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

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 0:
            raise UserError(
                f"model.width must be at least 1 and model.depth at least 0, got {self.width} and {self.depth}."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model.dropout must be from 0 up to, not including, 1; got {self.dropout}.")

    def visibilities(self) -> frozenset[Visibility]:
        """Those of the mixer; never OTHERS, since the residual stream carries every slot's own input."""
        return self.mixer.visibilities() - {Visibility.OTHERS}

    def build(self, cross: Cross | None = None) -> Stack:
        """A stack with its starting weights; ``cross`` gives every block a cross-attention slot."""
        stack = Stack(self, cross)
        stack.initialise()
        return stack


class StackState:
    """The states of all blocks, and the geometry of the canvas they were opened for."""

    def __init__(self, mixers: list[MixerState], crosses: list[Any], geometry: Geometry) -> None:
        self.mixers = mixers
        self.crosses = crosses
        self.geometry = geometry
        self.length = 0
        self.singles: list[tuple[OneSlot, OneSlot]] | None = None
        """For each block its mixer and feedforward, one slot at a time; made at the first such step."""


class Stack(nn.Module):
    """See the module. Blocks are its children 0, 1, ... (iterate over it); ``norm`` is the final norm, if there is."""

    def __init__(self, config: Blocks, cross: Cross | None = None, final: bool = True) -> None:
        """``final=False``: no final norm, for a model that keeps its own."""
        super().__init__()
        c = config
        self.depth = c.depth
        for index in range(c.depth):
            self.add_module(str(index), Block(c.width, c.mixer, c.feedforward, c.norm, c.dropout, cross))
        self.norm = c.norm.build(c.width) if final else None
        self.one_slot_is_right = cross is None

    def __len__(self) -> int:
        return self.depth

    def __iter__(self) -> Iterator[Block]:
        return (self[index] for index in range(self.depth))

    def __getitem__(self, index: int) -> Block:
        return self._modules[str(index)]  # type: ignore[return-value]

    def initialise(self) -> None:
        """Inner maps shrink their input a little; maps into the residual stream start at 0."""
        scale_inner_maps(self)
        self.silence_branches()

    def silence_branches(self) -> None:
        """Every map into the residual stream starts at 0."""
        for block in self:
            for part in block.branches():
                for projection in part.output_projections():  # type: ignore[operator]
                    nn.init.zeros_(projection.weight)

    def forward(self, x: Tensor, geometry: Geometry, context: Any = None) -> Tensor:
        """``(b, n, d) -> (b, n, d)``; ``context`` is what the cross-attentions look at."""
        for block in self:
            x = block(x, geometry, context)
        return x if self.norm is None else self.norm(x)

    def new_state(self, batch: int, geometry: Geometry, context: Any = None) -> StackState:
        """An empty state for canvases of this geometry; raises ``ValueError`` unless CAUSAL and without padding."""
        if not geometry.causal:
            raise ValueError(f"only a CAUSAL network can be stepped; this one is {geometry.visibility.name}.")
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        mixers: list[MixerState] = [block.mixer.new_state(batch, geometry.count) for block in self]
        crosses = [None if block.cross is None else block.cross.new_state(context) for block in self]  # type: ignore[operator]
        return StackState(mixers, crosses, geometry)

    def step(self, x: Tensor, state: StackState) -> Tensor:
        """The coming slots, ``(b, g, d) -> (b, g, d)``."""
        if x.shape[1] == 1 and self.one_slot_is_right and not torch.is_grad_enabled():
            x = self._one_slot(x[:, 0], state)[:, None]
        else:
            part = state.geometry.narrow(state.length, x.shape[1])
            for block, mixer_state, cross_state in zip(self, state.mixers, state.crosses, strict=True):
                x = block.step(x, part, mixer_state, cross_state)
        state.length += x.shape[1]
        return x if self.norm is None else self.norm(x)

    def _one_slot(self, x: Tensor, state: StackState) -> Tensor:
        """All blocks on one slot a row, ``(b, d) -> (b, d)``."""
        if state.singles is None:
            blocks = zip(self, state.mixers, strict=True)
            state.singles = [block.single(mixer, state.geometry) for block, mixer in blocks]
        for mix, feed in state.singles:
            x = feed(mix(x))
        return x


def scale_inner_maps(module: nn.Module) -> None:
    """Every linear map in ``module`` shrinks its input a little."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=INNER_SCALE * part.in_features**-0.5)
