"""Beam search: keep the k likeliest continuations, prolong each by one token, keep the k likeliest again.

A continuation's log-probability is the sum of its tokens', exactly as ``score`` would add them up; its value is that
over its length to the power ``length_penalty`` (0: the log-probability itself, 1: the mean; Wu et al. 2016, arXiv
1609.08144, in the form that Hugging Face uses). Rows are searched one after the other, so their company cannot matter.
A continuation that ``finished`` says is complete waits among the complete ones. The search ends when no open
continuation can still beat the worst of k complete ones. Tested against exhaustive search and Hugging Face.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.reading import Reading
from semagram.verbs.sampling import Sampling


@dataclass(frozen=True)
class Beams:
    """How beams are kept."""

    count: int = 4
    """Continuations kept, k."""
    length_penalty: float = 1.0
    """Power of the length that a log-probability is divided by; acts where continuations may end."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError(f"beams must be at least 1, got {self.count}.")
        if not -10.0 <= self.length_penalty <= 10.0:
            raise UserError(f"length_penalty must be from -10 to 10, got {self.length_penalty}.")

    def value(self, log_prob: float, length: int) -> float:
        """What continuations are ranked by."""
        return log_prob / float(length) ** self.length_penalty


@dataclass(frozen=True)
class Continuation:
    """What beam search found."""

    ids: np.ndarray
    """``(m,)`` int64: the new tokens."""
    log_prob: float
    """Their natural-log probability given the prompt."""
    value: float
    """What they are ranked by."""
    finished: bool
    """Whether it came to its end, or only to the last token that was asked for."""


Ended = Callable[[list[int]], bool]
"""``(new ids)``: True where a continuation is complete."""


@torch.inference_mode()
def beam_search(
    predictor: Predictor,
    prompts: Sequence[np.ndarray],
    tokens: int,
    beams: Beams | None = None,
    *,
    finished: Ended | None = None,
    sampling: Sampling | None = None,
) -> list[list[Continuation]]:
    """For each prompt (ids, any length) at most k continuations of up to ``tokens`` tokens, the best first.

    ``sampling``: its biases and bans act (and are in the log-probabilities, unnormalised); a temperature or filter
    would not, and is refused with ``UserError``, as is a predictor that chooses where to write.
    """
    beams = beams or Beams()
    if tokens < 1:
        raise UserError(f"tokens must be at least 1, got {tokens}.")
    if sampling is not None and _acts_on_draws(sampling):
        raise UserError("beams draw nothing: temperature, filters and penalties of sampling cannot act beside them.")
    return [_search(predictor, np.asarray(p, dtype=np.int64), tokens, beams, finished, sampling) for p in prompts]


def _acts_on_draws(sampling: Sampling) -> bool:
    plain = Sampling(temperature=sampling.temperature, bias=sampling.bias, banned=sampling.banned)
    return sampling != plain or sampling.temperature != 1.0


def _search(
    predictor: Predictor, prompt: np.ndarray, tokens: int, beams: Beams, ended: Ended | None, sampling: Sampling | None
) -> list[Continuation]:
    k, start = beams.count, len(prompt)
    reading = Reading(predictor, torch.from_numpy(prompt)[None].repeat(k, 1), start + tokens)
    totals = torch.full((k,), float("-inf"), dtype=torch.float64)
    totals[0] = 0.0  # all rows are one and the same at first, and one of them is enough
    complete: list[Continuation] = []
    for length in range(1, tokens + 1):
        rows = reading.log_probs()
        if sampling is not None:
            rows = sampling._adjusted(rows[:, None], None, None)[:, 0]
        sums = (totals[:, None] + rows.double()).reshape(-1)
        # Of 2k candidates at most k come from complete ones and k stay open; HF keeps as many.
        best = sums.topk(min(2 * k, sums.numel()))
        v = rows.shape[1]
        chosen: list[tuple[float, int, int]] = []
        for rank, (total, place) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            if total == float("-inf") or len(chosen) == k:
                break
            row, token = divmod(place, v)
            new = [*reading.ids[row, start:].tolist(), token]
            if ended is not None and ended(new):
                if rank < k:
                    _keep(complete, Continuation(np.array(new), total, beams.value(total, length), True), k)
            else:
                chosen.append((total, row, token))
        if not chosen:
            return complete
        while len(chosen) < k:  # rows without a continuation of their own follow the first and count for nothing
            chosen.append((float("-inf"), *chosen[0][1:]))
        totals = torch.tensor([total for total, _, _ in chosen], dtype=torch.float64)
        if len(complete) == k and _hopeless(complete[-1].value, float(totals[0]), beams, length, tokens):
            return complete
        reading.select(torch.tensor([row for _, row, _ in chosen]))
        reading.write(torch.tensor([token for _, _, token in chosen]))
    for total, ids in zip(totals.tolist(), reading.ids[:, start:], strict=True):
        if total > float("-inf"):
            found = Continuation(ids.numpy().copy(), total, beams.value(total, tokens), False)
            _keep(complete, found, k)
    return complete


def _keep(complete: list[Continuation], new: Continuation, most: int) -> None:
    """Put it in its place; the best come first, and of equals the older."""
    complete.append(new)
    complete.sort(key=lambda c: -c.value)
    del complete[most:]


def _hopeless(worst: float, best_open: float, beams: Beams, length: int, tokens: int) -> bool:
    """Whether the best open continuation cannot come to more than the worst complete one, at any length."""
    longest = tokens if beams.length_penalty > 0 else length
    return beams.value(best_open, longest) <= worst
