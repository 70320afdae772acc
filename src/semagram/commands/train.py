"""``semagram train book.txt``: from a text to a trained model, a sample and an honest score."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from semagram.commands.options import exchange_parts, parse
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab import recipes
from semagram.training.budget import Budget
from semagram.training.start import Start

Inline = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Train:
    """Train a model; every field of the recipe can be overridden, e.g. --model.depth 8."""

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """Files, folders, globs, - for standard input, or named corpora (see: semagram corpora)."""
    recipe: str = "baseline"
    """A recipe's name (see: semagram recipes) or your own FILE.py."""
    budget: str | None = None
    """When to stop: 30s, 5m, 2000steps, 1.5Mtokens; none: the recipe's."""
    out: Path | None = None
    """Folder of the run; none: the next free runs/NAME."""
    start: str | None = None
    """Folder of a finished run to begin with: another text, page size or head; none: the recipe's."""
    frozen: tuple[str, ...] = ()
    """Parts of it that stay as they are, e.g. embedding blocks."""
    afresh: tuple[str, ...] = ()
    """Parts of it that begin afresh, e.g. head."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Go on with an interrupted run (the one in --out, or the latest)."""
    logger: Literal["none", "tensorboard", "wandb", "trackio"] = "none"
    """Also log to one of these; each needs its extra."""
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """No progress display."""
    print_config: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the resolved configuration as JSON and stop."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the outcome as JSON."""
    experiment: Annotated[Experiment, Inline] = field(default_factory=Experiment)


def run(arguments: list[str]) -> int:
    """The command."""
    recipe = recipes.find(recipe_of(arguments))
    experiment, left = exchange_parts(recipe.experiment, arguments)
    options = parse(Train, left, "semagram train", Train(experiment=experiment))
    experiment = resolved(options)
    if options.print_config:
        from semagram.config import dumps

        print(dumps(experiment), end="")
        return 0
    from semagram.lab.runs import carry_out
    from semagram.lab.tell import outcome_as_json, tell

    outcome = carry_out(
        experiment,
        options.out,
        resume=options.resume,
        logger=None if options.logger == "none" else options.logger,
        quiet=options.quiet or options.json,
    )
    if outcome.model is None and not outcome.interrupted:
        return 0  # one of several processes, and not the one that speaks
    if options.json:
        print(json.dumps(outcome_as_json(outcome), ensure_ascii=False))
    else:
        tell(outcome)
    return 130 if outcome.interrupted else 0


def resolved(options: Train) -> Experiment:
    """The experiment with the command's own words put in."""
    experiment = options.experiment
    if options.sources:
        experiment = replace(experiment, text=options.sources)
    if options.budget is not None:
        experiment = replace(experiment, training=replace(experiment.training, budget=Budget.parse(options.budget)))
    if options.start is not None:
        start = Start(options.start, options.frozen, options.afresh)
        experiment = replace(experiment, training=replace(experiment.training, start=start))
    elif options.frozen or options.afresh:
        raise UserError("--frozen and --afresh are about the run that --start names, and there is none.")
    return experiment


def recipe_of(arguments: list[str]) -> str:
    """The value of ``--recipe``, which must be known before the options can be."""
    for index, word in enumerate(arguments):
        if word.startswith("--recipe="):
            return word.removeprefix("--recipe=")
        if word == "--recipe" and index + 1 < len(arguments):
            return arguments[index + 1]
    return "baseline"
