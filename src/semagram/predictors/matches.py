"""Long matches: what followed the last 7, 9, 12, ... tokens elsewhere in a text, on top of any distribution.

With p_0 a row for the next token and n_j(w) how often w followed the last ``lengths[j]`` tokens in the text,

    p_j(w) = (1 - a) p_{j-1}(w) + a n_j(w) / n_j,    a = weight[j, how often, how many different]

so that it stays a distribution whatever p_0 was. The weights are learnt by expectation maximisation (deleted
interpolation, Jelinek & Mercer 1980) from places of which the index knew nothing; unbounded matches are the idea
of infini-gram (Liu et al. 2024). ``without`` leaves a block of the text out: every occurrence that touches it, for rows
that are cross-fitted. Tested against a plain search through the text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semagram.errors import UserError
from semagram.predictors.suffix_array import BEFORE, ContextArray

_FREQUENCIES = 6
"""Weights differ for contexts seen 1, 2-3, 4-7, 8-15, 16-31 and more times,"""
_VARIETIES = 4
"""and for 1, 2, 3 and more different tokens after them."""
_OCCURRENCES = 1024
"""Of more occurrences this many are counted, evenly spread, so that a repetitive text costs no more."""
_PRIOR, _PRIOR_STRENGTH = 0.1, 10.0
"""A weight begins as 0.1, worth 10 observations."""
_ROUNDS = 30
"""Of expectation maximisation; it converges in about ten."""
_CELLS_AT_ONCE = 2**21
"""Probabilities worked out in one go (16 MB of float64)."""

Block = tuple[np.ndarray, np.ndarray]
"""Begin and end ``(b,)`` of the block of the text that each row must not know."""


def checked_lengths(lengths: Sequence[int], name: str) -> None:
    """Raise ``UserError`` unless ``lengths`` are ascending numbers from 1 up."""
    if any(length < 1 for length in lengths) or list(lengths) != sorted(set(lengths)):
        raise UserError(f"{name} must be ascending numbers from 1 up, got {tuple(lengths)}.")


class Matches:
    """The index of a text and the weights. A context is ``(reach,)``: the latest token first, -1 before any."""

    def __init__(
        self, ids: np.ndarray, vocabulary_size: int, lengths: Sequence[int], weights: np.ndarray | None = None
    ) -> None:
        """ids: ``(n,)`` the text to look in. weights: ``(lengths, 24)`` in 0..1, by default not learnt yet."""
        self.lengths, self.reach, self.vocabulary_size = tuple(lengths), lengths[-1], vocabulary_size
        fresh = np.full((len(lengths), _FREQUENCIES * _VARIETIES), _PRIOR)
        self.weights = fresh if weights is None else weights
        self._array = ContextArray.build(ids, vocabulary_size, self.reach)
        self._next = ids[self._array.places]

    def onto(self, p: np.ndarray, contexts: np.ndarray, without: Block | None = None) -> None:
        """Turn rows ``p (b, v)`` float64 into p_J in place, after ``contexts (b, >= reach)``."""
        for rows in _parts(p.shape[0], self.vocabulary_size):
            left_out = None if without is None else (without[0][rows], without[1][rows])
            for j in range(len(self.lengths)):
                share, group, seen = self._evidence(contexts[rows], j, left_out)
                weight = (self.weights[j, group] * seen)[:, None]
                p[rows] = (1.0 - weight) * p[rows] + weight * share

    def learn(self, p: np.ndarray, contexts: np.ndarray, target: np.ndarray, without: Block | None = None) -> None:
        """Set the weights, length by length, to what predicts ``target (b,)`` best.

        p: ``(b,)`` float64, what p_0 gave the targets. None of it, nor the index without the blocks, may have read
        the targets.
        """
        p = p.copy()
        for j in range(len(self.lengths)):
            share, seen = np.zeros(target.size), np.zeros(target.size, dtype=bool)
            group = np.zeros(target.size, dtype=np.int64)
            for part in _parts(target.size, self.vocabulary_size):
                left_out = None if without is None else (without[0][part], without[1][part])
                rows, group[part], seen[part] = self._evidence(contexts[part], j, left_out)
                share[part] = rows[np.arange(rows.shape[0]), target[part]]
            for g in np.unique(group[seen]):
                mine = seen & (group == g)
                weight = _PRIOR
                for _ in range(_ROUNDS):
                    of_match = weight * share[mine]
                    belief = of_match / (of_match + (1.0 - weight) * p[mine])
                    weight = (belief.sum() + _PRIOR * _PRIOR_STRENGTH) / (belief.size + _PRIOR_STRENGTH)
                self.weights[j, g] = weight
                p[mine] = (1.0 - weight) * p[mine] + weight * share[mine]

    def _evidence(
        self, contexts: np.ndarray, j: int, without: Block | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What followed the last ``lengths[j]`` tokens: shares ``(b, v)`` float64, group of weights ``(b,)``, and
        whether anything did ``(b,)`` bool."""
        batch, v, length = contexts.shape[0], self.vocabulary_size, self.lengths[j]
        begin, end = self._array.intervals(contexts, length)
        total = end - begin
        size = np.minimum(total, _OCCURRENCES)
        owner = np.repeat(np.arange(batch), size)
        nth = np.arange(owner.size) - np.repeat(np.cumsum(size) - size, size)
        at = begin[owner] + nth * total[owner] // np.maximum(size[owner], 1)
        if without is not None:
            place = self._array.places[at]
            # What stands at ``place`` and the ``length`` tokens before it must lie outside the block.
            apart = (place < without[0][owner]) | (place >= without[1][owner] + length)
            owner, at = owner[apart], at[apart]
            size = np.bincount(owner, minlength=batch)
        counts = np.bincount(owner * v + self._next[at], minlength=batch * v).reshape(batch, v)
        frequency = np.minimum(np.frexp(np.maximum(size, 1))[1] - 1, _FREQUENCIES - 1)
        variety = np.clip((counts > 0).sum(axis=1), 1, _VARIETIES) - 1
        return counts / np.maximum(size, 1)[:, None], frequency * _VARIETIES + variety, size > 0


def latest(ids: np.ndarray, at: np.ndarray, reach: int) -> np.ndarray:
    """Contexts ``(b, reach)`` before the places ``at (b,)`` of a text, the latest token first."""
    places = at[:, None] - np.arange(1, reach + 1)
    return np.where(places < 0, BEFORE, ids[np.maximum(places, 0)])


def windows(before: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Contexts ``before (b, reach)`` and ``ids (b, m)`` -> ``(b, m + 1, reach)``: before each id, after the last."""
    line = np.concatenate([before[:, ::-1], ids], axis=1)
    return np.lib.stride_tricks.sliding_window_view(line, before.shape[1], axis=1)[:, :, ::-1]


def _parts(rows: int, vocabulary_size: int) -> list[slice]:
    """Rows that are worked out together."""
    step = max(_CELLS_AT_ONCE // vocabulary_size, 1)
    return [slice(begin, begin + step) for begin in range(0, rows, step)]
