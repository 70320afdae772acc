"""``semagram compress RUN TEXT -o FILE``: a score that nobody can argue with, since it decodes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Compress:
    """Code a text into a file; without TEXT, the run's own held-out text."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model, or of an ensemble."""
    text: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """Files, folders, globs, - for standard input, or named corpora."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("text.semagram")
    """The file to write."""
    self_contained: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Put the model into the file too, so that nothing else is needed to decode it."""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace FILE if it is there."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the figures as JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Compress, arguments, "semagram compress")
    from semagram.commands.files import refuse_existing, write_whole
    from semagram.lab.ensembles import load_either, text_for
    from semagram.verbs.anchors import anchors

    refuse_existing(options.out, options.force)
    model = load_either(options.run)
    text = text_for(options.text, model)
    data = model.compress(text, self_contained=options.self_contained)
    write_whole(options.out, data)
    bits = 8 * len(data) / max(1, len(text))
    others = anchors(text) if text else []
    if options.json:
        told = {
            "file": str(options.out),
            "bytes": len(data),
            "characters": len(text),
            "bits_per_character": bits,
            "self_contained": options.self_contained,
            "anchors": {a.name: a.alone for a in others},
        }
        print(json.dumps(told, ensure_ascii=False))
        return 0
    with_model = " (the model is in it)" if options.self_contained else ""
    print(f"{options.out}: {len(data):,} bytes{with_model} for {len(text):,} characters, {bits:.4f} bits a character")
    for anchor in others:
        print(f"  {anchor.name:<12} {anchor.alone:.4f}")
    return 0
