"""Filling with a predictor that chooses where to write: all gaps of a canvas together.

A text that is longer than a canvas is filled through a window around its first gaps, then the next. Cells of a canvas
that hold no text, and gaps beyond the window's last quarter (which would see nothing on their right), stay hidden.
"""

from __future__ import annotations

import numpy as np
import torch

from semagram.errors import UserError
from semagram.predictors.any_order import HIDDEN, AnyOrderPredictor
from semagram.predictors.contract import DecodingState, Predictor
from semagram.verbs.filling.filled import AFTER, Filled, Rewriting
from semagram.verbs.sampling import Sampling, uniforms
from semagram.verbs.windows import has_pages


def fill_any_order(
    predictor: Predictor, page: np.ndarray, sampling: Sampling, seed: int, rewriting: Rewriting | None
) -> Filled:
    """``page (n,)`` with -1 where something is to be written."""
    if not isinstance(predictor, AnyOrderPredictor):
        raise UserError(f"{type(predictor).__name__} cannot leave cells hidden; fill with a model trained by Masked.")
    filled = Filled(page.copy(), page >= 0)
    # A number of its own for every draw: first writings, then rewritings.
    draws = _Draws(sampling, seed)
    while (filled.ids < 0).any():
        start, length, wanted = window_of(predictor, filled.ids)
        _write(predictor, filled, start, length, wanted, draws)
        for _ in range(rewriting.rounds if rewriting is not None else 0):
            assert rewriting is not None
            count = max(1, round(rewriting.share * len(wanted)))
            doubtful = wanted[np.argsort(filled.confidence[wanted], kind="stable")[:count]]
            filled.wipe(doubtful)
            _write(predictor, filled, start, length, doubtful, draws)
        _judge(predictor, filled, start, length, wanted)
    return filled


def window_of(predictor: AnyOrderPredictor, ids: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Where the next canvas begins in the text, its cells, and the places ``(m,)`` it is to write."""
    context, n = predictor.layout.count, len(ids)
    unknown = np.flatnonzero(ids < 0)
    if n <= context:
        return 0, context if has_pages(predictor) else n, unknown
    first = int(unknown[0])
    last = int(unknown[unknown < first + context][-1])
    fits = last - first < context and (len(unknown) == 1 or unknown[-1] == last)
    start = (first + last + 1 - context) // 2 if fits else first - context // 4
    start = max(0, min(start, n - context))
    inside = unknown[(unknown >= start) & (unknown < start + context)]
    if not fits:
        near = inside[inside < start + context - context // 4]
        inside = near if len(near) else inside
    return start, context, inside


class _Draws:
    """Choosing tokens, with numbers that belong to the seed alone."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self._sampling, self._seed, self._row = sampling, seed, 0

    def choose(self, log_probs: torch.Tensor, page: np.ndarray) -> torch.Tensor:
        """``(1, g, v)`` -> ids ``(1, g)``."""
        uniform = uniforms(self._seed, self._row, log_probs.shape[1])[None]
        self._row += 1
        seen = None
        if self._sampling.repetition_penalty > 1.0:
            seen = torch.zeros(1, log_probs.shape[-1], dtype=torch.bool)
            seen[0, torch.from_numpy(page[page >= 0])] = True
        return self._sampling.choose(log_probs, seen, uniform)


def opened_around(
    predictor: AnyOrderPredictor, ids: np.ndarray, start: int, length: int, wanted: np.ndarray
) -> DecodingState:
    """The canvas at ``start``: what is written is given, ``wanted`` is asked for, the rest stays hidden."""
    given = np.full(length, HIDDEN, dtype=np.int64)
    part = ids[start : start + length]
    given[: len(part)] = np.where(part >= 0, part, HIDDEN)
    given[wanted - start] = -1
    return predictor.open(predictor.canvas(length), 1, torch.from_numpy(given)[None])


def _write(
    predictor: AnyOrderPredictor, filled: Filled, start: int, length: int, wanted: np.ndarray, draws: _Draws
) -> None:
    state = opened_around(predictor, filled.ids, start, length, wanted)
    while state.next_positions.shape[1] > 0:
        log_probs = state.log_probs().cpu()
        chosen = draws.choose(log_probs, filled.ids)
        places = start + state.next_positions[0].cpu().numpy()
        likely = log_probs[0].gather(1, chosen[0][:, None])[:, 0].exp().double().numpy()
        state.write(chosen.to(state.next_positions.device))
        filled.write(places, chosen[0].numpy(), likely)


def _judge(predictor: AnyOrderPredictor, filled: Filled, start: int, length: int, wanted: np.ndarray) -> None:
    """What the known tokens behind each gap cost, given everything else; added to ``filled``."""
    stop = min(start + length, len(filled.ids))
    behind: set[int] = set()
    for place in (int(p) + 1 for p in wanted):
        for near in range(place, min(place + AFTER, stop)):
            if not filled.given[near]:
                break
            behind.add(near)
    if not behind:
        return
    places = np.array(sorted(behind))
    state = opened_around(predictor, filled.ids, start, length, places)
    while state.next_positions.shape[1] > 0:
        true = filled.ids[start + state.next_positions[0].cpu().numpy()]
        ids = torch.from_numpy(true)[None].to(state.next_positions.device)
        filled.after_nats -= float(state.log_probs().gather(2, ids[..., None]).double().sum())
        filled.after_count += len(true)
        state.write(ids)
