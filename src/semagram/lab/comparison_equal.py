"""What is equal for all that are trained: the budget as it is given, or processor time, tokens, arithmetic, parameters.

| equal | what is done |
|---|---|
| budget | nothing: wall time, tokens or steps, as the budget says |
| cpu | a budget in seconds counts processor time |
| tokens | a budget in steps is turned into the first contestant's tokens |
| flops | every contestant gets the tokens that cost as much arithmetic as the first one's |
| parameters | every network is made as wide as gives the first one's number of parameters, within a tenth |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.comparison_contestants import Contestant, FromMembers, FromRecipe
from semagram.lab.comparison_judged import ComparedText
from semagram.lab.comparison_operations import flops_a_token
from semagram.models.tagged import network_of
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.text import Characters
from semagram.training.budget import Budget

Equal = Literal["budget", "cpu", "tokens", "flops", "parameters"]
CLOSE = 0.1
"""Share by which numbers of parameters may differ and still be called equal."""


def equalised(
    contestants: Sequence[Contestant], equal: Equal, budget: Budget | None, text: ComparedText
) -> tuple[list[Contestant], Budget | None]:
    """The contestants as they are to be trained, and the budget that is given to all (none: each has its own).

    ``UserError`` where what is asked for cannot be made equal.
    """
    found = list(contestants)
    trained = [c for c in found if isinstance(c, (FromRecipe, FromMembers))]
    if equal == "budget" or not trained:
        return found, budget
    shared = budget or trained[0].experiment.training.budget
    if equal == "cpu":
        if shared.unit not in ("seconds", "cpu_seconds"):
            raise UserError(f"equal processor time needs a budget in seconds, like 30s; got {shared}.")
        return found, Budget(float(shared.amount), "cpu_seconds")
    if equal == "parameters":
        wanted = size_of(experiments_of(trained[0])[0], text)
        return [_with(c, [resized(e, wanted, text) for e in experiments_of(c)]) for c in found], shared
    tokens = tokens_of(shared, trained[0].experiment, equal)
    if equal == "tokens":
        return found, Budget(tokens, "tokens")
    work = tokens * flops_a_token(trained[0].experiment, text)
    return [_with(c, [_costing(e, work, text) for e in experiments_of(c)]) for c in found], None


def experiments_of(contestant: Contestant) -> tuple[Experiment, ...]:
    """What is trained for a contestant; none for one that is not."""
    if isinstance(contestant, FromMembers):
        return contestant.experiments
    return (contestant.experiment,) if isinstance(contestant, FromRecipe) else ()


def size_of(experiment: Experiment, text: ComparedText) -> int:
    """Trained numbers of its network on this text's vocabulary."""
    return sum(p.numel() for p in _built(experiment, text).parameters())


def resized(experiment: Experiment, wanted: int, text: ComparedText) -> Experiment:
    """The same with the width that comes nearest to ``wanted`` parameters; ``UserError`` if none is near."""
    before = _width(experiment.model)
    best, least = experiment, abs(size_of(experiment, text) - wanted)
    for width in range(8, 513, 8) if least else ():
        try:
            candidate = replace(experiment, model=_widened(experiment.model, before, width))
            size = size_of(candidate, text)
        except (UserError, ValueError):
            continue  # heads do not divide this width
        if abs(size - wanted) < least:
            best, least = candidate, abs(size - wanted)
        if size > 2 * wanted:
            break
    if least > CLOSE * wanted:
        raise UserError(
            f"{experiment.name} cannot be given {wanted:,} parameters by its width; nearest are "
            f"{size_of(best, text):,} with model.width {_width(best.model)}."
        )
    return best


def _with(contestant: Contestant, experiments: list[Experiment]) -> Contestant:
    if isinstance(contestant, FromMembers):
        return replace(contestant, experiments=tuple(experiments))
    return replace(contestant, experiment=experiments[0]) if isinstance(contestant, FromRecipe) else contestant


def tokens_of(budget: Budget, experiment: Experiment, equal: Equal) -> float:
    """Training tokens that a budget in tokens or steps is; ``UserError`` for one in seconds."""
    if budget.unit == "tokens":
        return float(budget.amount)
    if budget.unit == "steps":
        return float(budget.amount) * experiment.training.batch * experiment.layout.count
    raise UserError(f"equal {equal} need a budget in tokens or steps, like 1Mtokens; got {budget}.")


def _built(experiment: Experiment, text: ComparedText) -> Any:
    plain = isinstance(experiment.tokenizer, Characters)
    tokenizer = text.characters if plain else experiment.tokenizer.train(text.training)
    if isinstance(experiment.model, BoostedTrees):
        raise UserError(f"{experiment.name} grows trees, which have no number of parameters to make equal.")
    return network_of(experiment.model, tokenizer.vocabulary_size, experiment.layout, experiment.objective.visibility)


def _costing(experiment: Experiment, work: float, text: ComparedText) -> Experiment:
    tokens = work / flops_a_token(experiment, text)
    return replace(experiment, training=replace(experiment.training, budget=Budget(float(round(tokens)), "tokens")))


def _width(model: Any) -> int:
    for part in (model, getattr(model, "network", None)):
        width = getattr(part, "width", None)
        if isinstance(width, int):
            return width
    raise UserError(f"a {type(model).__name__} has no width that could be changed.")


def _widened(part: Any, before: int, after: int) -> Any:
    """Every ``width`` in a configuration that was ``before``, also of levels and inner networks."""
    changed: dict[str, Any] = {}
    for field in fields(part):
        value = getattr(part, field.name)
        if field.name == "width" and value == before:
            changed[field.name] = after
        elif field.name == "levels" and isinstance(value, tuple):
            changed[field.name] = tuple(_widened(v, before, after) for v in value)
        elif field.name == "network" and is_dataclass(value):
            changed[field.name] = _widened(value, before, after)
    return replace(part, **changed)
