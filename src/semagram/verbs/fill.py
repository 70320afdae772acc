"""Fill: write what is known first, then ask for the rest.

A predictor that chooses where to write (masked, any order) sees both sides of a gap, and fills all gaps of a canvas
together, in its own order. What it doubts can be written again, given everything else (``Rewriting``; the
likelihood-consistent form of a feedback loop is ReMDM, arXiv 2503.00307). One that writes from left to right fills gap
after gap with several candidates, each judged by what it says of the text that follows as well.

Where a gap's length is open, every length of its range is tried, and the one is kept whose tokens, together with the
``AFTER`` tokens behind them, cost least per token. Tested against the exact posterior of small models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.filling.any_order import fill_any_order
from semagram.verbs.filling.filled import AFTER, Filled, Rewriting, Stroke
from semagram.verbs.filling.left_to_right import fill_left_to_right
from semagram.verbs.gaps import Gap, Piece, page_of
from semagram.verbs.sampling import Sampling

__all__ = ["AFTER", "Filled", "Rewriting", "Stroke", "fill"]

Watch = Callable[[Stroke], None]

MOST_LENGTHS = 64
"""Lengths that one gap may be tried with."""


@torch.inference_mode()
def fill(
    predictor: Predictor,
    pieces: Sequence[Piece],
    sampling: Sampling | None = None,
    *,
    seed: int = 0,
    candidates: int | None = None,
    rewriting: Rewriting | None = None,
    watch: Watch | None = None,
) -> Filled:
    """Known ids and gaps, in turn, to a text without gaps.

    candidates: how many fillings are written of which the best is kept; none: 1, or 16 from left to right.
    rewriting: doubtful cells are written again (predictors in any order only). watch: told of every step.
    ``UserError`` for a text without gaps, ids that the model does not know, and options that cannot act.
    """
    sampling = sampling or Sampling()
    if not any(isinstance(piece, Gap) for piece in pieces):
        raise UserError("the text has no gap: there is nothing to fill.")
    known = page_of([piece for piece in pieces if not isinstance(piece, Gap)])
    if known.size and not 0 <= known.min() <= known.max() < predictor.vocabulary_size:
        raise UserError(f"ids must be in 0..{predictor.vocabulary_size - 1}, got {known.min()}..{known.max()}.")
    if candidates is not None and candidates < 1:
        raise UserError(f"candidates must be at least 1, got {candidates}.")
    if predictor.fixed_order:
        if rewriting is not None:
            raise UserError("rewriting cannot act: this model writes from left to right and cannot rewrite a cell.")
        return _chosen_lengths(
            pieces, lambda p: fill_left_to_right(predictor, page_of(p), sampling, seed, candidates or 16), watch
        )
    count = candidates or 1
    if count > 1 and sampling.temperature == 0:
        raise UserError(f"{count} candidates cannot act at temperature 0: they would all be the same.")

    def best(chosen: Sequence[Piece]) -> Filled:
        page = page_of(chosen)
        found = [fill_any_order(predictor, page, sampling, seed + i, rewriting) for i in range(count)]
        return min(found, key=lambda f: f.cost)

    return _chosen_lengths(pieces, best, watch)


def _chosen_lengths(
    pieces: Sequence[Piece], attempt: Callable[[Sequence[Piece]], Filled], watch: Watch | None
) -> Filled:
    """Settle open lengths gap by gap (the others meanwhile at their least), then keep the cheapest filling."""
    pieces = list(pieces)
    best: Filled | None = None
    for at, piece in enumerate(pieces):
        if not isinstance(piece, Gap) or piece.least == piece.most:
            continue
        if piece.most - piece.least >= MOST_LENGTHS:
            raise UserError(f"a gap of {piece} tokens has too many lengths to try: at most {MOST_LENGTHS}.")
        tried = []
        for length in range(piece.least, piece.most + 1):
            trial = [*pieces[:at], Gap(length, length), *(_least(p) for p in pieces[at + 1 :])]
            tried.append((attempt(trial), length))
        best, length = min(tried, key=lambda pair: pair[0].cost)
        pieces[at] = Gap(length, length)
    found = attempt(pieces) if best is None else best
    if watch is not None:
        for stroke in found.strokes:
            watch(stroke)
    return found


def _least(piece: Piece) -> Piece:
    return Gap(piece.least, piece.least) if isinstance(piece, Gap) else piece
