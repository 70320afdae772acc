"""One batch of canvases, asked and written step by step: the only path by which encoder and decoder meet a predictor.

Both go through ``walk`` with the same batch shape and the same calls, so the probabilities are equal to the bit. What
becomes of them is the caller's: the encoder looks the ids up and codes them, the decoder decodes them, the scorer
looks them up and writes down what they cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from semagram.predictors.contract import DecodingState, Placeable, Predictor
from semagram.verbs.windows import Canvases

Exchange = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``(log-probabilities (k, v), places in the text (k,)) -> ids (k,)`` of the k counted cells of one step."""


def walk(predictor: Predictor, canvases: Canvases, text: np.ndarray, exchange: Exchange) -> None:
    """Write all counted cells of ``canvases``. ``text`` ``(N,)`` int64 holds at least the ids of the given cells.

    The counted cells of a step are exchanged row by row. A row that has ended writes id 0. ``RuntimeError`` when the
    predictor breaks its contract (no end, or other shapes than it should give).
    """
    state = opened(predictor, canvases, text)
    shortest, left = int(canvases.filled.min()), canvases.counted
    steps = 0
    while left:
        positions = state.next_positions
        cells = positions.cpu().numpy()
        group = cells.shape[1]
        answer = state.log_probs()
        steps += group
        if group == 0 or steps > canvases.length or answer.shape != (*cells.shape, predictor.vocabulary_size):
            raise RuntimeError(
                f"{type(predictor).__name__} must offer each of {canvases.length} cells once, with log-probabilities "
                f"(b, g, v); it offered positions {cells.shape} and {tuple(answer.shape)} with {left} ids to come."
            )
        rows = answer.cpu().numpy()
        places = canvases.offsets[:, None] + cells
        if cells.max() < shortest:
            ids = exchange(rows.reshape(-1, rows.shape[2]), places.reshape(-1)).reshape(cells.shape)
            left -= ids.size
        else:
            counts = cells < canvases.filled[:, None]
            ids = np.zeros(cells.shape, dtype=np.int64)
            if counts.any():
                ids[counts] = exchange(rows[counts], places[counts])
                left -= int(counts.sum())
        state.write(torch.from_numpy(ids).to(positions.device))


def opened(predictor: Predictor, canvases: Canvases, text: np.ndarray) -> DecodingState:
    """The predictor's state for these canvases, with their given cells known, and what stands before them where the
    predictor reads that."""
    if isinstance(predictor, Placeable):
        rows = zip(canvases.begins.tolist(), canvases.offsets.tolist(), strict=True)
        before = [text[max(begin, offset - predictor.memory) : offset] for begin, offset in rows]
        predictor = predictor.placed(before, canvases.offsets)
    given: Tensor | None = None
    if canvases.given:
        cells = np.full((canvases.rows, canvases.length), -1, dtype=np.int64)
        cells[:, : canvases.given] = text[canvases.offsets[:, None] + np.arange(canvases.given)]
        given = torch.from_numpy(cells)
    return predictor.open(predictor.canvas(canvases.length), canvases.rows, given)
