"""Choosing a token from a distribution: greedy, temperature, top-k, nucleus, min-p, repetition penalty.

Top-k: arXiv 1805.04833; top-p (nucleus): 1904.09751; min-p: 2407.01082; repetition penalty: CTRL, 1909.05858.
Filters act on the tempered distribution, in that order; at least one token always remains. Draws come from uniform
numbers that belong to (seed, row), so what a row says does not depend on who else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen."""

    temperature: float = 1.0
    """Below 1 sharpens, above 1 flattens, 0 always takes the likeliest token."""
    top_k: int | None = None
    """Keep the k likeliest tokens."""
    top_p: float | None = None
    """Keep the likeliest tokens that together have this probability."""
    min_p: float | None = None
    """Keep tokens at least this share as likely as the likeliest."""
    repetition_penalty: float = 1.0
    """Divide the odds of tokens already in the text by this power base; 1: none."""

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise UserError(f"temperature must be 0 or above, got {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k must be at least 1, got {self.top_k}.")
        for name in ("top_p", "min_p"):
            share = getattr(self, name)
            if share is not None and not 0.0 < share <= 1.0:
                raise UserError(f"{name} must be above 0 and at most 1, got {share}.")
        if not self.repetition_penalty >= 1.0:
            raise UserError(f"repetition_penalty must be at least 1, got {self.repetition_penalty}.")

    def choose(self, log_probs: Tensor, seen: Tensor | None, uniform: Tensor) -> Tensor:
        """``log_probs (b, g, v)``, ``seen (b, v)`` bool of tokens already in the text, ``uniform (b, g)`` in [0, 1)
        -> ids ``(b, g)``."""
        if self.repetition_penalty > 1.0 and seen is not None:
            # A log-probability is at most 0, so dividing the odds means multiplying it (CTRL's rule for negatives).
            log_probs = torch.where(seen[:, None, :], log_probs * self.repetition_penalty, log_probs)
        if self.temperature == 0:
            return log_probs.argmax(dim=-1)
        if self.temperature != 1.0:
            log_probs = log_probs / self.temperature
        index = None
        if self.top_k is not None and self.top_k < log_probs.shape[-1]:
            log_probs, index = log_probs.topk(self.top_k, dim=-1)
        log_probs = self._filtered(log_probs)
        cumulative = torch.softmax(log_probs, dim=-1, dtype=torch.float64).cumsum(dim=-1)
        wanted = (uniform * cumulative[..., -1])[..., None]
        chosen = torch.searchsorted(cumulative, wanted, right=True).clamp_(max=cumulative.shape[-1] - 1)
        return (chosen if index is None else index.gather(-1, chosen))[..., 0]

    def _filtered(self, log_probs: Tensor) -> Tensor:
        nothing = float("-inf")
        if self.top_p is not None and self.top_p < 1.0:
            ordered, index = torch.softmax(log_probs, dim=-1).sort(dim=-1, descending=True)
            # Drop a token when those before it already have the share; the first is never dropped.
            dropped = (ordered.cumsum(dim=-1) - ordered) >= self.top_p
            log_probs = log_probs.masked_fill(dropped.scatter(-1, index, dropped), nothing)
        if self.min_p is not None:
            best = log_probs.max(dim=-1, keepdim=True).values
            log_probs = log_probs.masked_fill(log_probs < best + float(np.log(self.min_p)), nothing)
        return log_probs


def uniforms(seed: int, row: int, count: int) -> Tensor:
    """``(count,)`` float64 in [0, 1) that belong to (seed, row)."""
    generator = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), row]))
    return torch.from_numpy(generator.random(count))
