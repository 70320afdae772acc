"""What stands beside every score: general compressors and the n-gram, on the same text.

Each compressor twice, alone and given the training text; both are sizes of files that decode. The n-gram is Kneser-Ney
of order 6 over characters, fitted on the training text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from semagram.predictors.ngram import NgramConfig
from semagram.text import Characters
from semagram.verbs.anchors import anchors
from semagram.verbs.score import score

MOST_TRAINING = 4_000_000
"""Characters of training text up to which the compressors are given it (xz takes a second a million, twice)."""
_MOST_NGRAM, _MOST_ALPHABET = 30_000_000, 400


@dataclass(frozen=True)
class Beside:
    """One bar."""

    name: str
    bits: float
    cpu_seconds: float | None = None
    """Processor time of its fitting; None where it was not measured."""


def compressors(held_out: str, training: str | None) -> list[Beside]:
    """xz, bz2 and gzip, best first, in bits per character."""
    given = training if training is not None and len(training) <= MOST_TRAINING else None
    found = []
    for anchor in anchors(held_out, given):
        if anchor.given_training is not None:
            found.append(Beside(f"{anchor.name}, given the training text", anchor.given_training))
        found.append(Beside(f"{anchor.name}, alone", anchor.alone))
    return sorted(found, key=lambda b: b.bits)


def ngram(held_out: str, training: str) -> Beside | None:
    """The n-gram, or None where it would take more than seconds."""
    if not training or len(training) > _MOST_NGRAM:
        return None
    tokenizer = Characters().train(training + held_out)
    if tokenizer.vocabulary_size > _MOST_ALPHABET:
        return None
    config = NgramConfig()
    ids, began = tokenizer.encode(training), time.process_time()
    predictor = config.fit(ids, tokenizer.vocabulary_size)
    spent = time.process_time() - began
    bits = score(predictor, tokenizer.encode(held_out)).bits_per_character(len(held_out))
    return Beside(f"n-gram (Kneser-Ney, order {config.order})", bits, spent)
