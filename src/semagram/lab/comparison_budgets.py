"""Equal operations instead of equal tokens: how long each contestant may train to cost as much as the first.

    tokens_i = tokens_1 x flops_1 / flops_i,   flops: of a forward pass, a token, as ``models.summary`` counts them

They are counted over canvases of each contestant's own training text, read as in training: where boundaries depend on
the text, so do costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from semagram.errors import UserError
from semagram.lab.comparison_contestants import Contestant, FromRecipe
from semagram.lab.comparison_judged import ComparedText
from semagram.models.summary import summary
from semagram.training.budget import Budget
from semagram.training.tokenised import TokenisedText

CANVASES = 8
"""Read to count operations."""


def flops_a_token(contestant: FromRecipe, text: ComparedText) -> float:
    """Operations of a forward pass, a token; ``UserError`` where a network's cannot be counted."""
    experiment = contestant.experiment
    layout = experiment.layout
    tokens = TokenisedText.of(text.whole, experiment.tokenizer, text.held_out_share)
    rows = min(CANVASES, len(tokens.train) // layout.count)
    if not rows:
        raise UserError(f"the training text is shorter than a canvas of {contestant.name}, {layout.count} tokens.")
    network = experiment.model.build(tokens.tokenizer.vocabulary_size, layout, experiment.objective.visibility)
    ids = torch.from_numpy(tokens.train[: rows * layout.count].astype("int64")).view(rows, layout.count)
    try:
        found = summary(network, layout, ids).flops / layout.count
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"the operations of {contestant.name} cannot be counted: {error}") from error
    if not found:
        raise UserError(
            f"the operations of {contestant.name} cannot be counted: it has no linear map and no attention."
        )
    return found


def equal_flops(contestants: Sequence[Contestant], budget: Budget | None, text: ComparedText) -> dict[str, Budget]:
    """For each recipe its budget in tokens; ``budget`` (none: the first's own) is the first recipe's.

    ``UserError`` for a budget in seconds, whose operations nobody knows beforehand.
    """
    trained = [c for c in contestants if isinstance(c, FromRecipe)]
    if not trained:
        return {}
    first = trained[0].experiment
    own = budget or first.training.budget
    if own.unit == "seconds":
        raise UserError(f"equal operations need a budget in steps or tokens, got {own}: like --budget 1Mtokens.")
    tokens = own.amount * (first.training.batch * first.layout.count if own.unit == "steps" else 1)
    costs = {c.name: flops_a_token(c, text) for c in trained}
    return {
        name: Budget(float(round(tokens * costs[trained[0].name] / cost)), "tokens") for name, cost in costs.items()
    }
