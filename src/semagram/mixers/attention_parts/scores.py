"""Attention with its scores in the open: for the parts that the fused kernel has no room for.

In this order: ``s = scale q k^T``; heads talk (arXiv 2003.02436); soft cap ``c tanh(s / c)`` (Gemma-2, 2408.00118);
biases by distance, of the caller, of forgetting (all of them are added); what may not be seen is removed; selective
attention; the columns of a sink; the weights; heads talk again; the weighted sum of values. The cap comes before the
biases, so that it limits what queries and keys can say and not what distance says.

All shapes may carry further axes between heads and queries (blocks of a window): the same rules serve both.
Reference: ``reference``, pair by pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from semagram.mixers.attention_parts.talking import TalkingHeadsMaps

Columns = tuple[Tensor, Tensor | None]
"""Of a sink: scores ``(b, h, ..., q, m)``, and values ``(h_kv, m, d_v)`` unless they are all zero."""


Select = Callable[[Tensor], Tensor]
"""Scores after masking -> scores (selective attention)."""


@dataclass(frozen=True)
class Rules:
    """What happens between scores and weights, for one call."""

    scale: float
    weigh: Callable[[Tensor], Tensor]
    """Scores ``(..., k)`` -> weights that sum to 1."""
    cap: float | None = None


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    added: list[Tensor],
    rules: Rules,
    columns: Columns | None = None,
    select: Select | None = None,
    talking: TalkingHeadsMaps | None = None,
    dropped: float = 0.0,
) -> Tensor:
    """``(b, h, ..., q, d_h)``, ``(b, h_kv, ..., k, d_h)``, ``(b, h_kv, ..., k, d_v)`` -> ``(b, h, ..., q, d_v)``.

    ``added`` broadcast to the scores ``(b, h, ..., q, k)``; -inf where a key may not be seen.
    """
    scores = product(queries * rules.scale, keys.transpose(-1, -2))
    if talking is not None:
        scores = talking.of_scores(scores)
    if rules.cap is not None:
        scores = torch.tanh(scores * (1.0 / rules.cap)) * rules.cap
    for term in added:
        scores = scores.add_(term)  # nothing keeps the scores as they were
    if select is not None:
        scores = select(scores)
    if columns is None:
        weights = rules.weigh(scores)
        weights = weights if talking is None else talking.of_weights(weights)
        return product(F.dropout(weights, dropped) if dropped else weights, values)
    own, their_values = columns
    count = own.shape[-1]
    weights = rules.weigh(torch.cat([own, scores], dim=-1))
    if talking is not None:
        weights = talking.of_weights(weights)
    if dropped:
        weights = F.dropout(weights, dropped)
    mixed = product(weights[..., count:], values)
    if their_values is None:
        return mixed
    shared = their_values.view(1, their_values.shape[0], *[1] * (queries.dim() - 4), *their_values.shape[1:])
    return mixed + product(weights[..., :count], shared)


def product(left: Tensor, right: Tensor) -> Tensor:
    """``(b, h, ..., x, y) @ (b, h_kv, ..., y, z)``; groups of h / h_kv heads share the right one."""
    heads, shared = left.shape[1], right.shape[1]
    if heads == shared:
        return left @ right
    return (left.unflatten(1, (shared, heads // shared)) @ right.unsqueeze(2)).flatten(1, 2)


def reference(
    queries: Tensor, keys: Tensor, values: Tensor, added: list[Tensor], rules: Rules, columns: Columns | None = None
) -> Tensor:
    """The same for ``(b, h, n, d_h)``, softmax weights and no selection, one query at a time."""
    groups = queries.shape[1] // keys.shape[1]
    rows = []
    for i in range(queries.shape[2]):
        heads = []
        for h in range(queries.shape[1]):
            g = h // groups
            s = (queries[:, h, i, None] * keys[:, g]).sum(-1) * rules.scale
            if rules.cap is not None:
                s = rules.cap * torch.tanh(s / rules.cap)
            for term in added:
                s = s + term.expand(queries.shape[0], queries.shape[1], queries.shape[2], keys.shape[2])[:, h, i]
            denominator = s.exp().sum(-1)
            total = (s.exp()[..., None] * values[:, g]).sum(-2)
            if columns is not None:
                own = columns[0][:, h, i].exp()
                denominator = denominator + own.sum(-1)
                if columns[1] is not None:
                    total = total + own @ columns[1][g]
            heads.append(total / denominator[:, None])
        rows.append(torch.stack(heads, dim=1))
    return torch.stack(rows, dim=2)
