"""A sweep: many settings of one recipe, the same budget for each, judged on a slice of the *training* text.

The validation text is opened once, for the best setting, which is then trained afresh on the whole training text: a
score that was not chosen by looking at it. Trials see a file with the training text and nothing else.

Every trial is written down when it ends; a crash or a score that is no number is a result of that trial and of no
other. Killed, the sweep goes on where it stopped with the same command, and more trials can be added later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semagram.config import from_json, to_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab import recipes
from semagram.lab.sweep_importance import importance
from semagram.lab.sweep_space import Axis, applied, axes_of
from semagram.lab.sweep_study import Book, Sampler, Trial, package
from semagram.lab.sweep_work import Objective, trained_bits, work, work_together
from semagram.text import load_text, split
from semagram.training.budget import Budget
from semagram.training.files import replace_whole, write_json
from semagram.training.records import differences

Say = Callable[[str], None]
QUESTION, TEXT, BEST, RESULT = "sweep.json", "training.txt", "best", "result.json"


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to; its files are in ``folder``."""

    folder: Path
    experiment: Experiment
    """The recipe that was swept over."""
    axes: tuple[Axis, ...]
    trials: tuple[Trial, ...]
    best: Trial
    """The trial with the lowest score on the slice."""
    best_experiment: Experiment
    """The recipe with its settings, ready for ``semagram train``."""
    importance: dict[str, float | None]
    """Share of the variance of the trials' ranks that each field explains by itself."""
    dev: float
    """Share of the training text that trials were judged on."""
    held_out_bits: float | None
    """Bits per character of the best, trained on the whole training text, over the validation text; None: not asked."""
    command: tuple[str, ...]
    """What repeats it on a command line."""


def sweep(
    *sources: str,
    over: Sequence[str],
    recipe: str | Experiment = "baseline",
    trials: int = 20,
    sampler: Sampler = "tpe",
    workers: int = 1,
    budget: str | None = None,
    dev: float = 0.1,
    seed: int = 0,
    out: str | Path | None = None,
    final: bool = True,
    objective: Objective | None = None,
    command: Sequence[str] | None = None,
    say: Say | None = None,
) -> Sweep:
    """Try ``trials`` settings of ``recipe`` and train the best: ``sweep("book.txt", over=["model.width=32..256"])``.

    ``over``: see ``sweep_space``. ``sampler`` proposes settings: random, tpe (Bergstra 2011), evolution (CMA-ES over
    ranges, arXiv 1604.00772, NSGA-II where there are choices). ``workers`` processes share the trials. ``dev`` is the
    share of the training text that they are judged on. ``final``: train the best and open the validation text.
    ``objective`` replaces training and judging (one process only). ``command`` is told in the report. ``UserError`` for
    what cannot be, before anything is trained, and when no trial came to a score; ``KeyboardInterrupt`` when
    interrupted.
    """
    for name, value in (("trials", trials), ("workers", workers)):
        if value < 1:
            raise UserError(f"{name} must be at least 1, got {value}.")
    if not 0.0 < dev < 1.0:
        raise UserError(f"dev is a share of the training text, between 0 and 1; got {dev}.")
    if objective is not None and workers > 1:
        raise UserError("an objective of one's own works in one process: leave out workers.")
    package()
    experiment = recipe if isinstance(recipe, Experiment) else recipes.find(recipe).experiment
    if sources:
        experiment = replace(experiment, text=tuple(sources))
    if budget is not None:
        experiment = replace(experiment, training=replace(experiment.training, budget=Budget.parse(budget)))
    axes = axes_of(over, experiment)
    if len(load := load_text(experiment.text).text) < 2:
        raise UserError(f"the text has {len(load)} characters: too few to train on one part and judge on another.")
    training = split(load, 1 - experiment.training.held_out)[0]
    folder = _folder(experiment, out)
    say = say or (lambda _: None)
    _ask(folder, experiment, over, sampler, seed, dev, training)

    book = Book(folder, axes, sampler, seed)
    settled = replace(experiment, text=(str(folder / TEXT),))
    if workers == 1:
        work(book, settled, axes, objective or trained_bits(dev), trials, say)
    else:
        work_together(folder, book, workers, trials, say)
    done = book.trials()
    scored = [t for t in done if t.bits is not None]
    if not scored:
        raise UserError(f"no trial of {len(done)} came to a score; the first: {done[0].failed}")
    best = min(scored, key=lambda t: (t.bits, t.number))
    chosen = with_values(experiment, axes, best)
    bits = _validated(folder, chosen, say) if final and objective is None else None
    if command is None:
        command = ["semagram", "sweep", *experiment.text, "--over", *over, "--trials", str(trials)]
        command += ["--recipe", recipe] if isinstance(recipe, str) else []
        command += ["--budget", budget] if budget is not None else []
        command += ["--sampler", sampler, "--sweep-seed", str(seed), "--dev", str(dev), "--out", str(folder)]
    found = Sweep(
        folder, experiment, axes, tuple(done), best, chosen, importance(axes, scored), dev, bits, tuple(command)
    )
    _write(found)
    return found


def with_values(experiment: Experiment, axes: Sequence[Axis], trial: Trial) -> Experiment:
    """``experiment`` with a trial's settings."""
    return applied(experiment, axes, lambda axis: trial.values[axis.path])


def question_of(folder: Path) -> tuple[Experiment, tuple[Axis, ...], dict[str, Any]]:
    """What the sweep in ``folder`` asks, for a process that joins in: its recipe on the training text, its axes."""
    told = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
    experiment = from_json(Experiment, told["experiment"], str(folder / QUESTION))
    return replace(experiment, text=(str(folder / TEXT),)), axes_of(told["over"], experiment), told


def as_json(found: Sweep) -> dict[str, Any]:
    """The sweep as plain data."""
    return {
        "folder": str(found.folder),
        "loss_kind": found.experiment.objective.loss_kind,
        "best": {"trial": found.best.number, "values": found.best.values, "dev_bits_per_character": found.best.bits},
        "held_out_bits_per_character": found.held_out_bits,
        "importance": found.importance,
        "trials": [
            {"trial": t.number, "values": t.values, "dev_bits_per_character": t.bits, "failed": t.failed}
            for t in found.trials
        ],
    }


def _folder(experiment: Experiment, out: str | Path | None) -> Path:
    folder = Path(out) if out is not None else Path("sweeps") / experiment.name
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; a sweep needs a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / QUESTION).is_file():
        raise UserError(f"{folder} holds something else than a sweep: use another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _ask(
    folder: Path, experiment: Experiment, over: Sequence[str], sampler: Sampler, seed: int, dev: float, training: str
) -> None:
    """Write down what is asked; ``UserError`` where the folder holds the trials of another question."""
    data = training.encode("utf-8", "surrogatepass")
    asked = {
        "experiment": to_json(experiment),
        "over": sorted(over),
        "sampler": sampler,
        "seed": seed,
        "dev": dev,
        "text": hashlib.sha256(data).hexdigest()[:16],
    }
    asked = json.loads(json.dumps(asked))
    if (folder / QUESTION).is_file():
        try:
            there = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{folder / QUESTION} is damaged: {error}.") from None
        if different := differences(there, asked):
            raise UserError(
                f"{folder} holds the trials of another sweep: {'; '.join(different[:3])}. Use another --out."
            )
        return
    _put(folder / TEXT, data)
    write_json(folder / QUESTION, asked)


def _validated(folder: Path, chosen: Experiment, say: Say) -> float | None:
    """Train the best on the whole training text and open the validation text: once, whatever happens afterwards."""
    from semagram.lab.runs import carry_out

    run, kept = folder / BEST, folder / BEST / "validated.json"
    if kept.is_file():
        told = json.loads(kept.read_text(encoding="utf-8"))
        there = from_json(Experiment, json.loads((run / "config.json").read_text(encoding="utf-8")), str(run))
        if there == chosen:
            return told["bits_per_character"]
        raise UserError(
            f"{run} was the best before trials were added, and the validation text was opened for it: move it away to "
            f"open it again."
        )
    say("the best is trained on the whole training text ...")
    outcome = carry_out(chosen, run, resume=(run / "config.json").exists(), quiet=True)
    if outcome.interrupted:
        raise KeyboardInterrupt
    write_json(kept, {"bits_per_character": outcome.bits_per_character})
    return outcome.bits_per_character


def _write(found: Sweep) -> None:
    from semagram.lab.sweep_page import table, write_sweep

    write_json(found.folder / RESULT, as_json(found))
    _put(found.folder / "table.md", table(found).encode("utf-8"))
    write_sweep(found)


def _put(path: Path, data: bytes) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    replace_whole(path, write)
