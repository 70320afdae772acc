"""A network for pages: local blocks with global ones between them, super-tokens in the middle, a repeated trunk.

- Every block is pre-norm: a window of neighbours (``local``), or every so often the whole page (``whole``).
- ``merged``: between the two halves of the trunk, blocks that work on super-tokens of k x k cells (``merging``).
- ``repeated``: the trunk is applied R times with the same weights (Universal Transformers, arXiv 1807.03819);
  ``drawn``: in training R is drawn anew for each batch, so that any number up to it works afterwards (recurrent
  depth: 2502.05171).

CAUSAL and FULL without super-tokens, FULL alone with them. Tested: every law, and that one iteration without merging
and with a window of the whole page is the same function as global blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Alike, Attention, Landmarks, Neighbourhood, Routed
from semagram.models.demands import refuse_conditioned
from semagram.models.merging import Merging

INNER_SCALE = 0.6
"""Standard deviation of inner weights, times sqrt(inputs); as in the transformer."""


@dataclass(frozen=True)
class Whole:
    """Global blocks: the last of the trunk, and every so many-th before it."""

    attention: Attention | Landmarks | Routed | Alike = field(default_factory=Attention)
    """How a cell looks at the whole page."""
    every: int = 2
    """Blocks from one global block to the next."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UserError(f"model.whole.every must be at least 1, got {self.every}.")


@dataclass(frozen=True)
class Merged:
    """Further blocks in the middle of the trunk that work on super-tokens."""

    side: int = 2
    """Cells a side of a super-token."""
    depth: int = 2
    """Blocks on super-tokens."""

    def __post_init__(self) -> None:
        if self.side < 2 or self.depth < 1:
            raise UserError(
                f"model.merged.side must be at least 2 and depth at least 1, got {self.side} and {self.depth}."
            )


@dataclass(frozen=True)
class Repeated:
    """The trunk several times, with the same weights."""

    times: int = 2
    """Applications, R."""
    drawn: bool = False
    """In training, draw R from 1 ... ``times`` for each batch."""

    def __post_init__(self) -> None:
        if self.times < 2:
            raise UserError(f"model.repeated.times must be at least 2 (once: leave it out), got {self.times}.")


@dataclass(frozen=True)
class Page:
    """Neighbours, and now and then the whole page."""

    width: int = 128
    """Features of the residual stream, d."""
    depth: int = 4
    """Blocks of the trunk that work on single cells."""
    local: Neighbourhood = field(default_factory=Neighbourhood)
    """How a cell looks at its neighbours."""
    whole: Whole | None = None
    """Which blocks look at the whole page instead; none: none."""
    merged: Merged | None = None
    """Blocks on super-tokens in the middle; none: none."""
    repeated: Repeated | None = None
    """How often the trunk is applied; none: once."""
    feedforward: Feedforward = field(default_factory=MLP)
    """What is computed at each position."""
    norm: Norm = field(default_factory=RMSNorm)
    """Normalisation before each branch and before the head."""
    logit_cap: float | None = 15.0
    """Soft limit of the logits, cap * tanh(logits / cap); none: no limit."""

    def __post_init__(self) -> None:
        refuse_conditioned(self)
        if self.width < 1 or self.depth < 0:
            raise UserError(
                f"model.width must be at least 1 and model.depth at least 0, got {self.width} and {self.depth}."
            )
        if self.logit_cap is not None and not self.logit_cap > 0:
            raise UserError(f"model.logit_cap must be above 0 or none, got {self.logit_cap}.")

    def visibilities(self) -> frozenset[Visibility]:
        """A super-token knows all of its cells, a landmark the whole page: they need FULL."""
        both = frozenset({Visibility.CAUSAL, Visibility.FULL})
        if self.whole is not None:
            both = both & self.whole.attention.visibilities()
        return both & {Visibility.FULL} if self.merged is not None else both

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> PageNetwork:
        """The network; raises ``UserError`` when its parts cannot keep to the visibility."""
        if visibility not in self.visibilities():
            allowed = ", ".join(sorted(v.name for v in self.visibilities()))
            raise UserError(
                f"a Page with merged {self.merged} and whole {self.whole} cannot be {visibility.name}, only {allowed}."
            )
        return PageNetwork(self, vocabulary_size, layout.axes, visibility)


class PageState:
    """The states of all blocks in all iterations, and the geometry of the canvas."""

    def __init__(self, mixers: list[list[Any]], geometry: Geometry) -> None:
        self.mixers, self.geometry, self.length = mixers, geometry, 0


class PageBlock(nn.Module):
    """x + mixer(norm(x)), then x + feedforward(norm(x))."""

    def __init__(self, config: Page, mixer: Neighbourhood | Attention | Landmarks | Routed | Alike) -> None:
        super().__init__()
        self.mixer_norm = config.norm.build(config.width)
        self.mixer = mixer.build(config.width)
        self.feedforward_norm = config.norm.build(config.width)
        self.feedforward = config.feedforward.build(config.width)

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        x = x + self.mixer(self.mixer_norm(x), geometry)
        return x + self.feedforward(self.feedforward_norm(x))

    def step(self, x: Tensor, geometry: Geometry, state: Any) -> Tensor:
        """The coming slots, ``(b, g, d) -> (b, g, d)``."""
        x = x + self.mixer.step(self.mixer_norm(x), geometry, state)
        return x + self.feedforward(self.feedforward_norm(x))


class PageNetwork(nn.Module):
    """See ``Page``; a ``Network``."""

    def __init__(self, config: Page, vocabulary_size: int, axes: int, visibility: Visibility) -> None:
        super().__init__()
        self.vocabulary_size, self.visibility = vocabulary_size, visibility
        self.logit_cap, repeated = config.logit_cap, config.repeated
        self.iterations, self.drawn = (repeated.times, repeated.drawn) if repeated is not None else (1, False)
        self.embedding = nn.Embedding(vocabulary_size + 1, config.width)
        self.embedding_norm = config.norm.build(config.width)
        whole, merged, depth = config.whole, config.merged, config.depth
        mixers = [
            whole.attention if whole is not None and (depth - 1 - i) % whole.every == 0 else config.local
            for i in range(depth)
        ]
        self.blocks = nn.ModuleList(PageBlock(config, mixer) for mixer in mixers)
        self.merging = Merging(merged.side, axes, config.width) if merged is not None else None
        inner = merged.depth if merged is not None else 0
        self.merged_blocks = nn.ModuleList(PageBlock(config, config.local) for _ in range(inner))
        self.norm = config.norm.build(config.width)
        self.head = nn.Linear(config.width, vocabulary_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INNER_SCALE * module.in_features**-0.5)
        nn.init.normal_(self.embedding.weight)
        nn.init.zeros_(self.head.weight)
        for part in self.modules():  # branches begin at nothing, so that a deep page is as quiet as a shallow one
            projections = getattr(part, "output_projections", None)
            for projection in projections() if projections is not None else ():
                nn.init.zeros_(projection.weight)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        return self.logits(self.hidden(inputs, geometry))

    def hidden(self, inputs: Tensor, geometry: Geometry, iterations: int | None = None) -> Tensor:
        """What the head reads, ``(b, n) -> (b, n, d)``; ``iterations`` of the trunk, if not the configuration's."""
        x = self.embedding_norm(self.embedding(inputs))
        count = iterations or self.iterations
        if iterations is None and self.drawn and self.training:
            count = int(torch.randint(1, self.iterations + 1, ()))
        for _ in range(count):
            x = self._trunk(x, geometry)
        return self.norm(x)

    def _trunk(self, x: Tensor, geometry: Geometry) -> Tensor:
        for i, block in enumerate(self.blocks):
            if i == len(self.blocks) // 2:
                x = self._middle(x, geometry)
            x = block(x, geometry)
        return x if len(self.blocks) else self._middle(x, geometry)

    def _middle(self, x: Tensor, geometry: Geometry) -> Tensor:
        """The blocks on super-tokens, if there are any."""
        if self.merging is None:
            return x
        coarse, page = self.merging.merge(x, geometry)
        for block in self.merged_blocks:
            coarse = block(coarse, page)
        return self.merging.hand_back(x, coarse, geometry)

    def new_state(self, batch: int, geometry: Geometry) -> PageState:
        """An empty state for canvases of this geometry; raises ``ValueError`` unless CAUSAL."""
        if self.visibility is not Visibility.CAUSAL:
            raise ValueError(f"only a CAUSAL network can be stepped; this one is {self.visibility.name}.")
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        mixers = [
            [block.mixer.new_state(batch, geometry.count) for block in self.blocks]  # type: ignore[union-attr, operator]
            for _ in range(self.iterations)
        ]
        return PageState(mixers, geometry)

    def step(self, inputs: Tensor, state: PageState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        part = state.geometry.narrow(state.length, inputs.shape[1])
        x = self.embedding_norm(self.embedding(inputs))
        for mixers in state.mixers:
            for block, mixer in zip(self.blocks, mixers, strict=True):
                x = block.step(x, part, mixer)  # type: ignore[operator]
        state.length += inputs.shape[1]
        return self.logits(self.norm(x))

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See ``Network``."""
        return take_auxiliary_losses(self)

    def logits(self, hidden: Tensor) -> Tensor:
        """The head: ``(..., d) -> (..., v)``."""
        logits = self.head(hidden)
        return logits if self.logit_cap is None else torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap
