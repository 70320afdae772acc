"""The predictor: the one contract every contestant answers, neural or not.

Open a canvas, ask for the distribution of the next group of cells, write tokens there, ask again.
Everything else is made of that: generating is ask, sample, write; scoring is ask, look up, write;
compressing is ask, encode, write; auditing is asking twice with a changed future.

Letters: b rows of the batch (independent canvases of one shape), n cells of a canvas, g cells of the group
that is predicted together, v vocabulary. Ids run from 0 to v - 1; the id v is reserved (mask, begin of text)
and can never be emitted, because the distribution has only v entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from semagram.layouts import Layout


@runtime_checkable
class DecodingState(Protocol):
    """One batch of canvases in the course of being written.

    ``next_positions`` is ``(b, g)`` int64: the cells whose distribution ``log_probs`` gives, g = 0 when the
    canvas is full. Which cells come next may depend on what is written (confidence order), never on what is
    not: a decoder that has only read so far must arrive at the same choice.
    """

    @property
    def next_positions(self) -> Tensor:
        """``(b, g)`` int64: the cells of the coming group in every row; g = 0 when nothing is left."""
        ...

    def log_probs(self) -> Tensor:
        """``(b, g, v)`` float32 natural-log probabilities of the coming group's cells; exp sums to 1 +- 1e-6."""
        ...

    def write(self, ids: Tensor) -> None:
        """Write ``(b, g)`` ids into the coming group's cells and move on."""
        ...

    def read(self, ids: Tensor) -> Tensor:
        """Write ``(b, m)`` ids into the coming m cells and return the ``(b, m, v)`` log-probabilities each
        cell had just before. Equal to asking and writing step by step (``read_step_by_step``), in parallel
        where the model can. Only for states whose order does not depend on the ids."""
        ...


@runtime_checkable
class Rewindable(Protocol):
    """A ``DecodingState`` that can go back, and whose rows can change places: what drafting and beams need.

    Every state of this library is one. A state that is not (a foreign predictor's) is opened anew instead
    (``verbs.reading``): slower, and the same numbers.
    """

    def mark(self) -> object:
        """Where the state is now. A mark is good until the state is rewound to an older one or rows are selected."""
        ...

    def rewind(self, mark: object) -> None:
        """Be again as at ``mark()``: whatever was asked or written since is forgotten, to the bit."""
        ...

    def select(self, rows: Tensor) -> None:
        """Row i goes on as row ``rows[i]`` has stood, ``rows (b,)`` int64; rows may be left out and taken twice."""
        ...


@runtime_checkable
class Placeable(Protocol):
    """A ``Predictor`` that reads what stands before its canvas, in the same text, to make side information of it.

    Windows overlap, and a row's text is known up to its window when that is opened, to encoder and decoder alike; so
    what was read in windows gone by need not be forgotten. A canvas that is opened without having been placed begins
    a text.
    """

    @property
    def memory(self) -> int:
        """Tokens before a canvas that are read, at most."""
        ...

    def placed(self, before: Sequence[np.ndarray], offsets: np.ndarray) -> Predictor:
        """The same predictor for a batch of canvases: row r stands at place ``offsets[r]`` of its text, behind the ids
        ``before[r]``."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A normalised distribution over a canvas of tokens, written in some order."""

    @property
    def vocabulary_size(self) -> int:
        """v: ids 0..v-1 can be emitted."""
        ...

    @property
    def context(self) -> int | None:
        """Cells the largest canvas may hold; None when there is no limit (longer canvases are then cheap)."""
        ...

    @property
    def fixed_order(self) -> bool:
        """True when cells are written in the order of their ranks, known in advance; False when the predictor
        chooses where to write next, and can be given cells anywhere."""
        ...

    def canvas(self, length: int) -> Layout:
        """The layout of a canvas for ``length`` tokens; raises ``ValueError`` above ``context``."""
        ...

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> DecodingState:
        """Start ``batch`` canvases. ``given`` is ``(b, n)`` int64 with the ids known beforehand and -1 where
        the cell is to be predicted; predictors with a fixed order accept the same leading cells (in order of
        writing) in every row and raise ``ValueError`` for anything else."""
        ...


def read_step_by_step(state: DecodingState, ids: Tensor) -> Tensor:
    """The reference for ``DecodingState.read``: ask, keep, write, group by group. ``(b, m)`` -> ``(b, m, v)``."""
    kept, done = [], 0
    while done < ids.shape[1]:
        group = state.next_positions.shape[1]
        if group == 0:
            raise ValueError(f"The canvas is full after {done} cells, but {ids.shape[1]} ids were to be read.")
        kept.append(state.log_probs())
        state.write(ids[:, done : done + group])
        done += group
    return torch.cat(kept, dim=1) if kept else state.log_probs()[:, :0]


def leading(given: Tensor | None, order: Tensor) -> Tensor | None:
    """The ids ``(b, k)`` that ``given`` fixes at the first k cells of ``order``; None when it fixes nothing.

    Raises ``ValueError`` when the known cells are not the same leading cells in every row: a predictor that
    writes in a fixed order cannot use what stands further on.
    """
    if given is None:
        return None
    in_order = given[:, order]
    known = in_order >= 0
    count = int(known[0].sum())
    if not bool((known == (torch.arange(known.shape[1], device=known.device) < count)).all()):
        raise ValueError(
            "This predictor writes in a fixed order, so the known cells must be the same leading ones in every "
            "row; to fill gaps anywhere, use a predictor that writes in any order (objective Masked)."
        )
    return in_order[:, :count] if count else None


Reader = Callable[[DecodingState, Tensor], Tensor]
"""``(state, ids (b, m)) -> log-probabilities (b, m, v)``: either ``state.read`` or ``read_step_by_step``."""


def rewindable(state: DecodingState) -> Rewindable:
    """``state`` as a ``Rewindable``; ``ValueError`` when it is none."""
    if not isinstance(state, Rewindable):
        raise ValueError(f"{type(state).__name__} cannot go back: it has no mark, rewind and select.")
    return state
