"""The one explicit loop. Everything it does is on this page; how each thing is done is in the files beside it.

A step depends on (experiment, text, number of the step) and on nothing else: so a run that was killed and resumed,
however often, ends with the same bits as one that was left in peace (on one machine, with as many threads).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts.streams import line_of
from semagram.predictors.boosted_trees import BoostedTrees
from semagram.training.device import fabric_of, torch_settings
from semagram.training.evaluate import Evaluate, HeldOut
from semagram.training.files import CannotWrite
from semagram.training.interrupts import Interrupts
from semagram.training.loggers import Logger, LoggerName
from semagram.training.prior import prior_of
from semagram.training.progress import Silent, Watcher
from semagram.training.records import RunFolder
from semagram.training.run import Run
from semagram.training.schedule import Pace, evaluation_steps, rate_factor
from semagram.training.state import Ending, Result
from semagram.training.tags import tag_sheet
from semagram.training.tokenised import TokenisedText


@dataclass(frozen=True)
class SaveEvery:
    """How often ``last.safetensors`` is written, besides after each evaluation. It changes no result."""

    seconds: float | None = 60.0
    """Wall time between checkpoints; none: not by time."""
    steps: int | None = None
    """Steps between checkpoints; none: not by steps."""

    def due(self, step: int, seconds: float) -> bool:
        """``step`` steps are done; the last checkpoint is ``seconds`` old."""
        by_steps = self.steps is not None and step % self.steps == 0
        return by_steps or (self.seconds is not None and seconds >= self.seconds)


def train(
    experiment: Experiment,
    text: str | TokenisedText,
    run: Path,
    *,
    resume: bool = False,
    watch: Watcher | None = None,
    loggers: Sequence[LoggerName | Logger] = (),
    evaluate: Evaluate | None = None,
    sample: Callable[[nn.Module], str] | None = None,
    save: SaveEvery | None = None,
) -> Result:
    """Train ``experiment.model`` on ``text`` and leave everything in the folder ``run``.

    ``text`` is cut and tokenised as the experiment says, or brought ready. ``resume`` goes on from the last
    checkpoint (from the beginning, where there is none). ``watch`` is told what happens (by default nobody).
    ``evaluate`` scores the held-out text, nats a token; ``sample`` writes something after each score. Neither may
    change the network. Raises ``UserError`` for a folder that holds a run (without ``resume``) or another
    experiment's, a text that is too short, a device that is not there, a full disk, and a loss that explodes.
    """
    if isinstance(experiment.model, BoostedTrees):
        raise UserError("trees are grown, not trained by steps: use semagram.train, or semagram.lab.trees.grow.")
    settings, watch, save = experiment.training, watch or Silent(), save or SaveEvery()
    if isinstance(text, str):
        text = TokenisedText.of(text, experiment.tokenizer, settings.held_out, experiment.layout)
    evaluate = evaluate or HeldOut(text.held_out, line_of(experiment.layout), experiment.objective)
    with torch_settings(settings.threads), Interrupts() as interrupts:
        fabric = fabric_of(settings)
        folder = RunFolder(run, experiment, resume, fabric.is_global_zero)
        prior = prior_of(experiment.model, text.tokenizer.vocabulary_size, text.train)
        sheet = tag_sheet(experiment.layout, text.train, text.tokenizer)
        life = Run(experiment, text, folder, fabric, watch, evaluate, sample, prior, sheet)
        result: Result | None = None
        try:
            life.open(loggers)
            result = _loop(life, interrupts, save)
            return result
        except CannotWrite as error:
            raise CannotWrite(f"{error} {life.kept()} Make room and go on with --resume.") from error
        finally:
            life.close()
            watch.end(result)


def _loop(life: Run, interrupts: Interrupts, save: SaveEvery) -> Result:
    settings, progress = life.experiment.training, life.progress
    pace = Pace(settings.budget, life.tokens_a_step, progress.total_steps)
    progress.total_steps = pace.total
    score_after = evaluation_steps(pace.total, settings.evaluate_every)
    saved_at = time.monotonic()

    while progress.ended is None:
        began, processor_began = time.perf_counter(), time.process_time()
        loss = life.gradient()
        spent = _spent(life, time.perf_counter() - began, time.process_time() - processor_began)
        total = pace.total or life.agreed(pace.guess(progress.step, spent))
        factor = rate_factor(progress.step, total, settings.warmup, settings.decay)
        life.take(factor)
        elapsed, processor = time.perf_counter() - began, time.process_time() - processor_began
        life.count(loss, factor, elapsed, processor)

        timing = pace.total is None
        if timing:
            pace.total = progress.total_steps = life.agreed(
                pace.timed(progress.step, _spent(life), processor if _by_processor(life) else elapsed)
            )
            score_after = evaluation_steps(pace.total, settings.evaluate_every)
        if progress.step in score_after:
            life.score()
        progress.ended = life.agreed(_ending(life, pace, interrupts))
        if progress.ended == "clock" and progress.scored_step != progress.step:
            life.score()

        by_schedule = progress.step in score_after or (timing and pace.total is not None)
        if progress.ended or by_schedule or save.due(progress.step, time.monotonic() - saved_at):
            life.save()
            saved_at = time.monotonic()
    return life.finish()


def _ending(life: Run, pace: Pace, interrupts: Interrupts) -> Ending | None:
    progress, patience = life.progress, life.experiment.training.patience
    if pace.total is not None and progress.step >= pace.total:
        return "budget"
    if patience is not None and progress.stale >= patience:
        return "patience"
    if pace.overrun(_spent(life)):
        return "clock"
    return "interrupted" if interrupts.asked else None


def _by_processor(life: Run) -> bool:
    return life.experiment.training.budget.unit == "cpu_seconds"


def _spent(life: Run, seconds: float = 0.0, processor: float = 0.0) -> float:
    """What a budget in seconds is held against, with that of a step not yet counted."""
    p = life.progress
    return p.cpu_seconds + processor if _by_processor(life) else p.seconds + seconds
