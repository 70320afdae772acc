"""Preferences for trained models: ``prefer(model, [("Once", " upon a time", " more")])`` gives a model that prefers the
first continuation to the second. See ``training.preference`` for the method.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from semagram.errors import UserError
from semagram.layouts import Sequence as Line
from semagram.models import Hybrid
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.trained import TrainedModel
from semagram.training.preference import Pair, PreferenceTraining, Progress
from semagram.training.preference import prefer as train_preference

Texts = tuple[str, str, str]
"""Prompt (may be empty), chosen response, rejected response."""


def prefer(
    model: TrainedModel,
    pairs: Sequence[Texts],
    settings: PreferenceTraining | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> TrainedModel:
    """A new model that prefers the chosen responses; ``model`` is untouched and is what it is held near to.

    ``UserError`` for a model that is no plain causal network on a line (a hybrid's n-grams cannot read padding).
    """
    if isinstance(model.experiment.model, (Hybrid, BoostedTrees)) or not isinstance(model.experiment.layout, Line):
        raise UserError(
            f"preferences are trained on causal networks that read a line; this is a "
            f"{type(model.experiment.model).__name__} on a {type(model.experiment.layout).__name__}."
        )
    encoded = [Pair(*(_ids(model, text) for text in texts)) for texts in pairs]
    network = train_preference(model.network, encoded, model.experiment.layout.count, settings, watch)
    return TrainedModel(model.experiment, model.tokenizer, network)


def read_pairs(path: Path) -> list[Texts]:
    """From a file with one JSON object a line, {"prompt": ..., "chosen": ..., "rejected": ...}; ``UserError`` names
    the line that is none."""
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    found: list[Texts] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            texts = told.get("prompt", ""), told["chosen"], told["rejected"]
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            texts = (None,)
        if not all(isinstance(text, str) for text in texts) or len(texts) != 3:
            raise UserError(f'{path}, line {number}: a pair is {{"prompt": "", "chosen": "...", "rejected": "..."}}.')
        found.append(texts)
    return found


def _ids(model: TrainedModel, text: str) -> np.ndarray:
    return np.asarray(model.tokenizer.encode(text) if text else [], dtype=np.int64)
