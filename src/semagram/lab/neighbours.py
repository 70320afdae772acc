"""A run's score as data (``score.json``), and the other finished runs beside it that were judged on the same text.

Two runs are neighbours when the SHA-256 of what was held out agrees: only then do their bits stand on one axis,
whatever their texts are called. All are exact code lengths (a masked model's in its own order of writing).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from semagram.training.files import write_json

if TYPE_CHECKING:
    from semagram.lab.runs import Outcome
    from semagram.trained import TrainedModel

FILE = "score.json"


@dataclass(frozen=True)
class Judgement:
    """What a finished run came to; everything that the page's figures of cost need."""

    bits_per_character: float
    """Exact, over the whole held-out text."""
    loss_kind: str
    """Of the objective it was trained with."""
    held_out_characters: int
    held_out_sha256: str
    """Of the held-out text as UTF-8, hexadecimal."""
    parameters: int
    """Trained numbers."""
    tokens: int
    """Training tokens seen."""
    cpu_seconds: float
    """Processor time of training."""


def judgement_of(outcome: Outcome, model: TrainedModel, bits: float, held_out: str) -> Judgement:
    """Of a finished run with this model and score."""
    return Judgement(
        bits_per_character=bits,
        loss_kind=outcome.experiment.objective.loss_kind,
        held_out_characters=len(held_out),
        held_out_sha256=hashlib.sha256(held_out.encode("utf-8", "surrogatepass")).hexdigest(),
        parameters=model.parameters,
        tokens=outcome.tokens,
        cpu_seconds=outcome.cpu_seconds,
    )


def write_judgement(run: Path, judgement: Judgement) -> None:
    """Into ``score.json`` of the run."""
    write_json(run / FILE, asdict(judgement))


def neighbours(run: Path, own: Judgement) -> list[tuple[str, Judgement]]:
    """(folder, judgement) of every other run beside ``run`` on the same held-out text; unreadable ones are left out."""
    found = []
    for path in sorted(run.resolve().parent.glob(f"*/{FILE}")):
        if path.parent == run.resolve():
            continue
        try:
            other = Judgement(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if other.held_out_sha256 == own.held_out_sha256:
            found.append((path.parent.name, other))
    return found
