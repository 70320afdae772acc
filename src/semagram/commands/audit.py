"""``semagram audit RUN``: does anything see the future, and is every number what it says?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Audit:
    """Look for leaks and dishonest numbers; without TEXT, on the run's own held-out text."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model, or of an ensemble."""
    text: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """Files, folders, globs, - for standard input, or named corpora."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Audit, arguments, "semagram audit")
    from semagram.lab.ensembles import load_either, text_for
    from semagram.lab.texts import training_text

    model = load_either(options.run)
    text = text_for(options.text, model)
    report = model.audit(text, training=training_text(model.experiment))
    print(json.dumps(report.to_json(), ensure_ascii=False) if options.json else report.as_text())
    return 0 if report.passed else 1
