"""``semagram score RUN TEXT``: what a text costs under a trained model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Score:
    """Nats and bits per character of a text; without TEXT, of the run's own held-out text."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model, or of an ensemble."""
    text: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """Files, folders, globs, - for standard input, or named corpora."""
    table: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print what each token costs."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Score, arguments, "semagram score")
    import torch

    from semagram.lab.ensembles import load_either, text_for
    from semagram.layouts.streams import protocols_of
    from semagram.verbs.score import table

    model = load_either(options.run)
    if model.experiment.training.threads is not None:
        torch.set_num_threads(model.experiment.training.threads)
    text = text_for(options.text, model)
    found = model.score(text)
    nats, bits = found.total_nats / len(text), found.bits_per_character(len(text))
    rows = table(found, model.encode(text), model.tokenizer.token_texts()) if options.table else []
    if options.json:
        told: dict[str, object] = {
            "run": options.run,
            "kind": getattr(model, "kind_of_score", "nll"),
            "axes": protocols_of(model.experiment.layout).removeprefix("axes: "),
            "characters": len(text),
            "tokens": found.tokens,
            "total_nats": found.total_nats,
            "nats_per_character": nats,
            "bits_per_character": bits,
        }
        if options.table:
            told["table"] = [
                {"text": r.text, "nats": r.nats, "probability": r.probability, "rank": r.rank} for r in rows
            ]
        print(json.dumps(told, ensure_ascii=False))
        return 0
    for row in rows:
        print(f"{row.nats:8.4f} nats  p {row.probability:.6f}  rank {row.rank:>4}  {row.text}")
    if protocols := protocols_of(model.experiment.layout):
        print(protocols)
    kind = getattr(model, "kind_of_score", "nll")
    if kind != "nll":
        print(f"{kind}: the model was told tags of this text, so this is no likelihood of it")
    print(f"{bits:.4f} bits a character ({nats:.4f} nats) over {len(text):,} characters, {found.tokens:,} tokens")
    return 0
