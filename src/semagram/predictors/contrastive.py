"""Contrastive decoding: what a good predictor says and a poor one does not.

    z = (1 + strength) log p_expert - strength log p_amateur   where p_expert >= plausible * max p_expert, else -inf

and log_softmax(z) is the distribution (Li et al. 2022, arXiv 2210.15097, in the form of O'Brien & Lewis 2023,
2309.09117). It is made for writing: since tokens that are not plausible have probability 0, a text that has one costs
infinitely many nats under it. Expert and amateur are any predictors of one vocabulary that write the same cells in the
same order. Tested against the formula, and against x-transformers' function on logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import cast

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout
from semagram.predictors.contract import DecodingState, Predictor, rewindable


@dataclass(frozen=True)
class Contrastive:
    """An expert against an amateur; a predictor, so every way of decoding works on it."""

    expert: Predictor
    """Who is believed."""
    amateur: Predictor
    """Whose habits are held against it: a smaller or less trained model, an n-gram."""
    strength: float = 0.5
    """How much; 0: the plausible tokens of the expert alone."""
    plausible: float = 0.1
    """Share of the likeliest token's probability that a token must have under the expert."""

    def __post_init__(self) -> None:
        sizes = self.expert.vocabulary_size, self.amateur.vocabulary_size
        if sizes[0] != sizes[1]:
            raise UserError(f"expert and amateur must share one vocabulary; they know {sizes[0]} and {sizes[1]} ids.")
        if not (self.expert.fixed_order and self.amateur.fixed_order):
            raise UserError("expert and amateur must both write in a fixed order; one of them chooses where.")
        if not 0.0 <= self.strength <= 100.0:
            raise UserError(f"strength must be from 0 to 100, got {self.strength}.")
        if not 0.0 < self.plausible <= 1.0:
            raise UserError(f"plausible must be above 0 and at most 1, got {self.plausible}.")

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.expert.vocabulary_size

    @property
    def context(self) -> int | None:
        """The smaller of both; None when neither has a limit."""
        limits = [p.context for p in (self.expert, self.amateur) if p.context is not None]
        return min(limits) if limits else None

    @property
    def fixed_order(self) -> bool:
        """True."""
        return True

    def canvas(self, length: int) -> Layout:
        """That of the one with the smaller context; raises ``ValueError`` above it."""
        both = (self.expert, self.amateur)
        return min(both, key=lambda p: float("inf") if p.context is None else p.context).canvas(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> ContrastiveState:
        """Start ``batch`` canvases in both."""
        return ContrastiveState(self, self.expert.open(layout, batch, given), self.amateur.open(layout, batch, given))


class ContrastiveState:
    """See ``DecodingState`` and ``Rewindable``."""

    def __init__(self, predictor: Contrastive, expert: DecodingState, amateur: DecodingState) -> None:
        self._predictor, self._both = predictor, (expert, amateur)

    @property
    def next_positions(self) -> Tensor:
        """``(b, g)``; ``ValueError`` when the two disagree on what comes next."""
        first, second = (state.next_positions for state in self._both)
        if not torch.equal(first.cpu(), second.cpu()):
            raise ValueError("expert and amateur do not write the same cells next, so they cannot be contrasted.")
        return first

    def log_probs(self) -> Tensor:
        """``(b, g, v)``."""
        _ = self.next_positions
        expert, amateur = (state.log_probs().cpu() for state in self._both)
        return contrasted(expert, amateur, self._predictor)

    def write(self, ids: Tensor) -> None:
        """``(b, g)``."""
        for state in self._both:
            state.write(ids.to(state.next_positions.device))

    def read(self, ids: Tensor) -> Tensor:
        """``(b, m)`` -> ``(b, m, v)``, both in parallel."""
        _ = self.next_positions
        expert, amateur = (s.read(ids.to(s.next_positions.device)).cpu() for s in self._both)
        return contrasted(expert, amateur, self._predictor)

    def mark(self) -> tuple[object, ...]:
        """See ``Rewindable``."""
        return tuple(rewindable(state).mark() for state in self._both)

    def rewind(self, mark: object) -> None:
        """See ``Rewindable``."""
        for state, one in zip(self._both, cast(tuple[object, ...], mark), strict=True):
            rewindable(state).rewind(one)

    def select(self, rows: Tensor) -> None:
        """See ``Rewindable``."""
        for state in self._both:
            rewindable(state).select(rows)


def contrasted(expert: Tensor, amateur: Tensor, how: Contrastive) -> Tensor:
    """The formula on log-probabilities ``(..., v)``."""
    kept = expert >= expert.amax(dim=-1, keepdim=True) + log(how.plausible) if expert.numel() else expert > 0
    z = (1 + how.strength) * expert.double() - how.strength * amateur.double()
    return torch.log_softmax(z.masked_fill(~kept, float("-inf")), dim=-1).float()
