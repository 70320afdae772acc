"""Choosing a token from a distribution: greedy, temperature, filters, penalties, bans.

Top-k: arXiv 1805.04833; top-p (nucleus): 1904.09751; min-p: 2407.01082; typical: 2202.00666; eta: 2210.15191; top-a:
RWKV's (threshold top_a * p_max^2); repetition penalty: CTRL, 1909.05858; frequency and presence penalties: subtracted
from log-probabilities, count times and once. First penalties and biases, then bans, then temperature, then filters in
the order of the fields; at least one token always remains. Draws come from uniform numbers that belong to (seed, row),
so what a row says does not depend on who else is in the batch. Tested against Hugging Face's processors.
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
    typical_p: float | None = None
    """Keep the tokens whose surprise is nearest the expected one, that together have this probability."""
    eta: float | None = None
    """Drop tokens less likely than the smaller of this and sqrt(this) * exp(-entropy)."""
    top_a: float | None = None
    """Keep tokens at least this times the squared probability of the likeliest as likely."""
    frequency_penalty: float = 0.0
    """Taken from a token's log-probability for each time it is in the text."""
    presence_penalty: float = 0.0
    """Taken from the log-probability of each token that is in the text."""
    bias: tuple[tuple[int, float], ...] = ()
    """(id, number added to its log-probability)."""
    banned: tuple[int, ...] = ()
    """Ids that are never chosen."""

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise UserError(f"temperature must be 0 or above, got {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k must be at least 1, got {self.top_k}.")
        for name in ("top_p", "min_p", "typical_p", "eta", "top_a"):
            share = getattr(self, name)
            if share is not None and not 0.0 < share <= 1.0:
                raise UserError(f"{name} must be above 0 and at most 1, got {share}.")
        if not self.repetition_penalty >= 1.0:
            raise UserError(f"repetition_penalty must be at least 1, got {self.repetition_penalty}.")
        for name in ("frequency_penalty", "presence_penalty"):
            if not -100.0 <= getattr(self, name) <= 100.0:
                raise UserError(f"{name} must be from -100 to 100, got {getattr(self, name)}.")

    @property
    def counts_tokens(self) -> bool:
        """Whether ``choose`` needs to know what is in the text."""
        return self.repetition_penalty > 1.0 or self.frequency_penalty != 0.0 or self.presence_penalty != 0.0

    def choose(self, log_probs: Tensor, seen: Tensor | None, uniform: Tensor, allowed: Tensor | None = None) -> Tensor:
        """``log_probs (b, g, v)``, ``seen (b, v)`` how often each token is in the text, ``uniform (b, g)`` in [0, 1),
        ``allowed`` bool ``(b, v)`` the tokens that a constraint leaves -> ids ``(b, g)``."""
        log_probs = self._adjusted(log_probs, seen, allowed)
        if self.temperature == 0:
            return log_probs.argmax(dim=-1)
        if self.temperature != 1.0:
            log_probs = log_probs / self.temperature
        index = None
        if self.top_k is not None and self.top_k < log_probs.shape[-1]:
            log_probs, index = log_probs.topk(self.top_k, dim=-1)
        log_probs = self._filtered(log_probs)
        cumulative = torch.softmax(log_probs, dim=-1, dtype=torch.float64).cumsum(dim=-1)
        chosen = drawn(cumulative, uniform)
        return chosen if index is None else index.gather(-1, chosen[..., None])[..., 0]

    def distribution(self, log_probs: Tensor, seen: Tensor | None = None, allowed: Tensor | None = None) -> Tensor:
        """Of what ``choose`` draws: probabilities ``(b, g, v)`` float64, which sum to 1."""
        log_probs = self._adjusted(log_probs, seen, allowed)
        if self.temperature == 0:
            best = log_probs.argmax(dim=-1, keepdim=True)
            return torch.zeros_like(log_probs, dtype=torch.float64).scatter_(-1, best, 1.0)
        log_probs = log_probs / self.temperature
        if self.top_k is None or self.top_k >= log_probs.shape[-1]:
            return torch.softmax(self._filtered(log_probs), dim=-1, dtype=torch.float64)
        kept, index = log_probs.topk(self.top_k, dim=-1)
        p = torch.softmax(self._filtered(kept), dim=-1, dtype=torch.float64)
        return torch.zeros_like(log_probs, dtype=torch.float64).scatter_(-1, index, p)

    def _adjusted(self, log_probs: Tensor, seen: Tensor | None, allowed: Tensor | None) -> Tensor:
        """Penalties, biases and bans, ``(b, g, v)``."""
        if seen is not None:
            counts = seen[:, None, :]
            if self.repetition_penalty > 1.0:
                # A log-probability is at most 0, so dividing the odds means multiplying it (CTRL's rule for negatives).
                log_probs = torch.where(counts > 0, log_probs * self.repetition_penalty, log_probs)
            if self.frequency_penalty or self.presence_penalty:
                log_probs = log_probs - self.frequency_penalty * counts - self.presence_penalty * (counts > 0)
        v = log_probs.shape[-1]
        if self.bias or self.banned:
            wrong = [i for i in (*(i for i, _ in self.bias), *self.banned) if not 0 <= i < v]
            if wrong:
                raise UserError(f"biased and banned ids must be in 0..{v - 1}, got {wrong[0]}.")
            added = torch.zeros(v)
            for token, number in self.bias:
                added[token] += number
            added[list(self.banned)] = float("-inf")
            log_probs = log_probs + added
        if allowed is not None:
            log_probs = log_probs.masked_fill(~allowed[:, None, :], float("-inf"))
        if (self.banned or allowed is not None) and bool((log_probs.amax(dim=-1) == float("-inf")).any()):
            raise UserError("no token is left to choose: all are banned or have probability 0 under the constraint.")
        return log_probs

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
        if self.typical_p is not None and self.typical_p < 1.0:
            normal = torch.log_softmax(log_probs, dim=-1)
            distance = (-normal - _entropy(normal)).abs()
            index = distance.sort(dim=-1, stable=True).indices
            ordered = normal.exp().gather(-1, index)
            dropped = (ordered.cumsum(dim=-1) - ordered) >= self.typical_p
            log_probs = log_probs.masked_fill(dropped.scatter(-1, index, dropped), nothing)
        if self.eta is not None:
            normal = torch.log_softmax(log_probs, dim=-1)
            threshold = (0.5 * float(np.log(self.eta)) - _entropy(normal)).clamp(max=float(np.log(self.eta)))
            log_probs = _above(log_probs, normal, threshold)
        if self.top_a is not None:
            normal = torch.log_softmax(log_probs, dim=-1)
            threshold = float(np.log(self.top_a)) + 2 * normal.amax(dim=-1, keepdim=True)
            log_probs = _above(log_probs, normal, threshold)
        return log_probs


def _entropy(normal: Tensor) -> Tensor:
    """Nats, ``(..., v) -> (..., 1)``; dropped tokens add nothing."""
    return -(normal.exp() * normal.masked_fill(normal == float("-inf"), 0.0)).sum(dim=-1, keepdim=True)


def _above(log_probs: Tensor, normal: Tensor, threshold: Tensor) -> Tensor:
    """Without what is less likely than the threshold; the likeliest always stays."""
    best = normal.amax(dim=-1, keepdim=True)
    return log_probs.masked_fill((normal < threshold) & (normal < best), float("-inf"))


def drawn(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """The places at which ``uniform (...)`` in [0, 1) falls in cumulative weights ``(..., v)``: ids ``(...)``."""
    wanted = (uniform * cumulative[..., -1])[..., None]
    return torch.searchsorted(cumulative, wanted, right=True).clamp_(max=cumulative.shape[-1] - 1)[..., 0]


def uniforms(seed: int, row: int, count: int) -> Tensor:
    """``(count,)`` float64 in [0, 1) that belong to (seed, row)."""
    generator = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), row]))
    return torch.from_numpy(generator.random(count))
