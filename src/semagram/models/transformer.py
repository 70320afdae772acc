"""The transformer: a stack of residual blocks, each a mixer slot and a feedforward slot, normalised beforehand.

Attention Is All You Need (arXiv 1706.03762); pre-norm (2002.04745); zero-initialised branch outputs (1901.09321).
Any mixer and any feedforward of the unions fits; causal or not is the visibility's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.feedforward.mlp import MLPLayer
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Mixer, TokenShift
from semagram.mixers.attention import AttentionMixer
from semagram.mixers.contract import MixerState
from semagram.mixers.single import Single
from semagram.mixers.token_shift import TokenShiftState

OneSlot = Callable[[Tensor], Tensor]
"""``(b, d) -> (b, d)``."""

INNER_SCALE = 0.6
"""Standard deviation of inner weights, times sqrt(inputs); below 1 a matrix is soon as large as its updates."""


@dataclass(frozen=True)
class Transformer:
    """A pre-norm residual stack; the default is the modern causal language model."""

    width: int = 128
    """Features of the residual stream, d."""
    depth: int = 4
    """Blocks."""
    mixer: Mixer = field(default_factory=Attention)
    """How positions exchange information."""
    feedforward: Feedforward = field(default_factory=MLP)
    """What is computed at each position."""
    norm: Norm = field(default_factory=RMSNorm)
    """Normalisation before each branch and before the head."""
    shift: TokenShift | None = field(default_factory=TokenShift)
    """Mix each token's embedding with the one before it; none: do not."""
    tied: bool = False
    """Use the embedding's rows as the head's."""
    logit_cap: float | None = 15.0
    """Soft limit of the logits, cap * tanh(logits / cap); none: no limit."""
    dropout: float = 0.0
    """Share of features zeroed after the embedding and after each branch, in training."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 0:
            raise UserError(
                f"model.width must be at least 1 and model.depth at least 0, got {self.width} and {self.depth}."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model.dropout must be from 0 up to, not including, 1; got {self.dropout}.")
        if self.logit_cap is not None and not self.logit_cap > 0:
            raise UserError(f"model.logit_cap must be above 0 or none, got {self.logit_cap}.")

    def visibilities(self) -> frozenset[Visibility]:
        """Those of its mixer; never OTHERS, since the residual stream carries every slot's own input."""
        return self.mixer.visibilities() - {Visibility.OTHERS}

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> TransformerNetwork:
        """The network; raises ``UserError`` when its parts cannot keep to the visibility."""
        if visibility not in self.visibilities():
            allowed = ", ".join(sorted(v.name for v in self.visibilities())) or "none"
            raise UserError(
                f"a Transformer with mixer {type(self.mixer).__name__} cannot be {visibility.name}, only {allowed}."
            )
        return TransformerNetwork(self, vocabulary_size, visibility)


class TransformerState:
    """The states of all blocks, and the geometry of the canvas they were opened for."""

    def __init__(self, mixers: list[MixerState], shift: TokenShiftState | None, geometry: Geometry) -> None:
        self.mixers = mixers
        self.shift = shift
        self.geometry = geometry
        self.length = 0
        self.singles: list[tuple[OneSlot, OneSlot]] | None = None
        """For each block its mixer and feedforward, one slot at a time; made at the first such step."""


class Block(nn.Module):
    """x + mixer(norm(x)), then x + feedforward(norm(x))."""

    def __init__(self, config: Transformer) -> None:
        super().__init__()
        self.mixer_norm = config.norm.build(config.width)
        self.mixer = config.mixer.build(config.width)
        self.feedforward_norm = config.norm.build(config.width)
        self.feedforward = config.feedforward.build(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n, d) -> (b, n, d)``."""
        x = x + self.dropout(self.mixer(self.mixer_norm(x), geometry))
        return x + self.dropout(self.feedforward(self.feedforward_norm(x)))

    def step(self, x: Tensor, geometry: Geometry, state: Any) -> Tensor:
        """The coming slots, ``(b, g, d) -> (b, g, d)``; ``state`` is one that this block's mixer made."""
        x = x + self.mixer.step(self.mixer_norm(x), geometry, state)
        return x + self.feedforward(self.feedforward_norm(x))

    def single(self, state: Any, geometry: Geometry) -> tuple[OneSlot, OneSlot]:
        """Both halves of ``step`` for one slot a row, ``(b, d) -> (b, d)``, with nothing between them and torch."""
        mixer, feedforward = self.mixer, self.feedforward
        mixer_norm, feedforward_norm = self.mixer_norm.forward, self.feedforward_norm.forward
        mix: Single = lambda x, residual: (  # noqa: E731
            residual + mixer.step(x[:, None], geometry.narrow(state.length, 1), state)[:, 0]
        )
        feed: Single = lambda x, residual: residual + feedforward(x)  # noqa: E731
        if isinstance(mixer, AttentionMixer):
            mix = mixer.single(state, geometry)
        if isinstance(feedforward, MLPLayer):
            feed = feedforward.single()
        return lambda x: mix(mixer_norm(x), x), lambda x: feed(feedforward_norm(x), x)


class TransformerNetwork(nn.Module):
    """See ``Transformer``; a ``Network``."""

    def __init__(self, config: Transformer, vocabulary_size: int, visibility: Visibility) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.visibility = visibility
        self.logit_cap = config.logit_cap
        self.embedding = nn.Embedding(vocabulary_size + 1, config.width)
        self.shift = None if config.shift is None else config.shift.build(config.width)
        self.embedding_norm = config.norm.build(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = config.norm.build(config.width)
        self.head = None if config.tied else nn.Linear(config.width, vocabulary_size, bias=False)
        self._initialise(config)

    def _initialise(self, config: Transformer) -> None:
        """Inner maps shrink their input a little; maps into the residual stream and the head start at 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INNER_SCALE * module.in_features**-0.5)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5 if config.tied else 1.0)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
        for block in self.blocks:
            assert isinstance(block, Block)
            for part in (block.mixer, block.feedforward):
                for projection in part.output_projections():
                    nn.init.zeros_(projection.weight)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        return self.logits(self.hidden(inputs, geometry))

    def hidden(self, inputs: Tensor, geometry: Geometry, extra: Tensor | None = None) -> Tensor:
        """What the head reads, ``(b, n) -> (b, n, d)``; ``extra (b, n, d)`` is added to the embedding."""
        x = self.embedding(inputs)
        if extra is not None:
            x = x + extra
        if self.shift is not None:
            x = self.shift(x, geometry)
        x = self.dropout(self.embedding_norm(x))
        for block in self.blocks:
            x = block(x, geometry)
        return self.norm(x)

    def new_state(self, batch: int, geometry: Geometry) -> TransformerState:
        """An empty state for canvases of this geometry; raises ``ValueError`` unless CAUSAL."""
        if self.visibility is not Visibility.CAUSAL:
            raise ValueError(f"only a CAUSAL network can be stepped; this one is {self.visibility.name}.")
        if geometry.keep is not None:
            raise ValueError("a canvas that is stepped holds no padding; give each batch rows of one length.")
        mixers = [block.mixer.new_state(batch, geometry.count) for block in self.blocks]  # type: ignore[union-attr]
        shift = None if self.shift is None else self.shift.new_state(batch, geometry.count)
        return TransformerState(mixers, shift, geometry)

    def step(self, inputs: Tensor, state: TransformerState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        return self.logits(self.step_hidden(inputs, state))

    def step_hidden(self, inputs: Tensor, state: TransformerState, extra: Tensor | None = None) -> Tensor:
        """``hidden`` of the coming slots, ``(b, g) -> (b, g, d)``."""
        single = inputs.shape[1] == 1 and not torch.is_grad_enabled()
        # The geometry's part is only needed where several slots come at once.
        part = state.geometry if single else state.geometry.narrow(state.length, inputs.shape[1])
        x = self.embedding(inputs)
        if extra is not None:
            x = x + extra
        if self.shift is not None and state.shift is not None:
            x = self.shift.step(x, part, state.shift)
        x = self.embedding_norm(x)
        if single:
            x = self._one_slot(x[:, 0], state)[:, None]
        else:
            for block, mixer_state in zip(self.blocks, state.mixers, strict=True):
                x = block.step(x, part, mixer_state)  # type: ignore[arg-type]
        state.length += inputs.shape[1]
        return self.norm(x)

    def _one_slot(self, x: Tensor, state: TransformerState) -> Tensor:
        """All blocks on one slot a row, ``(b, d) -> (b, d)``."""
        if state.singles is None:
            blocks = zip(self.blocks, state.mixers, strict=True)
            state.singles = [block.single(mixer, state.geometry) for block, mixer in blocks]  # type: ignore[operator]
        for mix, feed in state.singles:
            x = feed(mix(x))
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """The head: ``(..., d) -> (..., v)``."""
        if self.head is None:
            logits = nn.functional.linear(hidden, self.embedding.weight[: self.vocabulary_size])
        else:
            logits = self.head(hidden)
        if self.logit_cap is not None:
            logits = torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap
        return logits
