"""Contestants made of several networks: each member is trained with its share of the budget, and all answer as one.

Members lie in ``member-0``, ``member-1`` ... of the contestant's folder; a killed run goes on with the member that was
not finished. Judged as any trained model is, through the ensemble's own ``score``, ``compress`` and ``decompress``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.comparison_judged import SAMPLE_TOKENS, ComparedText, Costs, Judged
from semagram.lab.ensembles import ensemble
from semagram.training import train
from semagram.training.progress import Watcher
from semagram.training.tokenised import TokenisedText


def train_members(
    experiments: tuple[Experiment, ...], text: ComparedText, folder: Path, watch: Watcher | None
) -> dict[str, Any]:
    """Train each in a folder of its own; what it cost, added up. ``KeyboardInterrupt`` when interrupted."""
    spent: dict[str, Any] = {"steps": 0, "tokens": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    for number, experiment in enumerate(experiments):
        place = folder / f"member-{number}"
        tokenised = TokenisedText.of(text.whole, experiment.tokenizer, text.held_out_share)
        found = train(experiment, tokenised, place, resume=(place / "config.json").exists(), watch=watch)
        if found.interrupted:
            raise KeyboardInterrupt
        spent = {**spent, "steps": spent["steps"] + found.step, "tokens": spent["tokens"] + found.tokens}
        spent |= {name: spent[name] + getattr(found, name) for name in ("seconds", "cpu_seconds")}
    return spent


def judge_members(count: int, text: ComparedText, folder: Path, coded: bool) -> Costs:
    """Of the mixture of all members, with equal weights."""
    model = ensemble(*(folder / f"member-{number}" for number in range(count)))
    found, characters = model.score(text.held_out), len(text.held_out)
    size = None
    if coded:
        data = model.compress(text.held_out)
        if model.decompress(data) != text.held_out:
            raise UserError("its compressed file did not decode to the held-out text: the score is not true.")
        size = 8 * len(data) / characters
    judged = Judged(
        nll=float(found.nats.sum()) / math.log(2) / characters,
        coded=size,
        parameters=model.parameters,
        sample=str(model.generate("", SAMPLE_TOKENS, seed=model.experiment.seed)),
    )
    return judged, found.nats, model.tokenizer.lengths(model.encode(text.held_out))


def shared(experiments: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
    """Every member's budget divided by their number, so that all together spend one budget."""
    return tuple(
        replace(
            e,
            training=replace(
                e.training, budget=replace(e.training.budget, amount=e.training.budget.amount / len(experiments))
            ),
        )
        for e in experiments
    )
