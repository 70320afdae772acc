"""Rewinding: a state that was put back answers as if nothing had been written since, to the bit; and rows that change
places take all that they know along.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws.broken import require
from laws.stepping import borders, close, gap
from semagram.predictors.contract import Rewindable

REWIND = "rewound equals never written"
SELECT = "rows take along what they know"


def check_predictor(predictor: Any, layout: Any, ids: Tensor) -> None:
    """The law on a predictor; ``ids (b, n)`` in its order of writing."""
    n, batch = layout.count, ids.shape[0]
    ends = borders(predictor, layout, ids)
    other = (ids + 1) % predictor.vocabulary_size
    for known in sorted({0, ends[0], max([at for at in ends if at <= n // 2], default=0)} - {n}):
        for asked in (False, True):
            state = predictor.open(layout, batch)
            require(isinstance(state, Rewindable), REWIND, f"a {type(state).__name__} cannot go back")
            state.read(ids[:, :known])
            if asked:
                state.log_probs()
            mark, before = state.mark(), state.next_positions.clone()
            straight = _straight(predictor, layout, ids, known)
            group = before.shape[1]
            for away in (group, n - known):
                _ = state.log_probs() if away == group else None
                state.read(other[:, known : known + away])
                _ = state.log_probs()
                state.rewind(mark)
                require(torch.equal(state.next_positions, before), REWIND, f"after {away} cells another cell comes")
                found = state.log_probs()
                require(torch.equal(found, straight[0]), REWIND, f"the next cell's answer is {gap(found, straight[0])}")
                rest = state.read(ids[:, known:])
                require(torch.equal(rest, straight[1]), REWIND, f"after {away} cells: {gap(rest, straight[1])}")
                state.rewind(mark)
            stepped = []
            while (coming := state.next_positions.shape[1]) > 0:
                stepped.append(state.log_probs())
                done = sum(s.shape[1] for s in stepped) - coming
                state.write(ids[:, known + done : known + done + coming])
            slow = torch.cat(stepped, dim=1)
            require(close(slow, straight[1]), REWIND, f"step by step afterwards: {gap(slow, straight[1])}")
    if predictor.fixed_order:
        _selected(predictor, layout, ids)


def _straight(predictor: Any, layout: Any, ids: Tensor, known: int) -> tuple[Tensor, Tensor]:
    """The next answer and all further ones of a state that never went anywhere else; asked before reading on."""
    state = predictor.open(layout, ids.shape[0])
    state.read(ids[:, :known])
    return state.log_probs().clone(), state.read(ids[:, known:])


def _selected(predictor: Any, layout: Any, ids: Tensor) -> None:
    n, batch = layout.count, ids.shape[0]
    rows = torch.arange(batch).flip(0).clamp(min=1) if batch > 1 else torch.zeros(1, dtype=torch.int64)
    for known in sorted({0, 1, n // 2, n - 1} - {n}):
        for asked in (False, True):
            state = predictor.open(layout, batch)
            for at in range(known):  # step by step, since that is the path which keeps views of its buffers
                state.log_probs()
                state.write(ids[:, at : at + 1])
            if asked:
                state.log_probs()
            state.select(rows)
            chosen = torch.cat([ids[rows, :known], ids[:, known:]], dim=1)
            expected = predictor.open(layout, batch).read(chosen)[:, known:]
            found = []
            for at in range(known, n):
                found.append(state.log_probs())
                state.write(chosen[:, at : at + 1])
            told = torch.cat(found, dim=1)
            require(close(told, expected), SELECT, f"rows {rows.tolist()} after {known}: {gap(told, expected)}")
