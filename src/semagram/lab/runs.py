"""One run from start to end: text, training, honest score, sample, report; what ``train`` and ``demo`` do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab import recipes
from semagram.lab.report import write_report
from semagram.lab.three_ways import ThreeWays, three_ways
from semagram.lab.trees import grow
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.text import load_text, split
from semagram.trained import TrainedModel, load, read_json
from semagram.training import train as train_network
from semagram.training.budget import Budget
from semagram.training.processes import processes_of
from semagram.training.progress import Watcher, watcher
from semagram.training.tokenised import TokenisedText
from semagram.verbs.determinism import held_still
from semagram.verbs.rewrite import rewrite
from semagram.verbs.score import Score

if TYPE_CHECKING:
    from semagram.training.loggers import LoggerName

SAMPLE_TOKENS = 300
LIVE_TOKENS = 120


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``model``, ``score`` and ``sample`` are None when it was interrupted, and in every process of
    several but the first."""

    folder: Path
    experiment: Experiment
    interrupted: bool
    steps: int
    tokens: int
    seconds: float
    cpu_seconds: float
    training_characters: int
    held_out_characters: int
    model: TrainedModel | None = None
    score: Score | None = None
    sample: str | None = None
    ways: ThreeWays | None = None
    """Of a hybrid: its parts by themselves."""
    pseudo_nats: float | None = None
    """Of a centred model: nats a token given all others, on the held-out text; no likelihood."""

    @property
    def nats_per_character(self) -> float | None:
        """Of the whole held-out text, exact; None when the run was interrupted."""
        return None if self.score is None else self.score.total_nats / self.held_out_characters

    @property
    def bits_per_character(self) -> float | None:
        """The same in bits."""
        return None if self.score is None else self.score.bits_per_character(self.held_out_characters)


def train(
    *sources: str,
    recipe: str | Experiment = "baseline",
    budget: str | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> TrainedModel:
    """Train a model: ``semagram.train("book.txt", budget="2m")``.

    ``sources`` are files, folders, globs or named corpora (none: the recipe's own); ``recipe`` a name, a FILE.py or
    an ``Experiment``; ``budget`` like 30s, 5m, 2000steps, 1.5Mtokens. Returns the trained model; its run folder is
    ``model.folder``. Raises ``UserError`` for what the caller can mend, ``KeyboardInterrupt`` when interrupted.
    Of several processes the first gives the model back, the others leave (``SystemExit``).
    """
    experiment = recipe if isinstance(recipe, Experiment) else recipes.find(recipe).experiment
    if sources:
        experiment = replace(experiment, text=tuple(sources))
    if budget is not None:
        experiment = replace(experiment, training=replace(experiment.training, budget=Budget.parse(budget)))
    if seed is not None:
        experiment = replace(experiment, seed=seed)
    outcome = carry_out(experiment, Path(out) if out is not None else None, resume=resume, quiet=quiet)
    if outcome.interrupted:
        raise KeyboardInterrupt
    if outcome.model is None:
        raise SystemExit(0)
    return outcome.model


def carry_out(
    experiment: Experiment,
    out: Path | None = None,
    *,
    resume: bool = False,
    logger: LoggerName | None = None,
    quiet: bool = False,
) -> Outcome:
    """Train ``experiment``, then score the whole held-out text and write a sample and ``report.html``."""
    folder = _folder(experiment, out, resume)
    first = processes_of(experiment.training).first
    quiet = quiet or not first
    text = load_text(experiment.text).text
    tokenised = TokenisedText.of(text, experiment.tokenizer, experiment.training.held_out, experiment.layout)
    watch: Watcher | None = None if quiet else watcher()

    def sample(network: nn.Module) -> str:
        return written(TrainedModel(experiment, tokenised.tokenizer, network), LIVE_TOKENS)

    if isinstance(experiment.model, BoostedTrees):
        result = grow(experiment, tokenised, folder, resume=resume)
    else:
        result = train_network(
            experiment,
            tokenised,
            folder,
            resume=resume,
            watch=watch,
            loggers=() if logger is None else (logger,),
            sample=None if quiet else sample,
        )
    training, held_out = split(text, 1 - experiment.training.held_out)
    known = Outcome(
        folder=folder,
        experiment=experiment,
        interrupted=result.interrupted,
        steps=result.step,
        tokens=result.tokens,
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        training_characters=len(training),
        held_out_characters=len(held_out),
    )
    # Of several processes one goes on; the others have done their part.
    if result.interrupted or not first:
        return known
    model = load(folder)
    if experiment.objective.loss_kind == "pseudo_nll":  # no likelihood, so nothing to score or to code
        known = replace(known, pseudo_nats=result.held_out_nats)
        return replace(known, model=model, sample=written(model, SAMPLE_TOKENS, experiment.seed))
    # What is too small to gain from a second thread in training is too small for it here as well.
    with held_still(experiment.training.threads or torch.get_num_threads()):
        score = model.score(held_out)
        outcome = replace(
            known,
            model=model,
            score=score,
            sample=written(model, SAMPLE_TOKENS, experiment.seed),
            ways=three_ways(model, held_out, score.bits_per_character(len(held_out))),
        )
        write_report(outcome, held_out)
    return outcome


def bits_of_training(experiment: Experiment, folder: Path) -> float:
    """Train ``experiment`` in ``folder`` and nothing more: bits per character over its held-out text, of its loss.

    What is done there already is not done again. ``KeyboardInterrupt`` when interrupted.
    """
    if (folder / "result.json").is_file():
        return float(read_json(folder / "result.json")["held_out_bits_per_character"])
    tokenised = TokenisedText.of(load_text(experiment.text).text, experiment.tokenizer, experiment.training.held_out)
    resume = (folder / "config.json").exists()
    if isinstance(experiment.model, BoostedTrees):
        result = grow(experiment, tokenised, folder, resume=resume)
    else:
        result = train_network(experiment, tokenised, folder, resume=resume)
    if result.interrupted:
        raise KeyboardInterrupt
    assert result.held_out_bits_per_character is not None
    return result.held_out_bits_per_character


def written(model: TrainedModel, tokens: int, seed: int = 0) -> str:
    """A sample: of a centred model, what the automaton makes of random tokens."""
    if model.experiment.objective.loss_kind == "pseudo_nll":
        return rewrite(model.predictor, model.tokenizer, seed=seed)[-1]
    return str(model.generate("", tokens, seed=seed))


def _folder(experiment: Experiment, out: Path | None, resume: bool) -> Path:
    """The run's folder: the one asked for, the latest to resume, or the next free ``runs/NAME``."""
    if out is not None:
        return out
    runs = Path("runs")
    if resume:
        every = sorted(runs.glob("*/config.json"), key=lambda p: p.stat().st_mtime)
        if not every:
            raise UserError("there is no run in the folder 'runs' to resume; name it with --out.")
        return every[-1].parent
    number = 1
    while (runs / f"{experiment.name}-{number}").exists():
        number += 1
    return runs / f"{experiment.name}-{number}"
