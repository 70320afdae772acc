"""Direct preference optimisation: of two responses to one prompt, make the chosen one likelier than the rejected one.

    loss = -log sigmoid( beta * [ (log p(chosen) - log q(chosen)) - (log p(rejected) - log q(rejected)) ] )

(Rafailov et al. 2023, arXiv 2305.18290). log p is the *sum* over *all* tokens of the response given the prompt, the
first among them; q is the frozen model that training began with, asked once and never changed. Prompts and responses
may have any lengths: rows are padded at their end, and neither a prompt nor padding is ever a target. Tested against
the formula row by row without padding, in float64, values and gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Sequence as Line
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives.next_token import shifted

Ids = np.ndarray
"""``(n,)`` int64."""


@dataclass(frozen=True)
class Pair:
    """A prompt (which may be empty) and two responses (which may not), as ids."""

    prompt: Ids
    chosen: Ids
    rejected: Ids


@dataclass(frozen=True)
class PreferenceTraining:
    """How preferences are trained."""

    beta: float = 0.1
    """How dear it is to leave the model that training began with; larger stays nearer."""
    steps: int = 100
    """Optimiser steps."""
    batch: int = 8
    """Pairs a step."""
    rate: float = 1e-4
    """Learning rate of AdamW, without weight decay."""
    seed: int = 0
    """Of the order of the pairs."""

    def __post_init__(self) -> None:
        for name in ("beta", "rate"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise UserError(f"{name} must be a number above 0, got {getattr(self, name)}.")
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}.")


@dataclass(frozen=True)
class Progress:
    """After one step."""

    step: int
    """From 1."""
    loss: float
    """Of the step's pairs, before it."""
    agreed: float
    """Share of the pairs whose margin was above 0: the model leans to the chosen one more than it did at first."""


def response_log_probs(network: Any, prompts: Sequence[Ids], responses: Sequence[Ids], most: int) -> Tensor:
    """Sum of the natural-log probabilities of all tokens of each response after its prompt: ``(b,)``.

    ``most``: tokens that a canvas holds. ``UserError`` for an empty response, and a row longer than that.
    """
    lengths = [len(p) + len(r) for p, r in zip(prompts, responses, strict=True)]
    if min(map(len, responses)) < 1:
        raise UserError("a response is empty: there is nothing to prefer.")
    if max(lengths) > most:
        raise UserError(f"a prompt and response have {max(lengths)} tokens together, but a canvas holds {most}.")
    count = max(lengths)
    device = next(network.parameters()).device
    targets = torch.zeros(len(lengths), count, dtype=torch.int64)
    asked = torch.zeros(len(lengths), count, dtype=torch.bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        targets[row, : lengths[row]] = torch.from_numpy(np.concatenate([prompt, response]).astype(np.int64))
        asked[row, len(prompt) : lengths[row]] = True
    keep = None
    if min(lengths) < count:
        # Slot i is shown token i - 1, so the slots of a row of n tokens are its first n.
        keep = torch.arange(count) < torch.tensor(lengths)[:, None]
    geometry = Geometry.of(Line(count).positions(), Visibility.CAUSAL, keep).to(device)
    targets, asked = targets.to(device), asked.to(device)
    logits = network(shifted(targets, network.vocabulary_size), geometry)
    log_probs = torch.log_softmax(logits, dim=-1).gather(2, targets[..., None])[..., 0]
    return (log_probs * asked).sum(dim=1)


def dpo_loss(
    chosen: Tensor, rejected: Tensor, chosen_before: Tensor, rejected_before: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """From summed log-probabilities ``(b,)``, now and of the frozen model: the mean loss, and the margins ``(b,)``."""
    margins = (chosen - chosen_before) - (rejected - rejected_before)
    return -F.logsigmoid(beta * margins).mean(), margins.detach()


def prefer(
    network: Any,
    pairs: Sequence[Pair],
    most: int,
    settings: PreferenceTraining | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Any:
    """A copy of the CAUSAL ``network`` trained on ``pairs``; ``most`` tokens fit on a canvas. ``network`` is untouched.

    Equal arguments give equal bits. ``UserError`` without pairs, and as ``response_log_probs`` does.
    """
    settings = settings or PreferenceTraining()
    if not pairs:
        raise UserError("there are no pairs to learn a preference from.")
    if network.visibility is not Visibility.CAUSAL:
        raise UserError(f"preferences are trained on CAUSAL networks, this one is {network.visibility.name}.")
    frozen = copy.deepcopy(network).eval()
    student = copy.deepcopy(network).eval()  # without dropout, so that both sides are compared alike
    before = [_both(frozen, [pair], most) for pair in pairs]
    optimiser = torch.optim.AdamW(student.parameters(), lr=settings.rate, weight_decay=0.0)
    random = np.random.Generator(np.random.Philox(settings.seed))
    order: list[int] = []
    for step in range(1, settings.steps + 1):
        while len(order) < min(settings.batch, len(pairs)):
            order += random.permutation(len(pairs)).tolist()
        rows, order = order[: settings.batch], order[settings.batch :]
        chosen, rejected = _log_probs(student, [pairs[i] for i in rows], most)
        earlier = torch.stack([before[i] for i in rows], dim=1)
        loss, margins = dpo_loss(chosen, rejected, earlier[0], earlier[1], settings.beta)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if watch is not None:
            watch(Progress(step, float(loss.detach()), float((margins > 0).float().mean())))
    return student


def _log_probs(network: Any, pairs: Sequence[Pair], most: int) -> tuple[Tensor, Tensor]:
    """Of the chosen and of the rejected responses, ``(b,)`` each, in one pass."""
    prompts = [p.prompt for p in pairs]
    both = [*(p.chosen for p in pairs), *(p.rejected for p in pairs)]
    found = response_log_probs(network, [*prompts, *prompts], both, most)
    return found[: len(pairs)], found[len(pairs) :]


def _both(network: Any, pairs: Sequence[Pair], most: int) -> Tensor:
    """``_log_probs`` of one pair without gradients, ``(2,)``."""
    with torch.no_grad():
        return torch.cat(_log_probs(network, pairs, most))
