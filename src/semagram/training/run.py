"""A run in progress: network, optimiser, progress and records, restored from the folder where there is something.

The loop (`trainer`) says what happens when; here is what each of its words does. With several processes all of them
compute and score, and the first alone writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from semagram.config import fingerprint, to_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.models.hybrid import HybridNetwork
from semagram.predictors.hybrid import Informed
from semagram.predictors.labelled import labelled
from semagram.training import checkpoint as checkpoints
from semagram.training.checkpoint import Checkpoint, Identity
from semagram.training.evaluate import Evaluate
from semagram.training.growth import Growing, carried_state
from semagram.training.loggers import Logger, LoggerName, open_logger
from semagram.training.making import made
from semagram.training.prior import PRIOR, Prior, save_experts
from semagram.training.progress import Moment, Watcher
from semagram.training.records import Logs, RunFolder, decisive
from semagram.training.state import Progress, Result
from semagram.training.step import Diverged
from semagram.training.tags import TagSheet
from semagram.training.tokenised import TokenisedText
from semagram.training.utilisation import Utilisation

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")

LOG_LINES = 1000
"""About how many lines on training a whole run leaves in metrics.jsonl."""


class Run:
    """See the module. ``progress`` is the state between two steps."""

    def __init__(
        self,
        experiment: Experiment,
        text: TokenisedText,
        folder: RunFolder,
        fabric: Fabric,
        watch: Watcher,
        evaluate: Evaluate,
        sample: Callable[[nn.Module], str] | None,
        prior: Prior | None = None,
        sheet: TagSheet | None = None,
    ) -> None:
        settings, layout = experiment.training, experiment.layout
        self.experiment = experiment
        self.progress = Progress()
        self.tokens_a_step = settings.batch * layout.count
        self._text, self._folder, self._fabric, self._watch = text, folder, fabric, watch
        self._evaluate, self._sample = evaluate, sample
        identity = fingerprint(decisive(to_json(experiment)))
        self._identity = Identity(identity, text.tokenizer.fingerprint, text.fingerprint)
        self._saved_step: int | None = None
        self._logs: Logs | None = None
        self._loggers: list[Logger] = []

        self._guises, self._step = made(experiment, text, fabric, watch, prior, sheet)
        self._growing = Growing(self._guises.trained, settings.grow, fabric.world_size)
        self.network = self._guises.plain
        self._shape(0)
        self._prior = prior
        # What is scored and written with: a hybrid network knows its n-grams then, a tagged one its labellers.
        self._whole: Any = labelled(self.network, layout, text.tokenizer)
        if prior is not None:
            assert isinstance(self.network, HybridNetwork)
            self._whole = Informed(self.network, prior.experts)
        self._use: Utilisation | None = None
        if settings.peak_tflops is not None:
            step = self._step
            self._use = Utilisation(settings, self._whole, step.geometry, step.half_geometry, fabric)

    def open(self, loggers: Sequence[LoggerName | Logger]) -> None:
        """Restore the last checkpoint, if there is one, and begin to write."""
        if self._folder.last.exists():
            self._restore()
        elif self._folder.resumed:
            self._watch.notice(f"{self._folder.path} has no checkpoint: starting from the beginning.")
        self._guises.train()
        if not self._first:
            return
        self._folder.begin(self.experiment, self._text.tokenizer, str(self._fabric.device))
        self._logs = Logs(self._folder, self.progress.metrics_bytes, self.progress.samples_bytes)
        config, step = to_json(self.experiment), self.progress.step
        for logger in loggers:
            if isinstance(logger, str):
                logger = open_logger(logger, self._folder.path, self.experiment.name, config, step)
            self._loggers.append(logger)

    def close(self) -> None:
        """Let go of files and loggers, and leave the network as it was built."""
        self._guises.release()
        if self._logs is not None:
            self._logs.close()
        for logger in self._loggers:
            logger.close()

    def gradient(self) -> float:
        """Set the gradients of the coming step; its loss. ``UserError`` when it diverged."""
        p = self.progress
        p.stage = self._growing.due(p.stage, p.step, p.total_steps)
        self._shape(p.stage)
        try:
            return self._step.gradient(p.step, self.experiment.training.halves(p.step, p.total_steps))
        except Diverged as error:
            raise self._diverged(error) from error

    def _shape(self, stage: int) -> None:
        """Bring layers of functions to their stage, and the optimiser's state with them."""
        if stage != self._growing.stage:
            state, matrices = self._step.stepper.state(), self._growing.to(stage)
            self._step = replace(self._step, stepper=self.experiment.training.optimiser.build(self.network))
            self._step.stepper.restore(carried_state(state, matrices))

    def take(self, factor: float) -> None:
        """Step the weights."""
        try:
            self._step.take(factor)
        except Diverged as error:
            raise self._diverged(error) from error

    def count(self, loss: float, factor: float, seconds: float, cpu_seconds: float) -> None:
        """The step is done: count it, log it."""
        p = self.progress
        halved = self.experiment.training.halves(p.step, p.total_steps)
        p.step += 1
        p.tokens += self.tokens_a_step
        p.seconds += seconds
        p.cpu_seconds += cpu_seconds
        p.loss_sum += loss
        p.loss_steps += 1
        bits = loss / math.log(2) / self._text.train_characters_per_token
        self._watch.step(Moment(p.step, p.total_steps, p.seconds, p.tokens, loss, bits))
        if p.total_steps is None or p.step % max(1, p.total_steps // LOG_LINES) == 0 or p.step == p.total_steps:
            p.train_nats, p.loss_sum, p.loss_steps = p.loss_sum / p.loss_steps, 0.0, 0
            self._log(
                "train",
                train_nats=p.train_nats,
                rate=self._step.stepper.rate(factor),
                tokens_per_second=self.tokens_a_step / seconds,
                **({} if self._use is None else self._use.of(self.tokens_a_step, seconds, halved)),
                **{f"train_{name}": value for name, value in self._step.beside.items()},
            )

    def score(self) -> None:
        """Score the held-out text, write a sample, keep the best."""
        p = self.progress
        self._guises.collect()
        self.network.eval()
        with torch.no_grad():
            nats = self._evaluate(self._whole)
            written = self._sample(self._whole) if self._sample is not None and self._first else None
            health = self._health()
        self.network.train()
        if not math.isfinite(nats):
            raise UserError(f"the held-out score is {nats} at step {p.step}. {self.kept()}")
        best = p.best_nats is None or nats < p.best_nats
        p.held_out_nats, p.scored_step = nats, p.step
        p.stale = 0 if best else p.stale + 1
        if best:
            p.best_nats, p.best_step = nats, p.step
        bits = nats / math.log(2)
        per_character = bits / self._text.held_out_characters_per_token
        self._log(
            "held_out",
            held_out_nats=nats,
            held_out_bits_per_token=bits,
            held_out_bits_per_character=per_character,
            **{f"level_{i}_{name}": value for i, told in health.items() for name, value in asdict(told).items()},
        )
        self._watch.scored(p.step, nats, per_character, best)
        for i, told in health.items():
            self._watch.notice(f"step {p.step}: level {i}: {told}")
        if written is not None and self._logs is not None:
            self._logs.sample(p.step, written)
            self._watch.sample(p.step, written)
        if best:
            self._save(best=True)

    def _health(self) -> dict[int, Any]:
        """How alike the elements of each level are, of a network with auxiliary losses, which collapse could win."""
        network: Any = self.network
        watched = getattr(network, "watched", False)
        return network.health(*self._step.example(self.progress.step)) if watched else {}

    def save(self) -> None:
        """Write ``last.safetensors``."""
        self._save(best=False)

    def agreed(self, value: T) -> T:
        """The first process's value, in every process."""
        return value if self._fabric.world_size == 1 else self._fabric.broadcast(value)

    def finish(self) -> Result:
        """Choose the weights of the result, write them and how the run ended."""
        p = self.progress
        assert p.ended is not None
        self._guises.collect()
        step, nats = p.step, p.held_out_nats if p.scored_step == p.step else None
        if self.experiment.training.patience is not None and p.best_step is not None:
            if p.best_step != p.step:
                best = checkpoints.read(self._folder.best)
                self._shape(best.progress.stage)
                checkpoints.load_weights(self.network, best.weights)
            step, nats = p.best_step, p.best_nats
        self._shape(self._growing.last)  # a run that ended early: what is saved is what the model says
        per_token = self._text.held_out_characters_per_token
        result = Result(
            run=self._folder.path,
            network=self.network.eval(),
            tokenizer=self._text.tokenizer,
            ended=p.ended,
            step=p.step,
            weights_step=step,
            tokens=p.tokens,
            seconds=p.seconds,
            cpu_seconds=p.cpu_seconds,
            train_nats=p.train_nats,
            held_out_nats=nats,
            held_out_bits_per_character=None if nats is None else nats / math.log(2) / per_token,
            loss_kind=self.experiment.objective.loss_kind,
        )
        if self._first:
            if self._prior is not None:
                save_experts(self._prior.experts, self._folder.path / PRIOR)
            checkpoints.save_weights(self._folder.model, self.network)
            self._folder.finish({**result.to_json(), "identity": asdict(self._identity)})
        return result

    def kept(self) -> str:
        """A sentence on the last good checkpoint."""
        if self._saved_step is None:
            return "There is no checkpoint yet."
        return f"The checkpoint of step {self._saved_step} stands as it was ({self._folder.last})."

    @property
    def _first(self) -> bool:
        return self._fabric.is_global_zero

    def _restore(self) -> None:
        found = checkpoints.read(self._folder.last)
        self._identity.refuse_another(found.identity, self._folder.last)
        self._shape(found.progress.stage)
        checkpoints.load_weights(self.network, found.weights)
        self._guises.hand_out()
        self._step.stepper.restore(found.optimiser)
        self.progress = found.progress
        if self.progress.ended == "interrupted":
            self.progress.ended = None
        self._saved_step = found.progress.step

    def _save(self, best: bool) -> None:
        # What gathers shards is asked of every process, whoever writes.
        self._guises.collect()
        optimiser = self._step.stepper.state()
        if not self._first:
            return
        if not checkpoints.all_finite(self.network):
            raise UserError(f"some weights are not finite numbers after step {self.progress.step}. {self.kept()}")
        if self._logs is not None:
            self._logs.flush_to_disk()
            self.progress.metrics_bytes = self._logs.metrics.length
            self.progress.samples_bytes = self._logs.samples.length
        state = Checkpoint(self.progress, self._identity, checkpoints.weights_of(self.network), optimiser)
        checkpoints.save(self._folder.best if best else self._folder.last, state)
        if not best:
            self._saved_step = self.progress.step

    def _log(self, kind: str, **values: float) -> None:
        p = self.progress
        if self._logs is None:
            return
        head = {"step": p.step, "tokens": p.tokens, "seconds": p.seconds, "cpu_seconds": p.cpu_seconds}
        self._logs.line(head | values)
        for logger in self._loggers:
            logger.log({f"{kind}/{name.removeprefix(kind + '_')}": x for name, x in (head | values).items()}, p.step)

    def _diverged(self, error: Diverged) -> UserError:
        step = self.progress.step
        return UserError(
            f"training diverged at step {step}: {error}. {self._step.whereabouts(step)} "
            f"{self.kept()} Try a lower training.optimiser.rate, more training.warmup, or training.clip."
        )
