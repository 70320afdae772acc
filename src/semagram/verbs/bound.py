"""The any-order bound with its standard error: what a text costs on average over all orders of writing.

Of every page so many masks are drawn, their sizes m spread evenly over 1 ... n with weight n / m (``Masked``): an
unbiased estimate of the mean negative log-likelihood over orders, with far less variance than independent sizes. The
standard error is that of the estimate for *this* text, from the spread within pages. It is a bound on what the best
mixture of orders would cost; what one order really costs is what ``score`` and ``compress`` say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.objectives.masked import Masked
from semagram.predictors.answering import answering
from semagram.predictors.any_order import AnyOrderPredictor

ROWS = 32
"""Pages read together."""


@dataclass(frozen=True)
class Bound:
    """Nats a token, and how far off the estimate may be (one standard error of the draws)."""

    nats: float
    standard_error: float
    pages: int
    draws: int


def bound(predictor: AnyOrderPredictor, ids: np.ndarray, draws: int = 64, seed: int = 0) -> Bound:
    """The bound for the whole pages of ``ids (N,)``, each with ``draws`` masks; ``UserError`` if there is none."""
    network, n = predictor.network, predictor.layout.count
    if draws < 2:
        raise UserError(f"a standard error needs at least 2 draws, got {draws}.")
    if len(ids) < n:
        raise UserError(f"the text has {len(ids)} tokens, fewer than the {n} of a page.")
    pages = torch.from_numpy(np.asarray(ids[: len(ids) // n * n], dtype=np.int64)).view(-1, n)
    device = next(network.parameters()).device  # type: ignore[attr-defined]
    geometry = Geometry.of(predictor.layout.positions(), network.visibility).to(device)
    generator, costs = torch.Generator().manual_seed(seed), []
    with answering(network):
        for page in pages:
            told = []
            example = Masked().example(page.expand(draws, n).contiguous(), geometry, network.vocabulary_size, generator)
            for part in range(0, draws, ROWS):
                cut = slice(part, part + ROWS)
                told.append(_nats(network, geometry, example, cut, device))
            costs.append(torch.cat(told))
    each = torch.stack(costs)
    error = float((each.var(dim=1) / draws).sum().sqrt()) / len(pages) / n
    return Bound(float(each.mean()) / n, error, len(pages), draws)


def _nats(network: Any, geometry: Geometry, example: Any, cut: slice, device: torch.device) -> torch.Tensor:
    """What each mask of a part of the draws costs, ``(k,)`` float64."""
    logits = network(example.inputs[cut].to(device), geometry).float()
    nats = F.cross_entropy(logits.flatten(0, 1), example.targets[cut].flatten().to(device), reduction="none")
    return (nats.view(logits.shape[:2]) * example.weights[cut].to(device)).sum(dim=1).double().cpu()
