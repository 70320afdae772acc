"""Weights of an ensemble, learned: those under which a text that no member was trained on costs least.

Mixture: sum over the text of -ln sum_i a_i p_i is convex in the weights a, and a_i <- a_i * mean(p_i / sum_j a_j p_j)
(expectation maximisation, a multiplicative update) never makes it larger. Product: sum_i a_i log p_i made to sum to 1
is an exponential family, so the cost is convex too; exponentiated gradient steps (Kivinen & Warmuth 1997) with a step
that is halved until the cost falls. Weights stay positive and sum to 1, and begin equal, so that the result never costs
more than equal weights do on the text it was fitted to. Tested against a grid search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.predictors.contract import Predictor
from semagram.predictors.ensemble import Ensemble, Kind
from semagram.verbs.compress import checked_ids
from semagram.verbs.windows import gathered, plan_of

LEAST = 1e-6
"""No weight is smaller: an ensemble's weights are above 0."""
_NUMBERS = 1 << 26
"""Log-probabilities held for a product: 256 MB. A longer text is fitted to its beginning."""
_CELLS = 16_384


@torch.no_grad()
def fit_weights(members: Sequence[Predictor], ids: np.ndarray, kind: Kind = "mixture", steps: int = 200) -> list[float]:
    """One weight a member, for ``ids (N,)``, N >= 1. ``UserError`` as ``Ensemble``, and for an empty text."""
    together = Ensemble(tuple(members), kind)
    ids = checked_ids(together, ids)
    if len(ids) == 0:
        raise UserError("an empty text teaches no weights.")
    if steps < 1:
        raise UserError(f"steps must be at least 1, got {steps}.")
    if len(members) == 1:
        return [1.0]
    if kind == "mixture":
        return _mixture(torch.cat([p for p, _ in _answers(together, ids, rows=False)], dim=1), steps)
    most = max(1, _NUMBERS // (len(members) * together.vocabulary_size))
    told = list(_answers(together, ids[:most], rows=True))
    rows, targets = torch.cat([r for r, _ in told], dim=1), torch.cat([t for _, t in told])
    return _product(rows, targets, steps)


def _answers(together: Ensemble, ids: np.ndarray, rows: bool) -> list[tuple[Tensor, Tensor]]:
    """What each member says in the canvases in which ``score`` reads: of the true ids ``(M, k)``, or all ``(M, k, v)``;
    with the true ids ``(k,)``."""
    found = []
    for canvases in gathered(plan_of(together, len(ids)).rounds(), _CELLS):
        layout = together.canvas(canvases.length)
        cells = np.arange(canvases.length)
        counts = cells < canvases.filled[:, None]
        places = np.minimum(canvases.offsets[:, None] + cells, len(ids) - 1)
        written = torch.from_numpy(np.where(counts, ids[places], 0))
        order = layout.positions().order()
        given = torch.full_like(written, -1)
        given[:, : canvases.given] = written[:, : canvases.given]
        asked, counted = written[:, order][:, canvases.given :], torch.from_numpy(counts)[:, order][:, canvases.given :]
        each = []
        for member in together.members:
            said = member.open(layout, canvases.rows, given if canvases.given else None).read(asked).cpu()
            each.append(said[counted] if rows else said.gather(2, asked[..., None])[..., 0][counted])
        found.append((torch.stack(each), asked[counted]))
    return found


def _mixture(log_probs: Tensor, steps: int) -> list[float]:
    """``(M, N)`` log-probabilities of the true ids -> weights."""
    log_probs = log_probs.double()
    log_weights = torch.full((len(log_probs), 1), -float(np.log(len(log_probs))), dtype=torch.float64)
    for _ in range(steps):
        shares = torch.softmax(log_probs + log_weights, dim=0).mean(dim=1, keepdim=True)
        log_weights = shares.clamp(min=LEAST).log()
        log_weights = log_weights - log_weights.logsumexp(dim=0)
    return log_weights.exp()[:, 0].tolist()


def _product(rows: Tensor, targets: Tensor, steps: int) -> list[float]:
    """``(M, N, v)`` log-probabilities and the true ids ``(N,)`` -> weights."""
    chosen = rows.gather(2, targets[None, :, None].expand(len(rows), -1, -1))[..., 0].double()

    def cost(log_weights: Tensor) -> tuple[Tensor, Tensor]:
        """Nats a token, and its gradient by the weights: expected minus true log-probability."""
        weights = log_weights.exp()
        joined = torch.einsum("m,mnv->nv", weights.float(), rows)
        normal = torch.log_softmax(joined, dim=-1)
        nats = -normal.double().gather(1, targets[:, None]).mean()
        expected = torch.einsum("nv,mnv->mn", normal.exp(), rows.clamp(min=-1e4)).double()
        return nats, (expected - chosen).mean(dim=1)

    log_weights = torch.full((len(rows),), -float(np.log(len(rows))), dtype=torch.float64)
    step, (now, slope) = 1.0, cost(log_weights)
    for _ in range(steps):
        while step > 1e-6:
            tried = log_weights - step * slope
            tried = (tried - tried.logsumexp(dim=0)).clamp(min=float(np.log(LEAST)))
            tried = tried - tried.logsumexp(dim=0)
            then, slope_then = cost(tried)
            if then < now:
                break
            step /= 2
        else:
            break
        log_weights, now, slope, step = tried, then, slope_then, step * 1.5
    return log_weights.exp().tolist()
