"""The n-gram predictor: modified Kneser-Ney behind the predictor contract.

The anchor of every comparison: it is fitted in half a second, and most small neural networks trained for minutes do
worse on text this short. Paper and formula: ``kneser_ney``. It reads any layout as a line, in the order of rank; the
first cells of a canvas are predicted from the shorter contexts there are. Tested as every predictor is: parallel
reading equals stepping, rows do not know their company.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout, Sequence
from semagram.predictors.kneser_ney import KneserNey
from semagram.predictors.left_to_right import LeftToRightState


@dataclass(frozen=True)
class NgramConfig:
    """An interpolated modified Kneser-Ney model."""

    order: int = 6
    """How many tokens before it a token is predicted from: 6 is best for characters of 1 MB of text, 2 or 3 for
    subwords. The model counts grams of ``order + 1`` tokens."""

    def __post_init__(self) -> None:
        if self.order < 0:
            raise UserError(f"order must be at least 0, got {self.order}.")

    def fit(self, ids: np.ndarray, vocabulary_size: int) -> NgramPredictor:
        """Count the training text ``ids`` ``(n,)``, n >= 1, values 0..v-1."""
        return NgramPredictor(KneserNey.fit(ids, vocabulary_size, self.order))


class NgramPredictor:
    """Kneser-Ney on a canvas; answers the ``Predictor`` contract. Build it with ``NgramConfig(...).fit(...)``."""

    def __init__(self, model: KneserNey) -> None:
        """model: the fitted counts."""
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
    def from_arrays(arrays: dict[str, np.ndarray]) -> NgramPredictor:
        """The predictor that ``arrays`` came from, equal to the bit."""
        return NgramPredictor(KneserNey.from_arrays(arrays))
