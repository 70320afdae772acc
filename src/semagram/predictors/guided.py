"""Guidance: what tags make of a prediction, taken further than they go.

    z = (1 - scale) log p(without tags) + scale log p(with tags),      p = softmax(z)

Classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598; for language models Sanchez et al. 2023, 2306.17806) of
one model that was trained with axis dropout, and so serves with tags and without. Scale 1: with tags; 0: without; above
1: more of what they say. It is normalised, so its texts have a score, though seldom a good one. Tested against the
formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout
from semagram.predictors.causal import CausalState
from semagram.predictors.labelled import MEMORY, LabelledPredictor


@dataclass(frozen=True)
class Guided:
    """A labelled predictor, guided by its tags; a predictor."""

    tagged: LabelledPredictor
    """Who is asked with tags and without."""
    scale: float = 2.0
    """1: plainly with tags."""

    memory = MEMORY
    """See ``Placeable``."""

    def __post_init__(self) -> None:
        if not -10.0 <= self.scale <= 10.0:
            raise UserError(f"guidance must be from -10 to 10, got {self.scale}.")
        if not self.tagged.network.axes:
            raise UserError("guidance needs an axis of tags that is shown; this model has none.")
        if not all(axis.dropout for axis in self.tagged.network.axes):
            raise UserError("guidance needs a model that was trained without its tags too: give its axes dropout.")

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.tagged.vocabulary_size

    @property
    def context(self) -> int | None:
        """Cells of the largest canvas."""
        return self.tagged.context

    @property
    def fixed_order(self) -> bool:
        """Left to right."""
        return True

    def canvas(self, length: int) -> Layout:
        """A line of ``length``."""
        return self.tagged.canvas(length)

    def placed(self, before: Sequence[np.ndarray], offsets: np.ndarray) -> Guided:
        """See ``Placeable``."""
        return replace(self, tagged=self.tagged.placed(before, offsets))

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> GuidedState:
        """Start ``batch`` canvases, twice."""
        states = self.tagged.open(layout, batch, given), self.tagged.without().open(layout, batch, given)
        return GuidedState(states, self.scale)


class GuidedState:
    """See ``DecodingState`` and ``Rewindable``."""

    def __init__(self, states: tuple[CausalState, CausalState], scale: float) -> None:
        self._states, self._scale = states, scale

    @property
    def next_positions(self) -> Tensor:
        """``(b, g)``."""
        return self._states[0].next_positions

    def log_probs(self) -> Tensor:
        """``(b, g, v)``."""
        return self._joined(*(state.log_probs() for state in self._states))

    def write(self, ids: Tensor) -> None:
        """``(b, g)``."""
        for state in self._states:
            state.write(ids)

    def read(self, ids: Tensor) -> Tensor:
        """``(b, m) -> (b, m, v)``."""
        return self._joined(*(state.read(ids) for state in self._states))

    def mark(self) -> tuple[object, ...]:
        """See ``Rewindable``."""
        return tuple(state.mark() for state in self._states)

    def rewind(self, mark: object) -> None:
        """See ``Rewindable``."""
        for state, one in zip(self._states, cast(tuple[object, ...], mark), strict=True):
            state.rewind(one)

    def select(self, rows: Tensor) -> None:
        """See ``Rewindable``."""
        for state in self._states:
            state.select(rows)

    def _joined(self, tagged: Tensor, plain: Tensor) -> Tensor:
        return torch.log_softmax((1 - self._scale) * plain + self._scale * tagged, dim=-1)
