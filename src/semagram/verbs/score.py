"""Score: what every id of a text costs under a model, read in exactly the canvases that ``compress`` codes.

The ids are known here, so canvases do not depend on each other and are read many at a time, and a model that writes
in a fixed order reads each in parallel. The total agrees with the compressed file to the coder's rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.compress import checked_ids
from semagram.verbs.lockstep import Exchange, opened, walk
from semagram.verbs.windows import Canvases, Plan, gathered, plan_of

_NUMBERS_AT_ONCE = 1 << 24
"""Log-probabilities held at a time: 64 MB."""


@dataclass(frozen=True)
class Score:
    """What a text costs; natural units (nats) unless said otherwise."""

    nats: np.ndarray
    """``(N,)`` float64: -ln of the probability of each id when its turn came."""
    ranks: np.ndarray
    """``(N,)`` int64: 1 where no id was likelier, 2 where one was, ..."""
    plan: Plan
    """The canvases in which the text was read."""

    @property
    def tokens(self) -> int:
        """N."""
        return len(self.nats)

    @cached_property
    def total_nats(self) -> float:
        """The sum over all ids."""
        return float(self.nats.sum())

    @property
    def nats_per_token(self) -> float:
        """The mean. ``UserError`` for an empty text."""
        if not self.tokens:
            raise UserError("an empty text has no nats per token.")
        return self.total_nats / self.tokens

    def bits_per_character(self, characters: int) -> float:
        """The total in bits over ``characters`` of the text. ``UserError`` below 1."""
        if characters < 1:
            raise UserError(f"bits per character need at least one character, got {characters}.")
        return self.total_nats / float(np.log(2)) / characters


@dataclass(frozen=True)
class TokenScore:
    """One line of the table."""

    text: str
    """The token, printable."""
    nats: float
    """-ln of its probability."""
    probability: float
    """When its turn came."""
    rank: int
    """1 where no id was likelier."""


def score(
    predictor: Predictor,
    ids: np.ndarray,
    *,
    stretches: int | None = None,
    stride: int | None = None,
    cells: int = 16_384,
    parallel: bool = True,
) -> Score:
    """What each of ``ids`` ``(N,)`` costs, in the order of the text.

    stretches, stride: see ``plan_of``. cells: a batch of canvases has at most so many (or is a single canvas).
    parallel: use ``state.read`` where the order is fixed (else, and where the predictor chooses its order, step by
    step). ``UserError`` for ids that the model does not know and numbers out of range.
    """
    ids = checked_ids(predictor, ids)
    if cells < 1:
        raise UserError(f"cells must be at least 1, got {cells}.")
    plan = plan_of(predictor, len(ids), stretches, stride)
    found = Score(np.zeros(len(ids)), np.zeros(len(ids), dtype=np.int64), plan)

    def look_up(log_probs: np.ndarray, places: np.ndarray) -> np.ndarray:
        known = ids[places]
        chosen = np.take_along_axis(log_probs, known[:, None], axis=1)
        found.nats[places] = -chosen[:, 0]
        found.ranks[places] = 1 + (log_probs > chosen).sum(axis=1)
        return known

    with torch.no_grad():
        for canvases in gathered(plan.rounds(), cells):
            if parallel and predictor.fixed_order:
                _read(predictor, canvases, ids, look_up)
            else:
                walk(predictor, canvases, ids, look_up)
    return found


def table(found: Score, ids: np.ndarray, token_texts: Sequence[str]) -> list[TokenScore]:
    """One line for each of ``ids`` ``(N,)``; ``token_texts`` are the v tokens' (``Tokenizer.token_texts``)."""
    return [
        TokenScore(token_texts[int(i)], nats, float(np.exp(-nats)), rank)
        for i, nats, rank in zip(ids.tolist(), found.nats.tolist(), found.ranks.tolist(), strict=True)
    ]


def _read(predictor: Predictor, canvases: Canvases, ids: np.ndarray, exchange: Exchange) -> None:
    """As ``walk``, for a predictor that writes in the order of rank: a run of cells in one pass."""
    order = predictor.canvas(canvases.length).positions().order().numpy()[canvases.given :]
    state = opened(predictor, canvases, ids)
    run = max(1, _NUMBERS_AT_ONCE // (canvases.rows * predictor.vocabulary_size))
    for start in range(0, len(order), run):
        cells = order[start : start + run]
        counts = cells < canvases.filled[:, None]
        places = canvases.offsets[:, None] + cells
        written = np.where(counts, ids[np.minimum(places, len(ids) - 1)], 0)
        rows = state.read(torch.from_numpy(written)).cpu().numpy()
        exchange(rows[counts], places[counts])
