"""Telling a person, or another program, what a run came to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from semagram.lab.runs import Outcome
from semagram.lab.three_ways import lines
from semagram.layouts.streams import kind_of_score
from semagram.training.progress import duration


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """What ``semagram train --json`` prints; figures in nats, bits, seconds and counts."""
    return {
        "run": str(outcome.folder),
        "name": outcome.experiment.name,
        "interrupted": outcome.interrupted,
        "parameters": outcome.model.parameters if outcome.model else None,
        "steps": outcome.steps,
        "tokens": outcome.tokens,
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "training_characters": outcome.training_characters,
        "held_out_characters": outcome.held_out_characters,
        "loss_kind": _kind(outcome),
        "nats_per_character": outcome.nats_per_character,
        "bits_per_character": outcome.bits_per_character,
        "pseudo_nats_per_token": outcome.pseudo_nats,
        "three_ways": None if outcome.ways is None else asdict(outcome.ways),
        "sample": outcome.sample,
    }


def _kind(outcome: Outcome) -> str:
    """What the score is: the objective's kind, or conditional on tags."""
    kind = kind_of_score(outcome.experiment.layout)
    return outcome.experiment.objective.loss_kind if kind == "nll" else kind


def tell(outcome: Outcome) -> None:
    """Print sample, score and what can be done next."""
    if outcome.model is None:
        print(f"\ninterrupted after {outcome.steps} steps; go on with: semagram train --resume --out {outcome.folder}")
        return
    print(f"\n--- a sample ---\n{outcome.sample}\n--- end of the sample ---\n")
    if outcome.pseudo_nats is not None:
        print(
            f"pseudo-likelihood {outcome.pseudo_nats:.4f} nats a token, each given all the others, over the held-out "
            f"text: no likelihood, so it is not to be set beside one."
        )
        print(f'semagram automaton {outcome.folder} --text "The monster awakes" --every')
        return
    print(
        f"{outcome.bits_per_character:.4f} bits a character ({outcome.nats_per_character:.4f} nats) over all "
        f"{outcome.held_out_characters:,} held-out characters,"
    )
    if outcome.model.kind_of_score != "nll":
        print(f"{outcome.model.kind_of_score}: told tags of that text, so it is no likelihood of it;")
    if outcome.ways is not None:
        print("\n".join(lines(outcome.ways)))
    print(
        f"{outcome.model.parameters:,} parameters, {outcome.steps:,} steps, {outcome.tokens:,} tokens, "
        f"{duration(outcome.seconds)} of training ({outcome.cpu_seconds:.0f} s of CPU)."
    )
    print(f"\n{outcome.folder / 'report.html'}")
    print(f'semagram generate {outcome.folder} --prompt "Once"')
