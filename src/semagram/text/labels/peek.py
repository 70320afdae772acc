"""The peek rate: how often a labeller tells of a character what only later characters can tell.

For a character t, the text is cut behind it and labelled again: does its tag change? The share of characters for which
it does is 0 for a labeller that may be read while predicting (``running``, ``finished``), and for any other the share
of tags that bring news from the future. Estimated over drawn places, with a 95 % interval (Wilson 1927).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.text.labels.contract import TextLabeller


@dataclass(frozen=True)
class PeekRate:
    """What was found."""

    asked: int
    """Characters that were asked about."""
    peeked: int
    """Of them, those whose tag changed when the rest was cut off."""
    labelled: int
    """Of them, those with a tag in the whole text."""
    labelled_peeked: int
    """Of those, the ones whose tag changed."""

    @property
    def rate(self) -> float:
        """Share of characters, 0..1."""
        return self.peeked / self.asked

    @property
    def labelled_rate(self) -> float:
        """Share of the characters that have a tag, 0..1; 0 when none has."""
        return self.labelled_peeked / max(self.labelled, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate (Wilson's, right at 0 and 1 too)."""
        z, n, p = 1.959964, self.asked, self.rate
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.rate:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def peek_rate(
    labeller: TextLabeller, text: str, *, prefixes: int = 400, seed: int = 0, characters: int = 10_000
) -> PeekRate:
    """Cut ``text`` at ``prefixes`` places drawn by ``seed``, all of them if it has no more.

    Of a longer text a passage of ``characters`` is read, also drawn: each cut is labelled from its beginning.
    ``UserError`` for an empty text.
    """
    if not text or prefixes < 1 or characters < 1:
        raise UserError(f"a peek rate needs a text and at least 1 prefix, got {len(text)} characters and {prefixes}.")
    random = np.random.default_rng(seed)
    start = int(random.integers(0, max(len(text) - characters, 0) + 1))
    passage = text[start : start + characters]
    whole = labeller.label(passage)
    every = len(passage) <= prefixes
    places = np.arange(len(passage)) if every else np.sort(random.choice(len(passage), prefixes, replace=False))
    changed = np.array([labeller.label(passage[: t + 1])[t] != whole[t] for t in places.tolist()])
    tagged = whole[places] != 0
    return PeekRate(len(places), int(changed.sum()), int(tagged.sum()), int((changed & tagged).sum()))
