"""Does anything between the text and the ids look ahead? A character is changed; earlier answers must not move.

``prepare(text)`` makes everything that a prediction of the text uses: ids, and the predictor with whatever side
information (tags, labels, retrieved passages) it was given for that text. Side information that knows of a later
character moves an answer for an earlier id, and that is what is looked for: bit for bit, over the ids that both texts
begin with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from semagram.verbs.auditing.probe import first_difference
from semagram.verbs.auditing.report import NotAsked, Suspicion

Prepare = Callable[[str], tuple[Any, np.ndarray]]
"""``text -> (predictor, ids (N,))``."""

_PLACES = 6


def text_reaches_no_earlier_answer(
    prepare: Prepare | None, text: str | None, characters: int, places: int = _PLACES
) -> str:
    """Change a character, and cut the text short: answers for the ids that both texts begin with stay. ``places``: how
    many characters; side information of words changes with few of them."""
    if prepare is None or text is None:
        raise NotAsked("no text and no way from text to ids was given")
    text = text[:characters]
    if len(set(text)) < 2:
        raise NotAsked("a text of one character has nothing to change it to")
    predictor, ids = prepare(text)
    free = not getattr(predictor, "fixed_order", True)
    answers = None if free else _answers(predictor, ids)
    asked = 0
    for place in sorted({1 + i * (len(text) - 2) // (places - 1) for i in range(places)}):
        other = next(c for c in text if c != text[place])
        for changed, what in (
            (text[:place] + other + text[place + 1 :], f"character {place} ({text[place]!r}) is changed to {other!r}"),
            (text[:place], f"the text ends before character {place}"),
        ):
            if answers is None:
                asked += _in_step(predictor, ids, *prepare(changed), what, place)
            else:
                asked += _compare(prepare, changed, what, ids, answers, place)
    return f"{asked} answers stay equal to the bit when the text after them is changed or cut"


def _compare(prepare: Prepare, changed: str, what: str, ids: np.ndarray, answers: torch.Tensor, place: int) -> int:
    predictor, other_ids = prepare(changed)
    n = answers.shape[1]
    # A canvas of the same length, so that the shapes (and so the bits) are comparable.
    whole = np.zeros(n, dtype=np.int64)
    whole[: len(other_ids)] = np.asarray(other_ids[:n])
    asked_for = min(len(other_ids), n)
    differs = (np.asarray(ids[:asked_for]) != whole[:asked_for]).nonzero()[0]
    common = int(differs[0]) if len(differs) else asked_for
    # The id that differs is still asked for with equal knowledge; where the text just ends, nothing is asked there.
    known = min(common + 1, asked_for)
    if known == 0:
        return 0
    found = first_difference(answers[:, :known], _answers(predictor, whole)[:, :known])
    if found is not None:
        raise Suspicion(
            f"when {what}, the answer for id {found[1]} moves by {found[2]:.3g} nats, although the ids before it are "
            f"the same: something between text and prediction looks ahead",
            cell=found[1], place=place, size=found[2],
        )  # fmt: skip
    return known


def _in_step(predictor: Any, ids: np.ndarray, other: Any, other_ids: np.ndarray, what: str, place: int) -> int:
    """For predictors that choose where to write: two canvases in step, until an id is written that differs."""
    pages = [_page(p, row)[1] for p, row in ((predictor, ids), (other, other_ids))]
    if pages[0].shape != pages[1].shape:
        return 0
    states = [p.open(_page(p, row)[0], 1) for p, row in ((predictor, ids), (other, other_ids))]
    asked = 0
    while (coming := states[0].next_positions).shape[1] > 0:
        if not torch.equal(coming, states[1].next_positions):
            raise Suspicion(
                f"when {what}, other cells come next after {asked} cells, although all written so far are the same: "
                f"the order of writing looks ahead",
                cell=int(coming[0, 0]), place=place,
            )  # fmt: skip
        found = first_difference(states[0].log_probs(), states[1].log_probs())
        if found is not None:
            raise Suspicion(
                f"when {what}, the answer for cell {int(coming[0, found[1]])} moves by {found[2]:.3g} nats, although "
                f"all cells written so far are the same: something between text and prediction looks ahead",
                cell=int(coming[0, found[1]]), place=place, size=found[2],
            )  # fmt: skip
        written = [page.gather(1, coming.cpu()) for page in pages]
        asked += coming.shape[1]
        if not torch.equal(written[0], written[1]):
            break
        for state in states:
            state.write(written[0])
    return asked


def _answers(predictor: Any, ids: np.ndarray) -> torch.Tensor:
    """``(1, n, v)`` of the first canvas, in cell order."""
    layout, row = _page(predictor, ids)
    order = layout.positions().order()
    read = predictor.open(layout, 1).read(row[:, order])
    return torch.empty_like(read).index_copy_(1, order, read)[:, : len(ids)].detach()


def _page(predictor: Any, ids: np.ndarray) -> tuple[Any, torch.Tensor]:
    """The first canvas and its ids ``(1, n)``; what the text leaves open is filled with id 0."""
    context = predictor.context
    n = len(ids) if context is None else min(len(ids), context)
    try:
        layout = predictor.canvas(n)
    except ValueError:
        layout = predictor.canvas(context)
    row = torch.zeros(1, layout.count, dtype=torch.int64)
    row[0, :n] = torch.from_numpy(np.asarray(ids[:n], dtype=np.int64))
    return layout, row
