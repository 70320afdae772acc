"""Ids to bytes and back, at the price that a model's probabilities set: a range coder (constriction's).

Rounding. A row of v log-probabilities becomes v whole-number weights w that sum to exactly 2^24 - v:
w_i = floor(p_i (2^24 - v) / sum p), in double precision, and what is left over goes to the likeliest id. The coder
gives id i the probability (w_i + 1) / 2^24. So every id stays possible (an impossible one costs 24 bits), the
distribution is normalised whatever the predictor says, and nothing inside the coder is rounded: constriction forms
cumulative weights by scaling with (2^24 - v) / sum w, which is exactly 1, and whole numbers below 2^24 are exact in
float32. At v = 65 the loss is below 1e-5 bits an id; the end of the stream costs 1 to 3 bytes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from semagram.errors import UserError

_TOTAL = 1 << 24
LARGEST_VOCABULARY = 1 << 20


def weights(log_probs: np.ndarray) -> np.ndarray:
    """``(k, v)`` natural-log probabilities -> ``(k, v)`` float32 whole numbers that sum to 2^24 - v in each row.

    ``ValueError`` for rows that are not a distribution (NaN, infinity, nothing possible).
    """
    with np.errstate(over="ignore"):
        share = np.exp(log_probs, dtype=np.float64)
    total = share.sum(axis=1, keepdims=True)
    if not (np.isfinite(total).all() and (total > 0).all()):
        raise ValueError("the predictor's log-probabilities are not finite; a row of them must be a distribution.")
    budget = _TOTAL - share.shape[1]
    share *= budget / total
    np.floor(share, out=share)
    share[np.arange(len(share)), share.argmax(axis=1)] += budget - share.sum(axis=1)
    return share.astype(np.float32)


class Encoder:
    """Takes ids in the order in which the decoder will give them back."""

    def __init__(self, vocabulary_size: int) -> None:
        """``UserError`` for a vocabulary above 2^20."""
        self._v = _checked(vocabulary_size)
        queue, self._family = _constriction()
        self._encoder = queue.RangeEncoder()

    def encode(self, log_probs: np.ndarray, ids: np.ndarray) -> None:
        """``(k, v)`` and ``(k,)`` ids in 0..v-1. A vocabulary of one costs nothing."""
        if self._v > 1 and len(ids):
            self._encoder.encode(ids.astype(np.int32), self._family, weights(log_probs))

    def bytes(self) -> bytes:
        """All that was encoded, in as few bytes as decode to it (a decoder reads zeros after the end)."""
        words = self._encoder.get_compressed().astype(">u4").tobytes()
        position, (lower, width) = self._encoder.pos()
        return _shortest_end(words, 4 * position, lower, width).rstrip(b"\0")


def _shortest_end(words: bytes, settled: int, lower: int, width: int) -> bytes:
    """``words`` with another end of the same meaning, and as many zero bytes at the end as can be.

    A range coder ends with any number of its last interval, ``lower .. lower + width - 1`` in 64 bits, of which whole
    words are written; the roundest one needs fewer bytes. It must lie on the same side of an overflow as the number
    that ``words`` hold, whose carry the ``settled`` first bytes have taken in.
    """
    chosen = int.from_bytes(words[settled:].ljust(8, b"\0")[:8], "big")
    first, last = (lower, lower + width - 1) if chosen >= lower else (0, lower + width - 1 - 2**64)
    last = min(last, 2**64 - 1)
    if not first <= chosen <= last:
        return words  # Not the layout that this reading of the coder expects: longer by three bytes, and right.
    for zeros in range(64, -1, -8):
        rounded = -(-first >> zeros) << zeros
        if rounded <= last:
            return words[:settled] + rounded.to_bytes(8, "big")
    return words


class Decoder:
    """Gives the ids back when asked with the same log-probabilities."""

    def __init__(self, vocabulary_size: int, data: bytes) -> None:
        """data: from ``Encoder.bytes``; zero bytes may follow."""
        self._v = _checked(vocabulary_size)
        queue, self._family = _constriction()
        words = np.frombuffer(data + bytes(-len(data) % 4), dtype=">u4").astype(np.uint32)
        self._decoder = queue.RangeDecoder(words)

    def decode(self, log_probs: np.ndarray) -> np.ndarray:
        """``(k, v)`` -> ``(k,)`` int64 ids. ``UserError`` when no ids lead to this data."""
        if self._v == 1 or not len(log_probs):
            return np.zeros(len(log_probs), dtype=np.int64)
        try:
            return self._decoder.decode(self._family, weights(log_probs)).astype(np.int64)
        except AssertionError:
            # How constriction says that the data lies outside of every id's interval.
            raise UserError("the coded text cannot have been written with this model.") from None


def _checked(vocabulary_size: int) -> int:
    if not 1 <= vocabulary_size <= LARGEST_VOCABULARY:
        raise UserError(f"a vocabulary of 1 to {LARGEST_VOCABULARY} can be coded, got {vocabulary_size}.")
    return vocabulary_size


@cache
def _constriction() -> tuple[Any, Any]:
    import constriction

    stream: Any = constriction.stream  # pyright: ignore[reportAttributeAccessIssue] (a compiled module)
    return stream.queue, stream.model.Categorical(perfect=False)
