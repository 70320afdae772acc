"""How much of a text a model knows by heart: a question of its own, never a score.

Three figures. The *accuracy*: how often the likeliest token is the right one. The *ceiling*: the best accuracy that any
model can have that sees so many tokens, counted from the text itself (the most frequent successor of every context).
The *longest copy*: of what the model writes, the longest piece that stands in the text word for word.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.score import score


@dataclass(frozen=True)
class Memory:
    """What is known by heart of a text of N tokens."""

    tokens: int
    """N."""
    accuracy: float
    """Share of tokens that were the likeliest when their turn came."""
    ceilings: dict[int, float]
    """Context -> the best accuracy with so many tokens before."""
    copied: str
    """The longest piece of what was written that stands in the text."""


def accuracy(predictor: Predictor, ids: np.ndarray) -> float:
    """Share of ``ids (N,)`` that the model ranks first, read as ``score`` reads them. ``UserError`` for no ids."""
    if len(ids) == 0:
        raise UserError("an empty text cannot be known by heart.")
    return float((score(predictor, ids).ranks == 1).mean())


def ceiling(ids: np.ndarray, context: int) -> float:
    """Best possible accuracy on ``ids (N,)`` given the last ``context`` tokens (fewer at the beginning).

    Of each context its most frequent successor is right, and nothing else can be.
    """
    if len(ids) == 0 or context < 0:
        raise UserError(f"a ceiling needs a text and a context of at least 0, got {len(ids)} tokens and {context}.")
    # Contexts are numbered step by step: one of c + 1 tokens is (that of c tokens one place earlier, the last token).
    number = np.zeros(len(ids) + 1, dtype=np.int64)
    ends = np.concatenate([[0], ids.astype(np.int64) + 1])
    for _ in range(context):
        before = np.concatenate([[0], number[:-1]])
        number = np.unique(np.stack([before, ends]), axis=1, return_inverse=True)[1].reshape(-1)
    pairs = Counter(zip(number[:-1].tolist(), ids.tolist(), strict=True))
    best: dict[int, int] = {}
    for (place, _), times in pairs.items():
        best[place] = max(best.get(place, 0), times)
    return sum(best.values()) / len(ids)


def longest_copy(written: str, text: str) -> str:
    """The longest piece of ``written`` that stands in ``text``; the first of several.

    What grows by a character at its end and no longer stands there cannot stand there longer, so one pass over the
    beginnings is enough: the piece is only ever tried one longer than the best.
    """
    best = ""
    for start in range(len(written)):
        while (longer := written[start : start + len(best) + 1]) and len(longer) > len(best) and longer in text:
            best = longer
    return best
