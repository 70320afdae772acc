"""Operations of a forward pass, a token, as ``models.summary`` counts them.

They are counted over canvases of the training text, read as in training: where boundaries depend on the text, so do
costs.
"""

from __future__ import annotations

import torch

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.comparison_judged import ComparedText
from semagram.models.summary import summary
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.training.tokenised import TokenisedText

CANVASES = 8
"""Read to count operations."""


def flops_a_token(experiment: Experiment, text: ComparedText) -> float:
    """Operations of a forward pass, a token; ``UserError`` where a network's cannot be counted."""
    layout = experiment.layout
    tokens = TokenisedText.of(text.whole, experiment.tokenizer, text.held_out_share)
    rows = min(CANVASES, len(tokens.train) // layout.count)
    if not rows:
        raise UserError(f"the training text is shorter than a canvas of {experiment.name}, {layout.count} tokens.")
    if isinstance(experiment.model, BoostedTrees):
        raise UserError(f"the operations of {experiment.name} cannot be counted: it grows trees.")
    network = experiment.model.build(tokens.tokenizer.vocabulary_size, layout, experiment.objective.visibility)
    ids = torch.from_numpy(tokens.train[: rows * layout.count].astype("int64")).view(rows, layout.count)
    try:
        found = summary(network, layout, ids).flops / layout.count
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"the operations of {experiment.name} cannot be counted: {error}") from error
    if not found:
        raise UserError(
            f"the operations of {experiment.name} cannot be counted: it has no linear map and no attention."
        )
    return found
