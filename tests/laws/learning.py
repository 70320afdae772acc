"""Laws 6 and 8: every parameter learns, the optimiser holds all of them once; random text cannot be learnt.

Parts that start at zero wake one after the other (a head of zeros sends no gradient back), so a few steps are taken.
A vector (a gain) has learnt when every entry has moved, a matrix when nearly every row has: a hidden unit whose
rectifier is off for all tokens of a tiny vocabulary may rest, a head or a stacked projection may not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from laws.broken import require
from laws.cases import Case
from semagram.objectives import weighted_nats

LEARNS = "every parameter learns"
HELD = "the optimiser holds every parameter once"
RANDOM = "random text cannot be learnt"

Optimisers = Callable[[Any], list[torch.optim.Optimizer]]


def plain(network: Any) -> list[torch.optim.Optimizer]:
    """AdamW without decay, which would move a parameter that gets no gradient."""
    return [torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.0)]


def held(network: Any, optimisers: list[torch.optim.Optimizer]) -> None:
    """Each parameter stands exactly once in all groups of all optimisers, and nothing else does."""
    ids = [id(p) for o in optimisers for group in o.param_groups for p in group["params"]]
    for name, parameter in network.named_parameters():
        times = ids.count(id(parameter))
        require(times == 1, HELD, f"{name} stands {times} times in the optimiser")
    require(len(ids) == len(list(network.parameters())), HELD, "the optimiser holds what the network does not have")


def loss(network: Any, case: Case, objective: Any, ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The reported loss, nats a token."""
    geometry = case.geometry()
    example = objective.example(ids, geometry, case.vocabulary, generator)
    return weighted_nats(network(example.inputs, geometry), example)


def check(network: Any, case: Case, optimisers: Optimisers = plain, steps: int = 5) -> None:
    """Every row of every parameter moves within a few steps from the real initialisation."""
    for objective in case.objectives():
        network.train()
        steppers = optimisers(network)
        held(network, steppers)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        generator = torch.Generator().manual_seed(0)
        for step in range(steps):
            ids = case.ids(seed=step, batch=24)
            loss(network, case, objective, ids, generator).backward()
            for stepper in steppers:
                stepper.step()
                stepper.zero_grad()
        for name, parameter in network.named_parameters():
            moved = parameter.detach() != before[name]
            rows = moved.flatten(1).any(1) if parameter.dim() > 1 else moved
            require(not parameter.isnan().any(), LEARNS, f"{name} became NaN")
            enough = parameter.dim() < 2 or rows.float().mean() >= 0.9
            require(enough and (rows.all() or parameter.dim() > 1), LEARNS, f"{name}: {int((~rows).sum())} of {rows.numel()} rows did not move")


def random_text(network: Any, case: Case, steps: int = 120, batch: int = 16, last: int = 40) -> None:
    """Train on fresh i.i.d. ids; the mean loss of the last steps may not be below ln v by more than the sampling.

    The tolerance is four standard errors of the mean over those steps (never above 2 %, else nothing is shown).
    """
    for objective in case.objectives():
        network.train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=0.0)
        generator, told = torch.Generator().manual_seed(0), []
        for step in range(steps):
            ids = case.ids(seed=10_000 + step, batch=batch)
            nats = loss(network, case, objective, ids, generator)
            told.append(float(nats.detach()))
            optimiser.zero_grad()
            nats.backward()
            optimiser.step()
        late = torch.tensor(told[-last:], dtype=torch.float64)
        slack = min(4 * float(late.std()) / last**0.5, 0.02 * math.log(case.vocabulary))
        floor = math.log(case.vocabulary) - slack
        mean = float(late.mean())
        require(mean > floor, RANDOM, f"{mean:.4f} nats a token on i.i.d. text over {case.vocabulary} ids ({floor:.4f})")
