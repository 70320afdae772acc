"""The same number of tries for everybody: variants are judged on a slice cut from the training text, and the best one
goes on. The held-out text is opened once, by the final runs.

What is tried is what each kind is most touchy about: the learning rate of what learns by gradients, the order of an
n-gram, the rate of boosted trees. The first try is the contestant as it is, so more tries never choose worse on the
slice. A try is a run like any other: it lies in a folder of its own and is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.comparison_contestants import Contestant, Counting, FromMembers, FromRecipe, FromRun, folder_name
from semagram.lab.comparison_judged import ComparedText
from semagram.lab.comparison_run import ContestantResult, run
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.training.budget import Budget

DEV_SHARE = 0.1
"""Share of the training text, at its end, that tries are judged on."""
FACTORS = (1.0, 0.5, 2.0, 0.25, 4.0, 0.7, 1.4, 0.125)
"""Of learning rates, in the order in which they are tried."""
ORDERS = (6, 5, 7, 4, 8, 3, 9, 2)
"""Of n-grams."""
MOST = len(FACTORS)


@dataclass(frozen=True)
class Tuned:
    """What came of a contestant's tries."""

    chosen: Contestant
    words: str
    """What was changed."""
    dev: tuple[float | None, ...]
    """Bits per character of each try on the slice; None for one that failed."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"contestant": self.chosen.name, "chosen": self.words, "dev_bits_per_character": list(self.dev)}


def dev_text(text: ComparedText) -> ComparedText:
    """The training text alone, with its end held out: the tries cannot see the held-out text."""
    return ComparedText(text.sources, text.training, DEV_SHARE)


def tuned(
    contestant: Contestant,
    trials: int,
    budget: Budget | None,
    text: ComparedText,
    folder: Path,
    say: Callable[[str], None],
) -> Tuned:
    """The best of ``trials`` variants with seed 0; ``UserError`` for more than there are. A run that was brought ready
    is not tuned."""
    if not 1 <= trials <= MOST:
        raise UserError(f"trials must be from 1 to {MOST}, got {trials}.")
    if isinstance(contestant, FromRun):
        return Tuned(contestant, "brought ready", ())
    dev, tries = dev_text(text), variants(contestant)[:trials]
    scores: list[float | None] = []
    for number, (words, variant) in enumerate(tries):
        place = folder / "trials" / folder_name(contestant.name) / f"trial-{number}"
        found = score_of(run(variant, 0, budget, dev, place))
        scores.append(found)
        verdict = "failed" if found is None else f"{found:.4f} bits/char"
        say(f"{contestant.name}, try {number + 1} of {trials} ({words}): {verdict}")
    best = min(range(len(tries)), key=[math.inf if score is None else score for score in scores].__getitem__)
    return Tuned(tries[best][1], tries[best][0], tuple(scores))


def score_of(result: ContestantResult) -> float | None:
    """The score that a contestant is chosen by: exact where there is one, else what it was trained on."""
    if result.failed is not None or result.judged is None:
        return None
    j = result.judged
    return next((v for v in (j.nll, j.nll_upper_bound, j.pseudo_nll) if v is not None), None)


def variants(contestant: Contestant) -> list[tuple[str, Contestant]]:
    """What is tried, in order; the first is the contestant as it is."""
    if isinstance(contestant, FromRecipe):
        return [(f"rates x {f:g}", replace(contestant, experiment=_faster(contestant.experiment, f))) for f in FACTORS]
    if isinstance(contestant, FromMembers):
        return [
            (f"rates x {f:g}", replace(contestant, experiments=tuple(_faster(e, f) for e in contestant.experiments)))
            for f in FACTORS
        ]
    assert isinstance(contestant, Counting)
    config = contestant.config
    if isinstance(config, BoostedTrees):
        return [(f"rate x {f:g}", replace(contestant, config=replace(config, rate=config.rate * f))) for f in FACTORS]
    orders = [config.order, *(order for order in ORDERS if order != config.order)][:MOST]
    return [(f"order {order}", replace(contestant, config=replace(config, order=order))) for order in orders]


def _faster(experiment: Experiment, factor: float) -> Experiment:
    """Every learning rate times ``factor``."""
    optimiser: Any = experiment.training.optimiser
    rates = {n: getattr(optimiser, n) * factor for n in ("rate", "head_rate", "adam_rate") if hasattr(optimiser, n)}
    return replace(experiment, training=replace(experiment.training, optimiser=replace(optimiser, **rates)))
