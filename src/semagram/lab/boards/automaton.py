"""A cellular automaton, row after row: an elementary rule on a ring, each cell turned over with probability ``noise``.

The first row is fair coins, so the least possible loss of a page is known: W ln 2 for it and h(noise) for every
further cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.lab.boards.contract import UNKNOWN


@dataclass(frozen=True)
class Automaton:
    """``height`` rows of ``width`` cells."""

    rule: int = 110
    """Wolfram's number of the elementary rule, 0 to 255."""
    height: int = 8
    """Rows."""
    width: int = 8
    """Cells of the ring."""
    noise: float = 0.05
    """Probability that a cell is turned over."""

    def __post_init__(self) -> None:
        if not 0 <= self.rule <= 255 or self.height < 2 or self.width < 3 or not 0.0 <= self.noise < 0.5:
            raise UserError(f"an automaton has a rule 0..255, 2 rows, 3 columns and a noise in [0, 0.5), got {self}.")

    @property
    def symbols(self) -> str:
        """Off and on."""
        return " #"

    @property
    def bayes_nats(self) -> float:
        """The least possible loss, nats a cell of a whole page."""
        p = self.noise
        turned = 0.0 if p == 0 else -p * math.log(p) - (1 - p) * math.log(1 - p)
        return (math.log(2) + (self.height - 1) * turned) / self.height

    def after(self, row: np.ndarray) -> np.ndarray:
        """The next row, without noise: ``(..., width)``."""
        code = 4 * np.roll(row, 1, axis=-1) + 2 * row + np.roll(row, -1, axis=-1)
        return (self.rule >> code) & 1

    def boards(self, count: int, seed: int) -> np.ndarray:
        """Pages ``(count, n)``."""
        random = np.random.default_rng((seed, 0))
        rows = [random.integers(0, 2, (count, self.width))]
        for _ in range(self.height - 1):
            turned = (random.random((count, self.width)) < self.noise).astype(np.int64)
            rows.append(self.after(rows[-1]) ^ turned)
        return np.stack(rows, axis=1).reshape(count, -1).astype(np.int64)

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The first row is known."""
        boards = self.boards(count, seed)
        puzzles = boards.copy()
        puzzles[:, self.width :] = UNKNOWN
        return puzzles, boards

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """Every row follows from the one above but for as many cells as noise explains (4 standard deviations)."""
        page = boards.reshape(-1, self.height, self.width)
        wrong = (self.after(page[:, :-1]) != page[:, 1:]).sum(axis=(1, 2))
        cells = (self.height - 1) * self.width
        return wrong <= self.noise * cells + 4 * math.sqrt(self.noise * (1 - self.noise) * cells)
