"""``semagram sweep book.txt --over PATH=VALUES ...``: many settings, one budget, the best judged once."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from semagram.commands.options import exchange_parts, parse
from semagram.commands.train import recipe_of
from semagram.experiment import Experiment
from semagram.lab import recipes

Inline = tyro.conf.arg(name="")


@dataclass(frozen=True)
class SweepCommand:
    """Try many settings of a recipe; every other field can be overridden as in train."""

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """Files, folders, globs, - for standard input, or named corpora (see: semagram corpora)."""
    over: tuple[str, ...] = ()
    """PATH=VALUES: model.width=32..256, training.optimiser.rate=log:1e-4..1e-1, model.hidden=0,1,2."""
    recipe: str = "baseline"
    """A recipe's name (see: semagram recipes) or your own FILE.py."""
    trials: int = 20
    """Settings to try; those that are done in --out count."""
    sampler: Literal["random", "tpe", "evolution"] = "tpe"
    """Who proposes: chance, a tree of Parzen estimators, or CMA-ES (NSGA-II where there are choices)."""
    workers: int = 1
    """Processes that share the trials."""
    budget: str | None = None
    """For each trial: 30s, 5m, 2000steps, 1.5Mtokens; none: the recipe's."""
    dev: float = 0.1
    """Share of the training text, at its end, that trials are judged on."""
    sweep_seed: int = 0
    """Of what is proposed."""
    out: Path | None = None
    """Folder; none: sweeps/NAME. What is finished there is not repeated."""
    final: bool = True
    """Train the best on the whole training text and judge it on the validation text, once."""
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Do not tell how it goes on."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the outcome as JSON."""
    experiment: Annotated[Experiment, Inline] = field(default_factory=Experiment)


def run(arguments: list[str]) -> int:
    """The command."""
    recipe = recipes.find(recipe_of(arguments))
    experiment, left = exchange_parts(recipe.experiment, arguments)
    options = parse(SweepCommand, left, "semagram sweep", SweepCommand(experiment=experiment))
    from semagram.lab.sweep import as_json, sweep
    from semagram.lab.sweep_page import columns, headline, lines

    silent = options.quiet or options.json
    found = sweep(
        *options.sources,
        over=options.over,
        recipe=options.experiment,
        trials=options.trials,
        sampler=options.sampler,
        workers=options.workers,
        budget=options.budget,
        dev=options.dev,
        seed=options.sweep_seed,
        out=options.out,
        final=options.final,
        command=("semagram", "sweep", *arguments),
        say=None if silent else lambda said: print(said, file=sys.stderr, flush=True),
    )
    if options.json:
        print(json.dumps(as_json(found), ensure_ascii=False))
        return 0
    rows = [columns(found), *lines(found)[:10]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"\n{headline(found)}\n")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("\nwhat mattered (share of the variance of ranks that a field explains by itself):")
    for path, share in found.importance.items():
        print(f"  {path}: {'too few trials to say' if share is None else f'{share:.0%}'}")
    print(f"\n{found.folder / 'report.html'}  {found.folder / 'table.md'}  {found.folder / 'result.json'}")
    return 0
