"""The suffix predictor: long matches of what was just written, on top of a short n-gram.

The idea of infini-gram (Liu et al. 2024, "Infini-gram: Scaling Unbounded n-gram Language Models"): look in the
training text for everything that ever followed the last 7, 9, 12, ... tokens (``matches``), and hand over to a
Kneser-Ney model of shorter contexts in proportion. The weights are learnt on the last tenth of the training text, from
counts of the rest. Tested against a plain search through the text.
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
from semagram.predictors.matches import Matches, checked_lengths, latest, windows
from semagram.predictors.suffix_array import BEFORE

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
        if not self.lengths:
            raise UserError("lengths must hold at least one number.")
        checked_lengths(self.lengths, "lengths")

    def fit(self, ids: np.ndarray, vocabulary_size: int) -> SuffixPredictor:
        """Index the training text ``ids`` ``(n,)``, n >= 1, and learn the weights from its last tenth."""
        ids = checked_ids(ids, vocabulary_size)
        cut = ids.size - ids.size // 10
        early = SuffixModel(self, ids[:cut], vocabulary_size)
        if cut < ids.size:
            early.learn_weights(ids, cut)
        return SuffixPredictor(SuffixModel(self, ids, vocabulary_size, early.matches.weights))


class SuffixModel:
    """The index of a text and the weights; a ``ContextModel`` whose contexts are the last tokens, latest first."""

    def __init__(
        self, config: SuffixConfig, ids: np.ndarray, vocabulary_size: int, weights: np.ndarray | None = None
    ) -> None:
        """ids: ``(n,)`` the text to look in. weights: of the matches; none: not learnt yet."""
        self.config, self.ids = config, ids
        self.base = KneserNey.fit(ids, vocabulary_size, config.order)
        self.matches = Matches(ids, vocabulary_size, config.lengths, weights)
        self._reach = max(config.lengths[-1], config.order)

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
        return windows(contexts, ids)

    def rows(self, contexts: np.ndarray) -> np.ndarray:
        """``(b, reach)`` -> ``(b, v)`` float32 natural-log probabilities."""
        result = np.empty((contexts.shape[0], self.vocabulary_size), dtype=np.float32)
        step = max(_CELLS_AT_ONCE // self.vocabulary_size, 1)
        for begin in range(0, contexts.shape[0], step):
            part = contexts[begin : begin + step]
            p = np.exp(self.base.log_probs(part[:, : self.config.order][:, ::-1], np.float64))
            self.matches.onto(p, part)
            result[begin : begin + step] = np.log(p)
        return result

    def learn_weights(self, ids: np.ndarray, begin: int) -> None:
        """Set the weights to what predicts ``ids[begin:]`` best; this model must not have read that part."""
        first = max(begin - self._reach, 0)
        p = np.exp(self.base.sequence_log_probs(ids[first:]).astype(np.float64))[begin - first :]
        self.matches.learn(p, latest(ids, np.arange(begin, ids.size), self._reach), ids[begin:])

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save; the index is built again from the text."""
        shape = [self.vocabulary_size, self.config.order, *self.config.lengths]
        return {"shape": np.array(shape, dtype=np.int64), "ids": self.ids, "weights": self.matches.weights}


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
