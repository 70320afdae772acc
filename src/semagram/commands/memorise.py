"""``semagram memorise RUN``: how much of its training text a model knows by heart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError


@dataclass(frozen=True)
class Memorise:
    """Accuracy on the training text, the best possible, and the longest copy in a sample."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model."""
    text: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """Files, folders, globs, - for standard input, or named corpora; none: what the run was trained on."""
    context: tuple[int, ...] = (4, 8, 12, 16)
    """Contexts whose ceilings are told."""
    characters: int | None = 120_000
    """Of the text's beginning that are read; none: all."""
    prompt: str = ""
    """Beginning of the sample that is searched for copies."""
    tokens: int = 1000
    """Length of that sample."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Memorise, arguments, "semagram memorise")
    from semagram.lab.memorisation import accuracy, ceiling, longest_copy
    from semagram.lab.texts import training_text
    from semagram.text import load_text
    from semagram.trained import load

    if options.characters is not None and options.characters < 1:
        raise UserError(f"--characters must be at least 1 or none, got {options.characters}.")
    model = load(options.run)
    text = load_text(options.text).text if options.text else training_text(model.experiment)
    if text is None:
        raise UserError("the text that the model was trained on is gone: name a text.")
    text = text[: options.characters]
    ids = model.encode(text)
    known = accuracy(model.predictor, ids)
    ceilings = {context: ceiling(ids, context) for context in options.context}
    sample = str(model.generate(options.prompt, options.tokens, temperature=0.0))
    copied = longest_copy(sample[len(options.prompt) :], text)
    if options.json:
        told = {"run": options.run, "tokens": len(ids), "accuracy": known, "ceilings": ceilings, "copied": copied}
        print(json.dumps(told, ensure_ascii=False))
        return 0
    print(f"{100 * known:.2f} % of {len(ids):,} tokens were the model's first guess")
    for context, best in ceilings.items():
        print(f"{100 * best:.2f} % at most, for any model that sees {context} tokens")
    print(f"longest copy in {options.tokens:,} tokens written: {len(copied)} characters\n  {copied[:200]!r}")
    return 0
