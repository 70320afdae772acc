"""Which text a command works on: the one named, or the end of the model's own corpus that it never learnt from."""

from __future__ import annotations

from collections.abc import Sequence

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.text import load_text, split


def named_or_held_out(sources: Sequence[str], experiment: Experiment) -> str:
    """The text of ``sources``; without any, the held-out part of the experiment's own text."""
    if sources:
        return load_text(sources).text
    if "-" in experiment.text:
        raise UserError("the model was trained on standard input, which is gone: name a text.")
    return split(load_text(experiment.text).text, 1 - experiment.training.held_out)[1]


def training_text(experiment: Experiment) -> str | None:
    """What the experiment was trained on; None when it came from standard input or is no longer there."""
    if "-" in experiment.text:
        return None
    try:
        return split(load_text(experiment.text).text, 1 - experiment.training.held_out)[0]
    except UserError:
        return None
