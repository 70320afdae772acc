"""The suffix predictor: long matches of what was just written, on top of a short n-gram.

The idea of infini-gram (Liu et al. 2024, "Infini-gram: Scaling Unbounded n-gram Language Models"): look in the
training text for everything that ever followed the last 7, 9, 12, ... tokens. It hands over to shorter contexts in
proportion, so that it is a distribution: with p_0 the Kneser-Ney model of ``order`` tokens and n_j(w) how often w
followed the last ``lengths[j]`` tokens,

    p_j(w) = (1 - a) p_{j-1}(w) + a n_j(w) / n_j,    a = weight[j, how often, how many different]

The weights are learnt by expectation maximisation (deleted interpolation, Jelinek & Mercer 1980) on the last tenth of
the training text, from counts of the rest. Tested against a plain search through the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout, Sequence
from semagram.predictors.gram_trie import checked_ids
from semagram.predictors.kneser_ney import KneserNey
from semagram.predictors.left_to_right import LeftToRightState
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


@dataclass(frozen=True)
class SuffixConfig:
    """Long matches over a Kneser-Ney model."""

    order: int = 5
    """Tokens of context of the Kneser-Ney model below the matches."""
    lengths: tuple[int, ...] = (7, 9, 12, 16, 22)
    """Tokens of context that are looked up, ascending. The defaults suit characters; for subwords try (3, 4, 6, 9)."""

    def __post_init__(self) -> None:
        if self.order < 0:
            raise UserError(f"order must be at least 0, got {self.order}.")
        if not self.lengths or self.lengths[0] < 1 or list(self.lengths) != sorted(set(self.lengths)):
            raise UserError(f"lengths must be one or more ascending numbers from 1 up, got {self.lengths}.")

    def fit(self, ids: np.ndarray, vocabulary_size: int) -> SuffixPredictor:
        """Index the training text ``ids`` ``(n,)``, n >= 1, and learn the weights from its last tenth."""
        ids = checked_ids(ids, vocabulary_size)
        cut = ids.size - ids.size // 10
        weights = np.full((len(self.lengths), _FREQUENCIES * _VARIETIES), _PRIOR)
        SuffixModel(self, ids[:cut], vocabulary_size, weights).learn_weights(ids, cut)
        return SuffixPredictor(SuffixModel(self, ids, vocabulary_size, weights))


class SuffixModel:
    """The index of a text and the weights; a ``ContextModel`` whose contexts are the last tokens, latest first."""

    def __init__(self, config: SuffixConfig, ids: np.ndarray, vocabulary_size: int, weights: np.ndarray) -> None:
        """ids: ``(n,)`` the text to look in. weights: ``(lengths, frequencies x varieties)`` in 0..1."""
        self.config, self.ids, self.weights = config, ids, weights
        self.base = KneserNey.fit(ids, vocabulary_size, config.order)
        self._reach = max(config.lengths[-1], config.order)
        self._array = ContextArray.build(ids, vocabulary_size, self._reach)
        self._next = ids[self._array.places]

    @property
    def vocabulary_size(self) -> int:
        """v: ids 0..v-1 can be emitted."""
        return self.base.vocabulary_size

    def empty_contexts(self, batch: int) -> np.ndarray:
        """``(batch, reach)``: nothing written yet."""
        return np.full((batch, self._reach), BEFORE, dtype=np.int64)

    def advance(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """``(b, reach)`` and ``(b,)`` -> ``(b, reach)``: one more symbol a row."""
        return np.concatenate([symbols[:, None], contexts[:, :-1]], axis=1)

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``(b, reach)`` and ``(b, m)`` -> ``(b, m + 1, reach)``: before each id and after the last."""
        line = np.concatenate([contexts[:, ::-1], ids], axis=1)
        return np.lib.stride_tricks.sliding_window_view(line, self._reach, axis=1)[:, :, ::-1]

    def rows(self, contexts: np.ndarray) -> np.ndarray:
        """``(b, reach)`` -> ``(b, v)`` float32 natural-log probabilities."""
        result = np.empty((contexts.shape[0], self.vocabulary_size), dtype=np.float32)
        step = max(_CELLS_AT_ONCE // self.vocabulary_size, 1)
        for begin in range(0, contexts.shape[0], step):
            part = contexts[begin : begin + step]
            p = np.exp(self.base.log_probs(part[:, : self.config.order][:, ::-1], np.float64))
            for j in range(len(self.config.lengths)):
                share, group, seen = self._evidence(part, j)
                weight = (self.weights[j, group] * seen)[:, None]
                p = (1.0 - weight) * p + weight * share
            result[begin : begin + step] = np.log(p)
        return result

    def learn_weights(self, ids: np.ndarray, begin: int) -> None:
        """Set the weights, length by length, to what predicts ``ids[begin:]`` best; this model must not have
        read that part."""
        target = ids[begin:]
        if target.size == 0:
            return
        first = max(begin - self._reach, 0)
        contexts = self.walk(self.empty_contexts(1), ids[None, first:-1])[0, begin - first :]
        p = np.exp(self.base.sequence_log_probs(ids[first:]).astype(np.float64))[begin - first :]
        step = max(_CELLS_AT_ONCE // self.vocabulary_size, 1)
        for j in range(len(self.config.lengths)):
            share, seen = np.zeros(target.size), np.zeros(target.size, dtype=bool)
            group = np.zeros(target.size, dtype=np.int64)
            for at in range(0, target.size, step):
                part = slice(at, at + step)
                rows, group[part], seen[part] = self._evidence(contexts[part], j)
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

    def _evidence(self, contexts: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What followed the last ``lengths[j]`` tokens: shares ``(b, v)`` float64, group of weights ``(b,)``, and
        whether anything did ``(b,)`` bool."""
        batch, v = contexts.shape[0], self.vocabulary_size
        begin, end = self._array.intervals(contexts, self.config.lengths[j])
        total = end - begin
        size = np.minimum(total, _OCCURRENCES)
        owner = np.repeat(np.arange(batch), size)
        nth = np.arange(owner.size) - np.repeat(np.cumsum(size) - size, size)
        followed = self._next[begin[owner] + nth * total[owner] // np.maximum(size[owner], 1)]
        counts = np.bincount(owner * v + followed, minlength=batch * v).reshape(batch, v)
        frequency = np.minimum(np.frexp(np.maximum(size, 1))[1] - 1, _FREQUENCIES - 1)
        variety = np.clip((counts > 0).sum(axis=1), 1, _VARIETIES) - 1
        return counts / np.maximum(size, 1)[:, None], frequency * _VARIETIES + variety, size > 0

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save; the index is built again from the text."""
        shape = [self.vocabulary_size, self.config.order, *self.config.lengths]
        return {"shape": np.array(shape, dtype=np.int64), "ids": self.ids, "weights": self.weights}


class SuffixPredictor:
    """Long matches on a canvas; answers the ``Predictor`` contract. Build it with ``SuffixConfig(...).fit(...)``."""

    def __init__(self, model: SuffixModel) -> None:
        """model: the indexed text with its weights."""
        self.model = model

    @property
    def vocabulary_size(self) -> int:
        """v: ids 0..v-1 can be emitted."""
        return self.model.vocabulary_size

    @property
    def context(self) -> None:
        """No limit: a canvas may be as long as the text."""
        return None

    @property
    def fixed_order(self) -> bool:
        """Cells are written in the order of their ranks."""
        return True

    def canvas(self, length: int) -> Sequence:
        """A line of ``length`` cells."""
        return Sequence(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> LeftToRightState:
        """Start ``batch`` canvases; ``given`` ``(b, n)`` may fix the same leading cells of every row."""
        return LeftToRightState(self.model, layout, batch, given)

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save, for safetensors."""
        return self.model.arrays()

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> SuffixPredictor:
        """The predictor that ``arrays`` came from, equal to the bit."""
        v, order, *lengths = (int(number) for number in arrays["shape"])
        return SuffixPredictor(SuffixModel(SuffixConfig(order, tuple(lengths)), arrays["ids"], v, arrays["weights"]))
