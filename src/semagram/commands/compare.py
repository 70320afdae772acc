"""``semagram compare A B``: the same text, the same budget, several seeds, one table."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from semagram.commands.options import parse


@dataclass(frozen=True)
class Compare:
    """Train and judge contestants alike, and say how sure the difference is. The n-gram always takes part."""

    contestants: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CONTESTANT")] = ()
    """Recipes, FILE.py, run folders (scored only), ngram, ngram:ORDER, suffix; the first is the reference."""
    text: tuple[str, ...] = ()
    """Files, folders, globs or named corpora; none: the contestants' own, which must then be the same."""
    seeds: int = 3
    """Training runs of each recipe."""
    budget: str | None = None
    """For each run: 30s, 5m, 2000steps, 1.5Mtokens; none: the recipes' own, which must then be the same."""
    out: Path | None = None
    """Folder; none: comparisons/A-vs-B. What is finished there is not repeated."""
    coded: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Also compress the held-out text with each, decode it and compare (slow, and beyond doubt)."""
    tasks: int | None = None
    """Also train every network afresh on each task of known answers (recall, copying, parity, ...): at most so many
    steps each."""
    families: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """One contestant of every family takes part, after those that are named (semagram.lab.families)."""
    equal: Literal["budget", "cpu", "tokens", "flops", "parameters"] = "budget"
    """What is made equal for all that are trained, beside the budget: processor time, tokens, arithmetic, size."""
    trials: int = 1
    """Variants of each contestant that are tried on a slice of the training text; the best goes on."""
    workers: int = 1
    """Runs carried out at the same time."""
    launcher: Literal["local", "slurm", "ray"] = "local"
    """Who carries them out: processes here, SLURM (extra slurm), Ray (extra ray)."""
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """No progress display."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the rows as JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Compare, arguments, "semagram compare")
    from semagram.lab.compare import compare, header, rows_as_json
    from semagram.lab.launchers import launcher_of
    from semagram.training.progress import watcher

    silent = options.quiet or options.json
    words = options.contestants
    if options.families:
        from semagram.lab.families import families

        words = (*words, *(f"family:{family.name}" for family in families()))
    found = compare(
        *words,
        equal=options.equal,
        trials=options.trials,
        launcher=launcher_of(options.launcher, options.workers),
        text=options.text,
        seeds=options.seeds,
        budget=options.budget,
        out=options.out,
        coded=options.coded,
        tasks=options.tasks,
        say=None if silent else lambda line: print(line, file=sys.stderr, flush=True),
        watch=None if silent else watcher,
    )
    if options.json:
        rows = rows_as_json(found)
        anchors = {a.name: a.bits for a in found.anchors}
        told = {"folder": str(found.folder), "equal": found.equal, "rows": rows, "anchors": anchors}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"\n{header(found)}\n")
        print(_narrow(found.table.columns, found.table.lines, 2 + len(found.table.kinds)))
        for task in found.tasks:
            told = ", ".join(f"{name} {100 * share.mean:.1f} %" for name, share in task.right.items())
            print(f"{task.name} (guessing {100 * task.guessing:.1f} %): {told or 'nobody could be asked'}")
        for row in found.rows:
            if row.remark:
                print(f"{row.name}: {row.remark}")
        print(f"\n{found.folder / 'report.html'}  {found.folder / 'table.md'}  {found.folder / 'results.jsonl'}")
    return 0 if all(row.done for row in found.rows) else 1


def _narrow(columns: tuple[str, ...], lines: tuple[tuple[str, ...], ...], count: int) -> str:
    """The first ``count`` columns, which fit a terminal; the others are in the files."""
    cells = [row[:count] for row in (columns, *lines)]
    widths = [max(len(row[i]) for row in cells) for i in range(count)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
