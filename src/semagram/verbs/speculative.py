"""Speculative decoding: somebody quick proposes several tokens, the predictor checks all of them in one pass.

Of a proposal x drawn from q, the target p accepts with probability min(1, p(x) / q(x)); at the first refusal a token is
drawn from max(p - q, 0), normalised, and if nothing was refused one more is drawn from p. What is written then has
exactly the distribution p (Leviathan et al. 2022, arXiv 2211.17192; Chen et al. 2023, 2302.01318), whoever proposes.
A proposal without a distribution (a look-up) counts as certain, q(x) = 1. Temperature, filters, bans and
biases act on p and on q alike. At temperature 0 what is written equals greedy decoding token for token.

Rows are written one after the other, so their company cannot matter. The state goes back by ``mark`` and ``rewind``.
Tested by enumerating all texts of a tiny vocabulary, and against greedy ``generate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.generate import Finished, Stream
from semagram.verbs.reading import Mark, Reading
from semagram.verbs.sampling import Sampling, drawn, uniforms


class Drafter(Protocol):
    """Proposes tokens for one row."""

    def propose(self, ids: Tensor, count: int, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor | None]:
        """``ids (n,)`` the text so far, ``uniform (count,)`` in [0, 1) -> up to ``count`` tokens ``(k,)`` and the
        distributions ``(k, v)`` float64 they were drawn from; None where they were not drawn."""
        ...


class Draft(Protocol):
    """Makes a drafter for each row."""

    def drafter(self, reading: Reading) -> Drafter:
        """For one row, of which ``reading`` is the target's own reading. ``UserError`` where they do not fit."""
        ...


@dataclass(frozen=True)
class Speculation:
    """What speculative decoding wrote, and how well it was guessed."""

    ids: list[np.ndarray]
    """Prompt and continuation of each row."""
    proposed: int
    """Tokens that were proposed, over all rows."""
    accepted: int
    """Of them accepted."""
    passes: int
    """Times that the target was asked."""


@torch.inference_mode()
def speculate(
    predictor: Predictor,
    draft: Draft,
    prompts: Sequence[np.ndarray],
    tokens: int,
    sampling: Sampling | None = None,
    *,
    ahead: int = 4,
    seed: int = 0,
    stream: Stream | None = None,
    finished: Finished | None = None,
) -> Speculation:
    """Continue each prompt (ids, any length) by ``tokens`` tokens, ``ahead`` proposals at a time.

    ``finished`` and ``stream`` as in ``generate``; ``seed`` and the row's number decide what a row says (other words
    than ``generate`` says with the same seed, with the same probabilities). ``UserError`` for ``ahead`` below 1 and
    for penalties, which change while proposals are checked.
    """
    sampling = sampling or Sampling()
    if ahead < 1:
        raise UserError(f"ahead must be at least 1, got {ahead}.")
    if sampling.counts_tokens:
        raise UserError("a draft cannot be checked under repetition, frequency or presence penalties: leave them out.")
    told = Speculation([], 0, 0, 0)
    for row, prompt in enumerate(prompts):
        one = _Row(predictor, draft, np.asarray(prompt, dtype=np.int64), tokens, sampling, ahead, seed, row)
        ids = one.write(stream, finished)
        told = Speculation(
            [*told.ids, ids], told.proposed + one.proposed, told.accepted + one.accepted, told.passes + one.passes
        )
    return told


class _Row:
    """One row in the course of being written."""

    def __init__(
        self,
        predictor: Predictor,
        draft: Draft,
        prompt: np.ndarray,
        tokens: int,
        sampling: Sampling,
        ahead: int,
        seed: int,
        row: int,
    ) -> None:
        self.total = len(prompt) + tokens
        self.reading = Reading(predictor, torch.from_numpy(prompt)[None], self.total)
        self.drafter = draft.drafter(self.reading)
        self.sampling, self.ahead, self.row, self.start = sampling, ahead, row, len(prompt)
        # Three streams of numbers, one a use, each indexed by the token's place: so no number is ever used twice.
        numbers = uniforms(seed, row, 3 * max(tokens, 1)).reshape(3, -1)
        self.for_draft, self.for_check, self.for_choice = numbers[0], numbers[1], numbers[2]
        self.proposed = self.accepted = self.passes = 0

    def write(self, stream: Stream | None, finished: Finished | None) -> np.ndarray:
        """Propose, check, keep; until the text is complete."""
        while self.reading.count < self.total:
            place = self.reading.count - self.start
            new = self._round(place)
            for i, token in enumerate(new):
                if stream is not None:
                    stream(self.row, token)
                end = place + i + 1
                if finished is not None and finished(self.row, self.reading.ids[0, self.start :][:end].tolist()):
                    return self.reading.ids[0, : self.start + end].numpy().copy()
        return self.reading.ids[0].numpy().copy()

    def _round(self, place: int) -> list[int]:
        """Prolong the text by what was accepted and one token more (or none, at the end); the new tokens."""
        reading = self.reading
        left = min(self.total - reading.count, reading.left)
        room = min(self.ahead, left)
        ids = reading.ids[0]
        proposal, q = self.drafter.propose(ids, room, self.sampling, self.for_draft[place : place + room])
        k = len(proposal)
        self.proposed += k
        mark = reading.mark()
        rows = reading.read(proposal[None])[0] if k else torch.zeros(0, self.reading.predictor.vocabulary_size)
        self.passes += 1
        if k < left:
            rows = torch.cat([rows, reading.log_probs()])  # the canvas has a cell after the last proposal
        p = self.sampling.distribution(rows[None])[0]
        for i, token in enumerate(proposal.tolist()):
            mine, other = p[i], None if q is None else q[i]
            chance = float(mine[token]) / (1.0 if other is None else float(other[token]))
            if float(self.for_check[place + i]) < chance:
                self.accepted += 1
                continue
            rest = mine.clone() if other is None else (mine - other).clamp(min=0.0)
            if other is None:
                rest[token] = 0.0
            choice = int(drawn(rest.cumsum(0), self.for_choice[place + i]))
            return self._kept(mark, [*proposal[:i].tolist(), choice])
        kept = proposal.tolist()
        if len(p) > k:
            kept.append(int(drawn(p[k].cumsum(0), self.for_choice[place + k])))
            reading.write(torch.tensor(kept[-1:]))
        return kept

    def _kept(self, mark: Mark, ids: list[int]) -> list[int]:
        """Go back to ``mark`` and read what is kept."""
        self.reading.rewind(mark)
        self.reading.read(torch.tensor([ids]))
        return ids
