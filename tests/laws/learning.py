"""Laws 6 and 8: every parameter learns, the optimiser holds all of them once; random text cannot be learnt.

Parts that start at zero wake one after the other (a head of zeros sends no gradient back), so from the real
initialisation a few steps are taken, and every parameter must have moved somewhere. From a network with nothing at zero
*one* step must move every entry of a vector (a gain) and nearly every row of a matrix: hidden units whose rectifier is
off for all tokens of a tiny vocabulary may rest, a head or a part of a stacked projection may not.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any

import torch

from laws.broken import require
from laws.cases import Case
from laws.no_peeking import hearing_is_possible
from semagram.feedforward.twice import twice_differentiable
from semagram.layouts import Visibility
from semagram.objectives import PrefixLM, weighted_nats

LEARNS = "every parameter learns"
HELD = "the optimiser holds every parameter once"
RANDOM = "random text cannot be learnt"

Optimisers = Callable[[Any], list[torch.optim.Optimizer]]


def plain(network: Any) -> list[torch.optim.Optimizer]:
    """AdamW without decay, which would move a parameter that gets no gradient."""
    return [torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.0)]


def stepper(config: Any) -> Optimisers:
    """A real optimiser config, its decay switched off."""
    still = {field.name: 0.0 for field in fields(config) if "decay" in field.name}
    return lambda network: [config_built(replace(config, **still), network)]


def config_built(config: Any, network: Any) -> Any:
    """The optimiser of a config; a ``Stepper`` is dressed as a torch optimiser."""
    made = config.build(network)
    return made if hasattr(made, "param_groups") else Dressed(made, network)


class Dressed:
    """A ``training.stepper.Stepper`` behind the three names that the laws use.

    It looks inside: the law is about what is really stepped, and the stepper's own list says each parameter once.
    """

    def __init__(self, made: Any, network: Any) -> None:
        self.made, self.network = made, network
        adam = made._adam.param_groups if made._adam is not None else []
        slots = [slot for group in (made._muon.groups if made._muon else []) for slot in group.slots]
        slices = [(part.parameter, start, stop) for part, start, stop, _ in slots]
        self.param_groups = [*adam, *([{"params": [], "slices": slices}] if slices else [])]

    def step(self) -> None:
        """One step at the full rate."""
        self.made.step(1.0)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.network.parameters():
            parameter.grad = None


def held(network: Any, optimisers: list[torch.optim.Optimizer]) -> None:
    """Each parameter stands exactly once in all groups of all optimisers, and nothing else does."""
    rows = Counter((id(p), row) for o in optimisers for group in o.param_groups for p, row in rows_of(group))
    for name, parameter in network.named_parameters():
        for row in range(len(parameter)):
            times = rows.pop((id(parameter), row), 0)
            require(times == 1, HELD, f"{name} (row {row}) stands {times} times in the optimiser")
    require(not rows, HELD, "the optimiser holds what the network does not have")


def rows_of(group: dict[str, Any]) -> list[tuple[torch.Tensor, int]]:
    """Each row of each parameter of a group; a group of slices (part of a stacked matrix) has those rows only."""
    slices = group.get("slices") or [(p, 0, len(p)) for p in group["params"]]
    return [(p, row) for p, start, stop in slices for row in range(start, stop)]


def loss(network: Any, case: Case, objective: Any, ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The reported loss, nats a token."""
    geometry = case.geometry()
    example = objective.example(ids, geometry, case.vocabulary, generator)
    return weighted_nats(network(example.inputs, geometry), example)


def trained(network: Any, case: Case, objective: Any, ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The loss and what the network's parts ask beside it."""
    nats = loss(network, case, objective, ids, generator)
    return nats + sum(getattr(network, "auxiliary_losses", dict)().values())


def check(network: Any, case: Case, optimisers: Optimisers = plain, steps: int = 1) -> None:
    """Every parameter moves within ``steps``; if that is one, all over."""
    for objective in case.objectives():
        network.train()
        steppers = optimisers(network)
        held(network, steppers)
        before = {name: p.detach().clone() for name, p in network.named_parameters()}
        generator = torch.Generator().manual_seed(0)
        for step in range(steps):
            ids = case.ids(seed=step, batch=48)
            # An optimiser that differentiates gradients (AdaHessian) wants their graph, of forms that have one.
            curved = any(getattr(getattr(s, "made", None), "second_order", False) for s in steppers)
            with twice_differentiable() if curved else nullcontext(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Using backward\\(\\) with create_graph=True")
                trained(network, case, objective, ids, generator).backward(create_graph=curved)
            for stepper in steppers:
                stepper.step()
                stepper.zero_grad()
        for name, parameter in network.named_parameters():
            moved = parameter.detach() != before[name]
            rows = moved.flatten(1).any(1) if parameter.dim() > 1 else moved
            require(not parameter.isnan().any(), LEARNS, f"{name} became NaN")
            if ".places." in name:
                rows = rows[: case.layout.count]  # no cell stands further away
            if isinstance(objective, PrefixLM) and name.endswith("embedding.weight"):
                rows = rows[: case.vocabulary]  # nothing is asked where a window still sees the first slot
            if name.endswith("bias.first") and case.visibility is Visibility.CAUSAL:
                rows = rows[rows] if rows.any() else rows  # the first slot sees itself alone: its own row has no say
            # Rectifiers rest, and pieces of a constant layer that no token of a tiny vocabulary falls into.
            enough = 0.3 if ".feedforward." in name else 1.0 if parameter.dim() < 2 else 0.9
            if steps > 1 or ("embedding" in name and not hearing_is_possible(case)):
                enough = 1e-9  # a masked model without blocks looks at the reserved id alone
            require(
                rows.double().mean() >= enough,
                LEARNS,
                f"{name}: {int((~rows).sum())} of {rows.numel()} rows did not move",
            )


def random_text(network: Any, case: Case, steps: int = 60, batch: int = 16, last: int = 30) -> None:
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
        require(
            mean > floor, RANDOM, f"{mean:.4f} nats a token on i.i.d. text over {case.vocabulary} ids ({floor:.4f})"
        )
