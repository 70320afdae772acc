"""The transformer: an embedding, a stack of residual blocks, and a head.

Attention Is All You Need (arXiv 1706.03762). What stands between embedding and head is ``stack.py``; any mixer and any
feedforward of the unions fits; causal or not is the visibility's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Mixer, TokenShift
from semagram.mixers.token_shift import TokenShiftState
from semagram.models.stack import Blocks, Stack, StackState, scale_inner_maps


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
        self.blocks()  # refuses what does not fit
        if self.logit_cap is not None and not self.logit_cap > 0:
            raise UserError(f"model.logit_cap must be above 0 or none, got {self.logit_cap}.")

    def blocks(self) -> Blocks:
        """What stands between embedding and head."""
        return Blocks(self.width, self.depth, self.mixer, self.feedforward, self.norm, self.dropout)

    def visibilities(self) -> frozenset[Visibility]:
        """Those of its blocks."""
        return self.blocks().visibilities()

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> TransformerNetwork:
        """The network; raises ``UserError`` when its parts cannot keep to the visibility."""
        if visibility not in self.visibilities():
            allowed = ", ".join(sorted(v.name for v in self.visibilities())) or "none"
            raise UserError(
                f"a Transformer with mixer {type(self.mixer).__name__} cannot be {visibility.name}, only {allowed}."
            )
        return TransformerNetwork(self, vocabulary_size, visibility)


class TransformerState:
    """The states of the blocks and of the shift."""

    def __init__(self, stack: StackState, shift: TokenShiftState | None, geometry: Geometry) -> None:
        self.stack = stack
        self.shift = shift
        self.geometry = geometry
        self.length = 0


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
        # The stack goes by the name of its blocks, and its final norm stands here: so are the weights called in files.
        self.blocks = Stack(config.blocks(), final=False)
        self.norm = config.norm.build(config.width)
        self.head = None if config.tied else nn.Linear(config.width, vocabulary_size, bias=False)
        self._initialise(config)

    def _initialise(self, config: Transformer) -> None:
        """As the stack's; rows of the embedding have length sqrt(d), or 1 if they are the head's too; the head is 0."""
        scale_inner_maps(self)
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5 if config.tied else 1.0)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)
        self.blocks.silence_branches()

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
        return self.norm(self.blocks(x, geometry))

    def new_state(self, batch: int, geometry: Geometry) -> TransformerState:
        """An empty state for canvases of this geometry; raises ``ValueError`` unless CAUSAL."""
        if self.visibility is not Visibility.CAUSAL:
            raise ValueError(f"only a CAUSAL network can be stepped; this one is {self.visibility.name}.")
        stack = self.blocks.new_state(batch, geometry)
        shift = None if self.shift is None else self.shift.new_state(batch, geometry.count)
        return TransformerState(stack, shift, geometry)

    def step(self, inputs: Tensor, state: TransformerState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        return self.logits(self.step_hidden(inputs, state))

    def step_hidden(self, inputs: Tensor, state: TransformerState, extra: Tensor | None = None) -> Tensor:
        """``hidden`` of the coming slots, ``(b, g) -> (b, g, d)``."""
        x = self.embedding(inputs)
        if extra is not None:
            x = x + extra
        if self.shift is not None and state.shift is not None:
            x = self.shift.step(x, state.geometry, state.shift)
        x = self.blocks.step(self.embedding_norm(x), state.stack)
        state.length = state.stack.length
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """The head: ``(..., d) -> (..., v)``."""
        if self.head is None:
            logits = nn.functional.linear(hidden, self.embedding.weight[: self.vocabulary_size])
        else:
            logits = self.head(hidden)
        if self.logit_cap is not None:
            logits = torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap
        return logits

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)
