"""``semagram demo``: the whole of semagram in a few minutes, on the text that ships with Python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from semagram.commands.options import parse


@dataclass(frozen=True)
class Demo:
    """Train on the text that ships with Python, write a sample, and prove the score with a file that decodes."""

    budget: str | None = None
    """When training ends: 30s, 5m, 300steps; none: the recipe's (a minute)."""
    out: Path | None = None
    """Folder of the run; none: the next free runs/demo."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Demo, arguments, "semagram demo")
    from semagram.lab import recipes
    from semagram.lab.runs import carry_out
    from semagram.lab.tell import tell
    from semagram.lab.texts import named_or_held_out
    from semagram.training.budget import Budget
    from semagram.verbs.anchors import anchors

    experiment = replace(recipes.find("hybrid").experiment, name="demo", text=("pydocs",))
    if options.budget is not None:
        training = replace(experiment.training, budget=Budget.parse(options.budget))
        experiment = replace(experiment, training=training)
    print("Training a small transformer, with n-grams at its side, on the help pages of your own Python.\n", flush=True)
    outcome = carry_out(experiment, options.out)
    tell(outcome)
    if outcome.model is None:
        return 130
    text = named_or_held_out((), experiment)
    print("\nIs the score true? Coding the held-out text with the model's predictions, and decoding it ...", flush=True)
    data = outcome.model.compress(text)
    same = outcome.model.decompress(data) == text
    print(f"  {len(text):,} characters -> {len(data):,} bytes = {8 * len(data) / len(text):.4f} bits a character;")
    print(f"  decoded: {'the same text, to the last character' if same else 'NOT the same text'}.")
    print("  Beside it: " + ", ".join(f"{a.name} {a.alone:.3f}" for a in anchors(text)) + " (alone, as any file).")
    return 0 if same else 1
