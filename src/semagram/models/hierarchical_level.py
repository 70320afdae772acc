"""A level: one resolution at which a text is read, and the block that reads it.

A level of factor c and stride s sums up the last c tokens in an element at every s-th token; element m stands at token
m s and has seen tokens m s - c + 1 .. m s, never a later one, so no shift is needed to keep it causal. Its block is

    x + attention(norm(half(x))),  then  x + feedforward(norm(half(x)))

in each of its c / s phases (``mixers/phased.py``). half: the second half of the features is that of the element
before in the phase, c tokens back (the token shift of RWKV, arXiv 2305.13048, in the form of the simple hierarchical
transformer; with it alone a level may do without attention).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import Norm
from semagram.mixers.phased import PhasedAttention, Ring, RowRing, Turns
from semagram.mixers.state_space import StateSpaceState
from semagram.models.hierarchical_recurrent import PhasedRecurrence, Recurrence
from semagram.models.hierarchical_shift import halved

Window = int | Literal["half", "full", "none"]


@dataclass(frozen=True)
class LevelPositions:
    """Rotary positions of a level's elements."""

    base: float = 10_000.0
    """Wave length ratio between the slowest and the fastest plane."""
    unit: Literal["tokens", "elements"] = "tokens"
    """tokens: an element stands where its last token stands, the same scheme at every level; elements: the level
    counts its own elements, phase by phase."""
    decay: float | None = None
    """Distance, in that unit, over which a look fades by a factor that each plane has (xPos, arXiv 2212.10554);
    none: it does not fade."""

    def __post_init__(self) -> None:
        if not self.base > 1.0:
            raise UserError(f"level positions base must be above 1, got {self.base}.")
        if self.decay is not None and not self.decay > 0:
            raise UserError(f"level positions decay must be above 0 or none, got {self.decay}.")


@dataclass(frozen=True)
class Level:
    """One resolution at which the text is read."""

    factor: int = 1
    """Tokens that an element sums up, c; 1: the tokens themselves."""
    stride: int = 1
    """Tokens from one element to the next, s; it divides the factor. Everything at this level costs 1 / s."""
    width: int = 128
    """Features of an element."""
    heads: int = 4
    """Attention heads."""
    head_width: int | None = None
    """Features a head; none: width / heads."""
    multiple: float | None = None
    """Hidden width of its feedforward as a multiple of its width; none: what the model's feedforward says."""
    window: Window = "half"
    """How many elements before its own one sees, each c tokens further back; half: half of those that a full canvas
    has; full: all; none: it has no attention."""
    positions: LevelPositions = field(default_factory=LevelPositions)
    """How distance enters its attention."""
    attention_norm: Norm | None = None
    """Normalisation before its attention or recurrence; none: the model's."""
    recurrence: Recurrence | None = None
    """A state space in place of attention, phase by phase; none: attention. It has no window and no positions, and
    heads and head_width are those of attention."""

    def __post_init__(self) -> None:
        for name in ("factor", "stride", "width", "heads"):
            if getattr(self, name) < 1:
                raise UserError(f"level {name} must be at least 1, got {getattr(self, name)}.")
        if self.factor % self.stride != 0:
            raise UserError(f"level stride must divide its factor {self.factor}, got {self.stride}.")
        if self.recurrence is None:
            self._check_heads()
        if self.multiple is not None and not self.multiple > 0:
            raise UserError(f"level multiple must be above 0 or none, got {self.multiple}.")
        if isinstance(self.window, int) and self.window < 1:
            raise UserError(f"level window must be at least 1, half, full or none, got {self.window}.")
        if self.window == "none" and self.attention_norm is not None:
            raise UserError(f"a level of window none has no attention, so no attention_norm: {self.attention_norm}.")
        if self.window == "none" and self.positions != LevelPositions():
            raise UserError(f"a level of window none has no attention, so no positions: {self.positions}.")
        if self.recurrence is not None:
            given = {"window": self.window, "positions": self.positions, "heads": self.heads}
            given["head_width"] = self.head_width
            for name, value in given.items():
                if value != Level.__dataclass_fields__[name].default and value != LevelPositions():
                    kind = type(self.recurrence).__name__
                    raise UserError(f"a level with a {kind} has no attention, so no {name}: leave it out, not {value}.")

    def _check_heads(self) -> None:
        if self.head_width is None and self.width % self.heads != 0:
            raise UserError(f"level width {self.width} is not divisible by heads {self.heads}; or set head_width.")
        if self.features % 2 != 0 or self.features < 2:
            raise UserError(f"rotary positions need an even level head_width, got {self.features}.")

    @property
    def attends(self) -> bool:
        """Whether its elements look at one another."""
        return self.window != "none" and self.recurrence is None

    @property
    def features(self) -> int:
        """Features a head."""
        return self.head_width or self.width // self.heads

    @property
    def phases(self) -> int:
        """Interleaved sequences of elements that do not overlap."""
        return self.factor // self.stride

    def reach(self, canvas: int) -> int | None:
        """Elements before its own that one sees on a canvas of so many tokens; None: all."""
        if self.window == "half":
            return max(1, canvas // self.factor // 2)
        return self.window if isinstance(self.window, int) else None

    def elements(self, slots: int) -> int:
        """Elements that end within the first ``slots`` tokens."""
        return -(-slots // self.stride)


class BlockState:
    """What a block remembers: keys and values or memories, and the half features of the last element of every phase."""

    def __init__(
        self, ring: Ring | RowRing | list[StateSpaceState] | None, batch: int, phases: int, half: int, like: Tensor
    ) -> None:
        self.ring = ring
        self.mixed = torch.zeros(batch, phases, half, dtype=like.dtype, device=like.device)
        self.fed = torch.zeros_like(self.mixed)
        self.count = 0


class LevelBlock(nn.Module):
    """See the module. ``attention`` none: only the shift looks back; ``lent``: it belongs to another block.

    A module that stood in two blocks would be saved twice, so a lent one is not registered here.
    """

    def __init__(
        self,
        width: int,
        attention: PhasedAttention | PhasedRecurrence | None,
        feedforward: nn.Module,
        norms: tuple[nn.Module | None, nn.Module],
        window: int | None,
        phases: int = 1,
        half: bool = True,
        dropout: float = 0.0,
        lent: bool = False,
    ) -> None:
        super().__init__()
        self.attention, self.feedforward = None if lent else attention, feedforward
        self._lent = (attention,) if lent and attention is not None else ()
        self.attention_norm, self.feedforward_norm = norms
        self.window, self.phases = window, phases
        self.halves = width // 2 if half else 0
        self.dropout = nn.Dropout(dropout)

    @property
    def reader(self) -> PhasedAttention | PhasedRecurrence | None:
        """The attention, its own or lent, or the recurrence."""
        return self._lent[0] if self._lent else self.attention

    def forward(
        self, x: Tensor, turns: Turns | None, state: BlockState | None = None, counts: Tensor | None = None
    ) -> Tensor:
        """``(b, m, d) -> (b, m, d)``; a fresh ``state`` is filled (``counts (b,)``: elements of each row)."""
        attention = self.reader
        if attention is not None:
            assert self.attention_norm is not None
            if state is not None:
                self._fill(state.mixed, x, counts)
            read = self.attention_norm(self._halved(x))
            x = x + self.dropout(self._mixed(attention, read, turns, None if state is None else state.ring, counts))
        if state is not None:
            self._fill(state.fed, x, counts)
            state.count = x.shape[1]
        return x + self.dropout(self.feedforward(self.feedforward_norm(self._halved(x))))

    def _mixed(
        self,
        attention: PhasedAttention | PhasedRecurrence,
        read: Tensor,
        turns: Turns | None,
        ring: Ring | RowRing | list[StateSpaceState] | None,
        counts: Tensor | None,
    ) -> Tensor:
        """What its elements told one another."""
        if isinstance(attention, PhasedRecurrence):
            assert ring is None or isinstance(ring, list)
            return attention(read, self.phases, ring)
        assert turns is not None
        rows = (ring, counts) if isinstance(ring, RowRing) and counts is not None else None
        return attention(read, turns, self.window, self.phases, ring if isinstance(ring, Ring) else None, rows)

    def new_state(self, batch: int, capacity: int, *, rows: bool = False) -> BlockState:
        """An empty state for ``capacity`` elements; ``rows``: each row advances by itself (one phase only)."""
        like = next(self.parameters())
        ring: Ring | RowRing | list[StateSpaceState] | None = None
        attention = self.reader
        if isinstance(attention, PhasedRecurrence):
            ring = attention.new_states(batch, self.phases, capacity)
        elif attention is not None:
            sizes = (batch, attention.heads, attention.head_width, self.window)
            ring = RowRing(*sizes, capacity, like) if rows else Ring(*sizes, self.phases, capacity, like)
        return BlockState(ring, batch, self.phases, self.halves, like)

    def step(self, x: Tensor, turns: Turns | None, state: BlockState) -> Tensor:
        """The coming element, ``(b, 1, d) -> (b, 1, d)``."""
        place = state.count % self.phases
        attention = self.reader
        if attention is not None:
            assert self.attention_norm is not None
            read = self.attention_norm(self._halved_one(x, state.mixed, place))
            if isinstance(attention, PhasedRecurrence):
                assert isinstance(state.ring, list)
                x = x + attention.step(read, state.ring[place])
            else:
                assert turns is not None and isinstance(state.ring, Ring)
                x = x + attention.step(read, turns, state.ring)
        state.count += 1
        return x + self.feedforward(self.feedforward_norm(self._halved_one(x, state.fed, place)))

    def step_rows(self, x: Tensor, turns: Turns, state: BlockState, active: Tensor, time: int) -> Tensor:
        """The same in the rows that are ``active (b,)``; what comes out of the others means nothing."""
        attention = self.reader
        assert isinstance(attention, PhasedAttention) and isinstance(state.ring, RowRing)
        assert self.attention_norm is not None
        x = x + attention.step_rows(self.attention_norm(x), turns, state.ring, active, time)
        return x + self.feedforward(self.feedforward_norm(x))

    def _halved(self, x: Tensor) -> Tensor:
        """``(b, m, d)`` with half of the features taken from the element before in the phase."""
        if not self.halves:
            return x
        kept = x.shape[-1] - self.halves
        return halved(x, kept, self.phases)

    def _halved_one(self, x: Tensor, store: Tensor, place: int) -> Tensor:
        if not self.halves:
            return x
        kept = x.shape[-1] - self.halves
        out = torch.cat([x[..., :kept], store[:, place : place + 1]], dim=-1)
        store[:, place] = x[:, 0, kept:]
        return out

    def _fill(self, store: Tensor, x: Tensor, counts: Tensor | None) -> None:
        """The last elements of every phase, each at its place."""
        if not self.halves:
            return
        assert counts is None, "rows that advance by themselves have no shift"
        count, kept = x.shape[1], x.shape[-1] - self.halves
        last = torch.arange(max(0, count - self.phases), count, device=x.device)
        store[:, last % self.phases] = x[:, last, kept:].detach()
