"""``semagram automaton RUN --text "..."``: apply a centred model to a text as a cellular automaton."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Automaton:
    """Every cell becomes what its neighbours say, again and again (for models trained with Centred)."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model."""
    text: str = ""
    """The page to begin with; empty: random tokens."""
    length: int | None = None
    """Tokens of a random page; none: as long as the model was trained on."""
    steps: int | None = None
    """Times that the page is gone over; none: as the model's writing says."""
    share: float | None = None
    """Of the cells that are written in a step; 1: all together (synchronous). None: as the model's writing says."""
    temperature: float | None = None
    """Of the draw, 0: always the likeliest. None: as the model's writing says."""
    seed: int = 0
    """Of the draws."""
    every: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show the page after every step, and how many cells changed."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Automaton, arguments, "semagram automaton")
    from semagram.trained import load
    from semagram.verbs.rewrite import rewrite

    model = load(options.run)
    pages = rewrite(
        model.predictor,
        model.tokenizer,
        options.text,
        length=options.length,
        steps=options.steps,
        share=options.share,
        temperature=options.temperature,
        seed=options.seed,
    )
    if options.json:
        print(json.dumps({"run": options.run, "pages": pages}, ensure_ascii=False))
        return 0
    if options.every:
        for number, page in enumerate(pages):
            print(f"--- {number} ---\n{page}")
    else:
        print(pages[-1])
    return 0
