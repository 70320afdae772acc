"""How a run is trained: batches, schedule, evaluation, precision. Every field does something; nothing is hidden."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semagram.errors import UserError
from semagram.training.budget import Budget
from semagram.training.optimisers import Muon, Optimiser
from semagram.training.stages import Growth
from semagram.training.start import Start
from semagram.training.strategies import Replicated, Sharded, Strategy

PLACES = ("devices", "nodes", "strategy", "recompute", "peak_tflops")
"""Fields that say among whom and with how much memory the work is done, not what is done: runs that differ in them only
have one result (to rounding), and one may be resumed as the other."""


@dataclass(frozen=True)
class Training:
    """How the network is trained."""

    budget: Budget = field(default_factory=Budget)
    """When training ends."""
    batch: int = 24
    """Canvases a step."""
    accumulate: int = 1
    """Parts that a step's batch is split into, to need less memory."""
    halved: float = 0.0
    """Share of the budget, at its beginning, in which each line is trained as two of half its length."""
    optimiser: Optimiser = field(default_factory=Muon)
    """How gradients become steps."""
    grow: Growth | None = None
    """Stages that layers of functions go through before they are what the model says; none: they are from the start."""
    warmup: float = 0.02
    """Share of the budget in which the learning rate rises from 0."""
    decay: float = 1.0
    """Share of the budget, at its end, in which the learning rate falls linearly to 0."""
    clip: float | None = 1.0
    """Largest norm of the gradient; none: no clipping."""
    evaluate_every: float = 0.25
    """Share of the budget between scores of the held-out text."""
    patience: int | None = None
    """Evaluations without a better score after which training ends early; none: never."""
    held_out: float = 0.1
    """Share of the text, at its end, that is never trained on."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the arithmetic in training; auto: bfloat16 where the device is fast at it, float32 on a CPU."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    compile: bool = False
    """Use torch.compile (a minute of waiting; on a CPU it seldom pays)."""
    threads: int | None = None
    """CPU threads; none: torch's own choice. Part of what makes two runs equal to the bit."""
    devices: int | None = None
    """Processes of this run on each machine, each with a device (on a CPU: with its threads); none: as many as torchrun
    or srun started, otherwise one."""
    nodes: int | None = None
    """Machines that share this run; none: as many as torchrun or srun uses. A check: only they can start others."""
    strategy: Strategy = field(default_factory=Replicated)
    """What several processes hold: the whole network each, or a share each."""
    recompute: bool = False
    """Compute what happened inside a block again for its gradient instead of keeping it: less memory, more time."""
    peak_tflops: float | Literal["measured"] | None = None
    """What one device can do, TFLOP/s, to log the share that training makes of it; measured: by a matrix product at
    the start; none: not logged."""
    start: Start | None = None
    """Begin with what another run has learnt, and keep parts of it as they are; none: begin afresh."""

    def __post_init__(self) -> None:
        for name in ("batch", "accumulate"):
            if getattr(self, name) < 1:
                raise UserError(f"training.{name} must be at least 1, got {getattr(self, name)}.")
        if self.batch % self.accumulate != 0:
            raise UserError(f"training.accumulate ({self.accumulate}) must divide training.batch ({self.batch}).")
        for name in ("warmup", "decay", "halved"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"training.{name} is a share of the budget, from 0 to 1; got {getattr(self, name)}.")
        if self.grow is not None and isinstance(self.optimiser, Muon):
            raise UserError(
                "training.grow carries the state of AdamW, Lion and AdaHessian over to larger layers, not Muon's: "
                "choose another training.optimiser."
            )
        if not 0.0 < self.evaluate_every <= 1.0:
            raise UserError(f"training.evaluate_every must be above 0 and at most 1, got {self.evaluate_every}.")
        if not 0.0 < self.held_out < 1.0:
            raise UserError(f"training.held_out must be between 0 and 1, got {self.held_out}.")
        if self.clip is not None and not self.clip > 0:
            raise UserError(f"training.clip must be above 0 or none, got {self.clip}.")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"training.patience must be at least 1 or none, got {self.patience}.")
        for name in ("threads", "devices", "nodes"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f"training.{name} must be at least 1 or none, got {getattr(self, name)}.")
        if self.peak_tflops is not None and self.peak_tflops != "measured" and not self.peak_tflops > 0:
            raise UserError(f"training.peak_tflops must be above 0, measured or none, got {self.peak_tflops}.")
        if self.compile and isinstance(self.strategy, Sharded):
            raise UserError("training.compile and training.strategy Sharded do not go together: leave one out.")

    def halves(self, step: int, total: int | None) -> bool:
        """Whether ``step`` of ``total`` (None: not known yet) is in the part that is trained on half lines."""
        return self.halved > 0 and (total is None or step < self.halved * total)
