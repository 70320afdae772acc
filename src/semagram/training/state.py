"""How far a run has come: everything besides tensors that a resumed run must know. It is saved as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import nn

from semagram.objectives import LossKind
from semagram.text import Tokenizer

Ending = Literal["budget", "patience", "clock", "interrupted"]
"""Why a run ended: its budget was used up; no better score for a while; the clock ran over; the user stopped it."""


@dataclass
class Progress:
    """The state of a run between two steps; the trainer is the only one who changes it."""

    step: int = 0
    """Finished steps."""
    total_steps: int | None = None
    """Steps of the whole schedule; None while a budget in seconds is still being timed."""
    tokens: int = 0
    """Training tokens seen."""
    seconds: float = 0.0
    """Wall time of training steps, over all lives of the run."""
    cpu_seconds: float = 0.0
    """Processor time of training steps."""
    loss_sum: float = 0.0
    """Sum of the training loss over the steps since the last line of the log."""
    loss_steps: int = 0
    """How many steps that sum is of."""
    train_nats: float | None = None
    """Training loss in the last line of the log, nats a token."""
    held_out_nats: float | None = None
    """The last score, nats a token."""
    scored_step: int | None = None
    """When that was."""
    best_nats: float | None = None
    """The best score."""
    best_step: int | None = None
    """When it was reached."""
    stale: int = 0
    """Evaluations since."""
    metrics_bytes: int = 0
    """Length of metrics.jsonl."""
    samples_bytes: int = 0
    """Length of samples.txt."""
    stage: int = 0
    """Of layers of functions that grow: the stage of the last step."""
    ended: Ending | None = None
    """Why the run ended; None while it goes on."""

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``Progress(**data)`` is the way back."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, eq=False)
class Result:
    """What a run came to."""

    run: Path
    """Its folder."""
    network: nn.Module
    """Trained, in evaluation mode; the weights are those of model.safetensors."""
    tokenizer: Tokenizer
    """How text becomes its ids."""
    ended: Ending
    """Why it ended."""
    step: int
    """Steps done."""
    weights_step: int
    """The step whose weights these are: ``step``, or the best evaluation's where early stopping is on."""
    tokens: int
    """Training tokens seen."""
    seconds: float
    """Wall time of training steps."""
    cpu_seconds: float
    """Processor time of training steps."""
    train_nats: float | None
    """The training loss at the end, nats a token (the mean over the last stretch of the log)."""
    held_out_nats: float | None
    """Score of the held-out text with these weights, nats a token; None before the first evaluation."""
    held_out_bits_per_character: float | None
    """The same in bits a character."""
    loss_kind: LossKind
    """What these losses mean."""

    def to_json(self) -> dict[str, Any]:
        """What result.json says: everything but the network and the tokenizer."""
        left_out = ("run", "network", "tokenizer")
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in left_out}

    @property
    def interrupted(self) -> bool:
        """True when the user stopped the run; ``train(..., resume=True)`` goes on."""
        return self.ended == "interrupted"
