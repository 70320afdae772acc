"""Stochastic beams: k different continuations, drawn without replacement (Kool et al. 2019, arXiv 1903.06059).

    phi: a continuation's log-probability;  G = phi + Gumbel noise;  the k largest G of all are such a draw

No more than k beams are ever open: the largest G of a beam's prolongations must be the beam's own, so theirs are drawn
given that maximum, ``G_i = -ln(e^-G - e^-Z + e^-G'_i)`` with ``G'_i = phi_i + noise`` and Z their maximum (the paper's
appendix B, in a form that does not overflow). The first continuation is an ordinary sample. Tested: with many beams it
is every continuation with its exact log-probability; how often which comes first is what the model says; and so is
how often which two are drawn together, enumerated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.verbs.beams import Continuation, Ended
from semagram.verbs.reading import Reading


@torch.inference_mode()
def stochastic_beams(
    predictor: Predictor,
    prompts: Sequence[np.ndarray],
    tokens: int,
    count: int = 4,
    *,
    generator: torch.Generator,
    finished: Ended | None = None,
) -> list[list[Continuation]]:
    """For each prompt at most ``count`` different continuations of up to ``tokens`` tokens, by falling G (``value``).

    ``finished(new ids)``: True where a continuation is complete. Raises ``UserError`` for numbers below 1 and for a
    predictor that chooses where to write.
    """
    if tokens < 1 or count < 1:
        raise UserError(f"tokens and count must be at least 1, got {tokens} and {count}.")
    return [_drawn(predictor, np.asarray(p, dtype=np.int64), tokens, count, finished, generator) for p in prompts]


def _drawn(
    predictor: Predictor, prompt: np.ndarray, tokens: int, k: int, ended: Ended | None, generator: torch.Generator
) -> list[Continuation]:
    start = len(prompt)
    reading = Reading(predictor, torch.from_numpy(prompt)[None].repeat(k, 1), start + tokens)
    phi = torch.full((k,), float("-inf"), dtype=torch.float64)
    phi[0] = 0.0  # all rows are one and the same at first
    noisy = phi.clone()
    complete: list[Continuation] = []
    for _ in range(tokens):
        rows = phi[:, None] + reading.log_probs().double()
        drawn = given_maximum(rows, noisy, generator)
        best = drawn.flatten().topk(min(k, drawn.numel()))
        chosen: list[tuple[float, float, int, int]] = []
        for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            row, token = divmod(place, rows.shape[1])
            if value == float("-inf"):
                break
            new = [*reading.ids[row, start:].tolist(), token]
            if ended is not None and ended(new):
                complete.append(Continuation(np.array(new), float(rows[row, token]), value, True))
            else:
                chosen.append((value, float(rows[row, token]), row, token))
        complete = sorted(complete, key=lambda c: -c.value)[:k]
        # A beam stays open while fewer than k complete continuations have a larger G.
        chosen = [c for i, c in enumerate(chosen) if i + sum(done.value > c[0] for done in complete) < k]
        if not chosen:
            return complete
        while len(chosen) < k:  # rows without a continuation of their own follow the first and count for nothing
            chosen.append((float("-inf"), float("-inf"), *chosen[0][2:]))
        noisy = torch.tensor([c[0] for c in chosen], dtype=torch.float64)
        phi = torch.tensor([c[1] for c in chosen], dtype=torch.float64)
        reading.select(torch.tensor([c[2] for c in chosen]))
        reading.write(torch.tensor([c[3] for c in chosen]))
    for log_prob, value, ids in zip(phi.tolist(), noisy.tolist(), reading.ids[:, start:], strict=True):
        if value > float("-inf"):
            complete.append(Continuation(ids.numpy().copy(), log_prob, value, False))
    return sorted(complete, key=lambda c: -c.value)[:k]


def given_maximum(phi: Tensor, maximum: Tensor, generator: torch.Generator) -> Tensor:
    """Gumbels at locations ``phi (k, v)``, given that the largest of each row is ``maximum (k,)``; float64."""
    uniform = torch.rand(phi.shape, dtype=torch.float64, generator=generator).clamp(min=1e-300)
    free = phi - torch.log(-torch.log(uniform))
    top = free.max(dim=1, keepdim=True).values
    wanted = maximum[:, None]
    gap = wanted - free + torch.log1p(-torch.exp(free - top))
    found = wanted - gap.clamp(min=0) - torch.log1p(torch.exp(-gap.abs()))
    return torch.where(torch.isfinite(free) & torch.isfinite(wanted), found, float("-inf"))
