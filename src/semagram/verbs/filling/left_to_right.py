"""Filling with a predictor that writes from left to right: gap after gap, several candidates each.

At temperature 0 the candidates are those of a beam search; above, they are drawn. Each is judged by what it costs *and*
by what the known tokens behind it cost after it: p(gap | before) p(behind | before, gap), which is the posterior of the
gap given both sides, up to a constant. With as many candidates as there are fillings it is the exact argmax (tested).
"""

from __future__ import annotations

import numpy as np
import torch

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.filling.filled import AFTER, Filled
from semagram.verbs.sampling import Sampling, uniforms
from semagram.verbs.windows import has_pages

MOST_BEFORE = 256
"""Tokens before a gap that a model without a limit is shown."""


def fill_left_to_right(
    predictor: Predictor, page: np.ndarray, sampling: Sampling, seed: int, candidates: int
) -> Filled:
    """``page (n,)`` with -1 where something is to be written."""
    filled = Filled(page.copy(), page >= 0)
    gap = 0
    while (filled.ids < 0).any():
        first = int(np.flatnonzero(filled.ids < 0)[0])
        stop = first
        while stop < len(page) and filled.ids[stop] < 0:
            stop += 1
        _fill_one(predictor, filled, first, stop, sampling, seed, gap, candidates)
        gap += 1
    return filled


def _fill_one(
    predictor: Predictor,
    filled: Filled,
    first: int,
    stop: int,
    sampling: Sampling,
    seed: int,
    gap: int,
    candidates: int,
) -> None:
    """The gap ``first ... stop - 1``; everything before it is written."""
    ids, length = filled.ids, stop - first
    behind = ids[stop : stop + AFTER]
    behind = behind[: int(np.argmax(behind < 0))] if (behind < 0).any() else behind
    context = predictor.context
    if context is not None and length + len(behind) > context:
        behind = behind[: max(0, context - length)]
        if length > context:
            raise UserError(f"a gap of {length} tokens does not fit this model's canvas of {context}.")
    room = MOST_BEFORE if context is None else context - length - len(behind)
    before = ids[max(0, first - room) : first]
    total = len(before) + length + len(behind)

    rows = np.tile(before, (1, 1))
    nats = np.zeros(1)
    each = np.zeros((1, 0))
    uniform = np.stack([uniforms(seed, gap * 100_003 + row, length).numpy() for row in range(candidates)])
    for at in range(length):
        asked = _next(predictor, rows, total)
        if sampling.temperature == 0:
            costs = nats[:, None] - asked
            order = np.argsort(costs, axis=None, kind="stable")[:candidates]
            order = order[np.isfinite(costs.reshape(-1)[order])]
            parent, token = np.divmod(order, predictor.vocabulary_size)
        else:
            if at == 0:
                rows, nats, each = (np.repeat(x, candidates, axis=0) for x in (rows, nats, each))
                asked = np.repeat(asked, candidates, axis=0)
            drawn = sampling.choose(torch.from_numpy(asked)[:, None], None, torch.from_numpy(uniform[:, at : at + 1]))
            parent, token = np.arange(candidates), drawn[:, 0].numpy()
        told = -asked[parent, token]
        rows = np.concatenate([rows[parent], token[:, None]], axis=1)
        nats, each = nats[parent] + told, np.concatenate([each[parent], told[:, None]], axis=1)
    after = _cost_of(predictor, rows, behind)
    best = int(np.argmin(nats + after))
    filled.after_nats += float(after[best])
    filled.after_count += len(behind)
    for at in range(length):
        place = np.array([first + at])
        filled.write(place, rows[best, len(before) + at, None], np.exp(-each[best, at, None]))


def _next(predictor: Predictor, rows: np.ndarray, total: int) -> np.ndarray:
    """Log-probabilities ``(r, v)`` of the token after ``rows (r, m)``, on a canvas of ``total`` cells."""
    state = _opened(predictor, rows, total)
    _text_order(predictor, state.next_positions, rows.shape[1])
    return state.log_probs()[:, 0].cpu().double().numpy()


def _opened(predictor: Predictor, rows: np.ndarray, total: int):
    length = predictor.context if has_pages(predictor) else total
    assert length is not None
    given = np.full((len(rows), length), -1, dtype=np.int64)
    given[:, : rows.shape[1]] = rows
    try:
        return predictor.open(predictor.canvas(length), len(rows), torch.from_numpy(given) if rows.size else None)
    except ValueError as error:
        if "fixed order" in str(error):
            raise UserError(_OTHER_ORDER) from None
        raise


_OTHER_ORDER = "this model writes its page in another order than the text's: fill with one that is trained by Masked."


def _text_order(predictor: Predictor, coming: torch.Tensor, at: int) -> None:
    if int(coming[0, 0]) != at:
        raise UserError(_OTHER_ORDER)


def _cost_of(predictor: Predictor, rows: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Nats ``(r,)`` of the known tokens behind, after each of ``rows (r, m)``."""
    if not len(behind):
        return np.zeros(len(rows))
    state = _opened(predictor, rows, rows.shape[1] + len(behind))
    ids = torch.from_numpy(np.tile(behind, (len(rows), 1))).to(state.next_positions.device)
    told = state.read(ids).gather(2, ids[..., None])[..., 0]
    return -told.cpu().double().sum(dim=1).numpy()
