"""Law 3: it is a distribution. Every answer has v entries, none of them NaN or above 0, and sums to 1 within 1e-6."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from laws.broken import require

LAW = "it is a distribution"


def check(log_probs: Tensor, vocabulary: int) -> None:
    """``(..., v)`` log-probabilities."""
    require(log_probs.shape[-1] == vocabulary, LAW, f"{log_probs.shape[-1]} entries for a vocabulary of {vocabulary}")
    require(not log_probs.isnan().any(), LAW, "an answer is NaN")
    require((log_probs <= 1e-6).all(), LAW, f"a log-probability is {float(log_probs.max()):.3g}, above 0")
    off = (log_probs.double().exp().sum(-1) - 1.0).abs().max() if log_probs.numel() else 0.0
    require(off <= 1e-6, LAW, f"a distribution is {float(off):.3g} away from summing to 1")


def check_predictor(predictor: Any, layout: Any, ids: Tensor) -> None:
    """Ask before every group of a canvas that is written with ``ids (b, n)``."""
    state, done = predictor.open(layout, ids.shape[0]), 0
    while (group := state.next_positions.shape[1]) > 0:
        answer = state.log_probs()
        check(answer, predictor.vocabulary_size)
        shape = (ids.shape[0], group)
        require(answer.shape[:2] == shape, LAW, f"answers for {tuple(answer.shape[:2])} cells, not {shape}")
        state.write(ids[:, done : done + group])
        done += group
    require(done == layout.count, LAW, f"{done} of {layout.count} cells were written")
