"""The decoder: a causal language model that looks at a context, and may be given vectors in front of its text.

    logits = head(stack([prefix; norm(E[inputs])], context))

Cross-attention in every block (arXiv 1706.03762). Vectors in front: prefix tuning (2101.00190), image tokens before
text (PaLI, 2209.06794). They stand at coordinates -p .. -1, so that the text stands where it would stand without them,
and padding among them (``keep``) is seen by nobody. A decoder with cross-attention refuses to read without a context,
one without it refuses a context. Tested against x-transformers' ``Decoder``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import take_auxiliary_losses
from semagram.layouts import Sequence
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.mixers.cross_attention import CrossAttention
from semagram.models.demands import Places, checked_places, must_be
from semagram.models.stack import Blocks, StackState


@dataclass(frozen=True)
class Decoder:
    """Writes ids in order, looking at a context."""

    blocks: Blocks = field(default_factory=Blocks)
    """Width, depth and what the blocks are made of."""
    cross: CrossAttention | None = field(default_factory=CrossAttention)
    """How each block looks at the context; none: there is no context."""
    normalise: bool = True
    """Apply the blocks' norm to the embedding."""
    tied: bool = False
    """Use the embedding's rows as the head's."""
    logit_cap: float | None = 15.0
    """Soft limit of the logits, cap * tanh(logits / cap); none: no limit."""
    positions: Places | None = None
    """Add to each token where it stands; none: only the mixers know (rotary attention, say)."""

    def __post_init__(self) -> None:
        must_be(Visibility.CAUSAL, self.blocks, "a Decoder")
        if self.logit_cap is not None and not self.logit_cap > 0:
            raise UserError(f"decoder.logit_cap must be above 0 or none, got {self.logit_cap}.")

    def build(self, vocabulary_size: int, context_width: int | None = None) -> DecoderNetwork:
        """The network; ``context_width`` (none: the decoder's width) is what the context has features."""
        return DecoderNetwork(self, vocabulary_size, context_width)


class DecoderState:
    """The state of the stack; ``length`` slots of the text are read (the prefix does not count)."""

    def __init__(self, stack: StackState, geometry: Geometry, table: Tensor | None) -> None:
        self.stack = stack
        self.geometry = geometry
        self.table = table
        self.before = stack.length

    @property
    def length(self) -> int:
        """Slots read so far."""
        return self.stack.length - self.before


class DecoderNetwork(nn.Module):
    """See ``Decoder``. Without a context it answers the ``Network`` contract by itself."""

    def __init__(
        self, config: Decoder, vocabulary_size: int, context_width: int | None, own_table: bool = True
    ) -> None:
        """``own_table=False``: the embedding belongs to somebody else and comes with every call."""
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.visibility = Visibility.CAUSAL
        self.width = config.blocks.width
        self.logit_cap = config.logit_cap
        self.looks = config.cross is not None
        self.embedding = nn.Embedding(vocabulary_size + 1, self.width) if own_table else None
        self.embedding_norm = config.blocks.norm.build(self.width) if config.normalise else None
        self.positions = config.positions
        self.places = None if config.positions is None else config.positions.build(self.width, Sequence(1))
        self.dropout = nn.Dropout(config.blocks.dropout)
        self.stack = config.blocks.build(fitted(config.cross, self.width, context_width))
        self.head = None if config.tied else nn.Linear(self.width, vocabulary_size, bias=False)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=self.width**-0.5 if config.tied else 1.0)
        if self.head is not None:
            nn.init.zeros_(self.head.weight)

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract."""
        return take_auxiliary_losses(self)

    def forward(
        self,
        inputs: Tensor,
        geometry: Geometry | None = None,
        context: Context | None = None,
        prefix: Context | None = None,
        table: Tensor | None = None,
    ) -> Tensor:
        """Inputs ``(b, n)`` (each slot shows the token before it, the first the reserved id) -> logits ``(b, n, v)``.

        geometry: where the slots stand; none: on a line. context: what is looked at. prefix: vectors ``(b, p, d)`` in
        front. table: the embedding ``(v + 1, d)``, for a network that has none of its own.
        """
        geometry = geometry or Geometry.line(inputs.shape[1], Visibility.CAUSAL, like=inputs)
        x = self._embedded(inputs, geometry, table)
        if prefix is not None:
            x = torch.cat([self._checked(prefix, len(inputs)).features, x], dim=1)
            geometry = in_front(geometry, prefix)
        x = self.stack(self.dropout(x), geometry, self._context(context, len(inputs), geometry))
        return self.logits(x[:, x.shape[1] - inputs.shape[1] :], table)

    def new_state(
        self,
        batch: int,
        geometry: Geometry,
        context: Context | None = None,
        prefix: Context | None = None,
        table: Tensor | None = None,
    ) -> DecoderState:
        """A state whose context's keys and values are made and whose prefix is read. ``ValueError`` for padding."""
        whole = geometry if prefix is None else in_front(geometry, self._checked(prefix, batch))
        state = self.stack.new_state(batch, whole, self._context(context, batch, whole))
        if prefix is not None:
            self.stack.step(prefix.features, state)
        return DecoderState(state, geometry, table)

    def step(self, inputs: Tensor, state: DecoderState) -> Tensor:
        """The coming slots, ``(b, g) -> (b, g, v)``."""
        part = state.geometry.narrow(state.length, inputs.shape[1])
        return self.logits(self.stack.step(self._embedded(inputs, part, state.table), state.stack), state.table)

    def logits(self, hidden: Tensor, table: Tensor | None = None) -> Tensor:
        """The head: ``(..., d) -> (..., v)``."""
        if self.head is None:
            logits = nn.functional.linear(hidden, self._table(table)[: self.vocabulary_size])
        else:
            logits = self.head(hidden)
        if self.logit_cap is not None:
            logits = torch.tanh(logits * (1.0 / self.logit_cap)) * self.logit_cap
        return logits

    def _table(self, table: Tensor | None) -> Tensor:
        if table is not None:
            return table
        assert self.embedding is not None, "this decoder's embedding belongs to its encoder"
        return self.embedding.weight

    def _embedded(self, inputs: Tensor, geometry: Geometry, table: Tensor | None) -> Tensor:
        x = nn.functional.embedding(inputs, self._table(table))
        if self.places is not None:
            checked_places(self.positions, geometry)
            x = x + self.places(geometry)
        return x if self.embedding_norm is None else self.embedding_norm(x)

    def _checked(self, prefix: Context, batch: int) -> Context:
        """The prefix; ``UserError`` unless it is ``(b, p, d)``."""
        rows, _, width = prefix.features.shape
        if (rows, width) != (batch, self.width):
            raise UserError(
                f"a prefix must be ({batch}, p, {self.width}) for this batch and decoder, "
                f"got {tuple(prefix.features.shape)}."
            )
        return prefix

    def _context(self, context: Context | None, batch: int, geometry: Geometry) -> Context | None:
        """The context for ``batch`` rows, told where its readers stand; refused where it is missing or unwanted."""
        if self.looks != (context is not None):
            told = "looks at a context, and none was given" if self.looks else "has no cross-attention for a context"
            raise UserError(f"this decoder {told}.")
        return None if context is None else replace(context.rows(batch), slots=geometry.coords)


def fitted(cross: CrossAttention | None, width: int, context_width: int | None) -> CrossAttention | None:
    """``cross`` reading the context that there is; ``UserError`` when it says that it reads another."""
    if cross is None:
        return None
    there = context_width or width
    if cross.context_width is not None and cross.context_width != there:
        raise UserError(f"cross.context_width is {cross.context_width}, but the context has {there} features.")
    return replace(cross, context_width=there)


def in_front(geometry: Geometry, prefix: Context) -> Geometry:
    """The geometry with the p slots of a prefix before it, at coordinates -p .. -1. ``UserError`` unless on a line."""
    rows, count, _ = prefix.features.shape
    if geometry.coords.shape[1] != 1:
        raise UserError(f"a prefix stands before a line; this canvas has {geometry.coords.shape[1]} axes.")
    before = torch.arange(-count, 0, device=geometry.coords.device)[:, None]
    order = torch.cat([before[:, 0] + count, geometry.order + count])
    keep = None
    if prefix.keep is not None or geometry.keep is not None:
        both = [(prefix.keep, count), (geometry.keep, geometry.count)]
        everything = [torch.ones(rows, n, dtype=torch.bool, device=order.device) if k is None else k for k, n in both]
        keep = torch.cat(everything, dim=1)
    pairs = geometry.pairs  # a prefix has no document and no bias: everybody may see it
    if pairs is not None:
        pairs = nn.functional.pad(pairs, (count, 0, count, 0), value=float(pairs.dtype == torch.bool))
    first = geometry.prefix + count if geometry.prefix else 0
    return Geometry(torch.cat([before, geometry.coords]), order, geometry.visibility, keep, pairs, first)
