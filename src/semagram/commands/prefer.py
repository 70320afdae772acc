"""``semagram prefer RUN PAIRS.jsonl -o NEW``: teach a trained model which of two responses is the better one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError


@dataclass(frozen=True)
class Prefer:
    """Direct preference optimisation on pairs of responses; the run itself is left as it is."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model."""
    pairs: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PAIRS")]
    """A file with one JSON object a line: prompt, chosen, rejected."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the new model."""
    beta: float = 0.1
    """Larger stays nearer to the model that it begins with."""
    steps: int = 100
    """Optimiser steps."""
    batch: int = 8
    """Pairs a step."""
    rate: float = 1e-4
    """Learning rate."""
    seed: int = 0
    """Of the order of the pairs."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Prefer, arguments, "semagram prefer")
    if options.out.exists():
        raise UserError(f"{options.out} is there already: name another folder.")
    import torch

    from semagram.lab.preferences import prefer, read_pairs
    from semagram.trained import load
    from semagram.training.preference import PreferenceTraining, Progress

    settings = PreferenceTraining(options.beta, options.steps, options.batch, options.rate, options.seed)
    pairs, model = read_pairs(options.pairs), load(options.run)
    if model.experiment.training.threads is not None:
        torch.set_num_threads(model.experiment.training.threads)
    last: list[Progress] = []

    def watch(progress: Progress) -> None:
        last[:] = [progress]

    prefer(model, pairs, settings, watch).save(options.out)
    print(
        f"{options.steps} steps on {len(pairs):,} pairs: loss {last[0].loss:.4f} (0.6931 at first), "
        f"{last[0].agreed:.0%} of the last pairs agreed with; the model is in {options.out}"
    )
    return 0
