"""The exact cloze: one token hidden, all others known; the distribution over what it is.

A model that writes from left to right answers by Bayes: every candidate is put in, and the text behind is scored
after it, p(x | both sides) ~ p(x | before) p(behind | before, x), over as many tokens as are asked for. For an n-gram
of order k the k tokens behind are all that depend on x, so the answer is exact. A masked model is simply asked, and so
is a ``ClozeModel``, which is made for nothing else.
"""

from __future__ import annotations

import numpy as np
import torch

from semagram.errors import UserError
from semagram.predictors.cloze import ClozeModel
from semagram.predictors.contract import Predictor
from semagram.verbs.filling.any_order import opened_around, window_of
from semagram.verbs.windows import has_pages


@torch.inference_mode()
def cloze(
    predictor: Predictor | ClozeModel, ids: np.ndarray, place: int, *, before: int = 64, behind: int = 16
) -> np.ndarray:
    """Log-probabilities ``(v,)`` of the token at ``place`` of ``ids (n,)``, given all the others.

    before, behind: tokens on each side that a left-to-right model reads (a masked one reads its canvas). ``UserError``
    for a place that is not there.
    """
    if not 0 <= place < len(ids):
        raise UserError(f"the place must be from 0 to {len(ids) - 1}, got {place}.")
    ids = np.asarray(ids, dtype=np.int64)
    if isinstance(predictor, ClozeModel):
        return predictor.log_probs(ids, np.array([place]))[0]
    return _bayes(predictor, ids, place, before, behind) if predictor.fixed_order else _asked(predictor, ids, place)


def _bayes(predictor: Predictor, ids: np.ndarray, place: int, before: int, behind: int) -> np.ndarray:
    v, pages = predictor.vocabulary_size, has_pages(predictor)
    if predictor.context is not None:
        room = predictor.context - 1
        before, behind = min(before, place), min(behind, len(ids) - 1 - place)
        behind = min(behind, max(room // 2, room - before))
        before = min(before, room - behind)
    start, stop = max(0, place - before), min(len(ids), place + 1 + behind)
    rows = np.tile(ids[start:stop], (v, 1))
    rows[:, place - start] = np.arange(v)
    length = predictor.context if pages else stop - start
    assert length is not None
    given = np.full((v, length), -1, dtype=np.int64)
    given[:, : place - start] = rows[:, : place - start]
    state = predictor.open(predictor.canvas(length), v, torch.from_numpy(given) if place > start else None)
    asked = torch.from_numpy(rows[:, place - start :]).to(state.next_positions.device)
    told = state.read(asked).gather(2, asked[..., None])[..., 0].double().sum(dim=1).cpu()
    return torch.log_softmax(told, dim=0).numpy()


def _asked(predictor: Predictor, ids: np.ndarray, place: int) -> np.ndarray:
    page = ids.copy()
    page[place] = -1
    start, length, wanted = window_of(predictor, page)  # type: ignore[arg-type]
    state = opened_around(predictor, page, start, length, wanted)  # type: ignore[arg-type]
    return state.log_probs()[0, 0].double().cpu().numpy()
