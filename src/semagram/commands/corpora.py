"""``semagram corpora``: the texts known by name, and where each of them is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Corpora:
    """List the texts that are known by name."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Corpora, arguments, "semagram corpora")
    from semagram.text import corpora

    every = corpora()
    if options.json:
        print(json.dumps([asdict(c) for c in every], default=str, ensure_ascii=False))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "bytes", "licence", "where", "what", box=None, pad_edge=False)
    for c in every:
        table.add_row(c.name, f"{c.size:,}" if c.size else "", c.licence, str(c.where), c.description)
    Console().print(table)
    print("\nAlso: any file, folder, glob or - (standard input); gutenberg:84,1342 for books; hf:NAME for datasets.")
    return 0
