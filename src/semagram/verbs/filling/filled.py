"""What filling gives: the text, when each of its cells was written, and how sure the model was."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from semagram.errors import UserError

AFTER = 8
"""Known tokens behind a gap that its filling is judged by, too."""


@dataclass(frozen=True)
class Rewriting:
    """Write the cells again that the model was least sure of, given all others."""

    rounds: int = 1
    """How often."""
    share: float = 0.2
    """Share of the written cells that are hidden in each round."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise UserError(f"rewriting rounds must be at least 1, got {self.rounds}.")
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"rewriting share must be above 0 and at most 1, got {self.share}.")


@dataclass(frozen=True)
class Stroke:
    """One step: these places of the text got these ids, each with the probability it had. id -1: wiped out again."""

    places: tuple[int, ...]
    ids: tuple[int, ...]
    probabilities: tuple[float, ...]


@dataclass
class Filled:
    """A text ``(n,)`` in the course of being filled, and what happened."""

    ids: np.ndarray
    """-1 where nothing is written yet."""
    given: np.ndarray
    """Bool: known beforehand."""
    moments: np.ndarray = field(init=False)
    """The number of the step that wrote each cell, from 0; -1 for what was given."""
    confidence: np.ndarray = field(init=False)
    """The probability that each cell's token had when it was written; 1 for what was given."""
    strokes: list[Stroke] = field(default_factory=list)
    after_nats: float = 0.0
    """What the known tokens behind the gaps cost, given the filling ..."""
    after_count: int = 0
    """... and how many there were."""

    def __post_init__(self) -> None:
        self.moments = np.full(len(self.ids), -1, dtype=np.int64)
        self.confidence = np.where(self.given, 1.0, 0.0)

    @property
    def nats(self) -> float:
        """What the written tokens cost when their turn came."""
        return float(-np.log(np.maximum(self.confidence[~self.given], 1e-300)).sum())

    @property
    def cost(self) -> float:
        """Nats a token of what was written and of what was judged behind it."""
        return (self.nats + self.after_nats) / max(1, int((~self.given).sum()) + self.after_count)

    def write(self, places: np.ndarray, ids: np.ndarray, probabilities: np.ndarray) -> None:
        """One step."""
        self.ids[places], self.confidence[places] = ids, probabilities
        self.moments[places] = len(self.strokes)
        self.strokes.append(Stroke(tuple(places.tolist()), tuple(ids.tolist()), tuple(probabilities.tolist())))

    def wipe(self, places: np.ndarray) -> None:
        """Forget what stands there."""
        self.ids[places], self.confidence[places] = -1, 0.0
        self.strokes.append(Stroke(tuple(places.tolist()), (-1,) * len(places), (0.0,) * len(places)))
