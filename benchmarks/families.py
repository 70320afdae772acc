"""The big table: every family on two texts and on tasks with known answers, in an hour on two cores.

    python -m benchmarks.families [--minutes 60] [--workers 2] [--seeds 3] [--out results/DATE-families]

Processor seconds are the budget of every cell and follow from the whole time: the cells' number, and the share of it
that is spent on training (the rest is for judging). A text is scored on ``--held-out`` characters behind its training
part. Each finished cell is one line appended to ``runs.jsonl``; the same command goes on where a killed one stopped.
Cells are taken seed by seed, so if time runs out all families have as many seeds, and what is missing is named. Ends
with the table (mean and 95 % interval over seeds) and the literature's verdicts (``benchmarks.verdicts``) beside ours.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import shutil
import time
from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks import verdicts
from benchmarks.rounds import environment
from semagram.lab.boards import Automaton, Sudoku
from semagram.lab.comparison_contestants import Counting
from semagram.lab.comparison_judged import ComparedText
from semagram.lab.comparison_run import run
from semagram.lab.comparison_statistics import mean_over_seeds
from semagram.lab.comparison_tuning import score_of
from semagram.lab.families import families
from semagram.lab.tasks import (
    AnyTask,
    Brackets,
    Copy,
    Hops,
    Induction,
    Memorise,
    OnALine,
    Parity,
    Recall,
    Reverse,
    SelectiveCopy,
)  # fmt: skip
from semagram.lab.tasks.attempt import attempt
from semagram.text import load_text, split
from semagram.training.budget import Budget

TEXTS = ("tinyshakespeare", "pydocs")
TASKS: dict[str, AnyTask] = {
    "recall": Recall(pairs=6, keys=16, values=16),
    "induction": Induction(length=32, symbols=8),
    "copy": Copy(size=10, symbols=8),
    "selective copy": SelectiveCopy(size=5, symbols=8, spread=16),
    "reverse": Reverse(size=8, symbols=8),
    "parity": Parity(bits=12),
    "brackets": Brackets(walk=16, kinds=3),
    "hops": Hops(hops=2, places=6),
    "memorise": Memorise(symbols=16, values=16),
    "automaton": OnALine(Automaton(rule=30, height=3, width=10, noise=0.0)),
    "sudoku": OnALine(Sudoku(clues=8)),
}
TRAINING_SHARE = 0.55
"""Of the whole time, that is spent on training."""
TEXT_WEIGHT = 4.0
"""Budget of a text's cell in those of a task's."""
TEXT_TRAINED = 1_000_000
"""Characters of a text that are learnt from, at most: its last ones before the held-out part."""


@dataclass(frozen=True)
class Cell:
    """One family on one text or task with one seed; -1 for what is the same for every seed."""

    where: str
    family: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What its line is known by."""
        return self.where, self.family, self.seed


def cells_of(texts: list[str], tasks: list[str], seeds: int, names: list[str]) -> list[Cell]:
    """Every cell, seed by seed; models that count read a text once."""
    counting = {f.name for f in families() if isinstance(f.contestant, Counting)}
    found = []
    for seed in range(seeds):
        for where in (*texts, *tasks):
            for family in names:
                once = where in texts and family in counting
                if not once or seed == 0:
                    found.append(Cell(where, family, -1 if once else seed))
    return found


def seconds_of(cells: list[Cell], minutes: float, workers: int) -> tuple[float, float]:
    """Processor seconds of a text's cell and of a task's, so that all of them fit in."""
    counting = {f.name for f in families() if isinstance(f.contestant, Counting)}
    trained = [cell for cell in cells if cell.family not in counting]
    weight = sum(1.0 if cell.where in TASKS else TEXT_WEIGHT for cell in trained)
    each = minutes * 60 * workers * TRAINING_SHARE / max(1.0, weight)
    return TEXT_WEIGHT * each, each


@cache
def text_of(name: str, held_out: int) -> ComparedText:
    """A text cut to size: what is learnt from, and ``held_out`` characters behind it."""
    training, rest = split(load_text([name]).text, 0.9)
    training, rest = training[-TEXT_TRAINED:], rest[:held_out]
    whole = training + rest
    # The share that gives the cut back to the character.
    text = ComparedText((name,), whole, len(rest) / len(whole))
    assert abs(len(text.training) - len(training)) <= 1
    return text


def folder_of(cell: Cell, folder: Path) -> Path:
    """Where a text's cell is trained; taken away when its line is written, so that a killed one goes on."""
    return folder / "runs" / f"{cell.where}-{cell.family}-{cell.seed}"


def carried_out(cell: Cell, seconds: float, held_out: int, folder: Path) -> dict[str, Any]:
    """One line of the table's raw runs; what breaks has a line that says why."""
    torch.set_num_threads(1)
    contestant = next(f.contestant for f in families() if f.name == cell.family)
    line: dict[str, Any] = {"where": cell.where, "family": cell.family, "seed": cell.seed}
    began = time.process_time()
    try:
        if cell.where in TASKS:
            found = attempt(contestant, TASKS[cell.where], seconds, cell.seed)
            line |= {"right": found.accuracy, "nats": found.nats, "chance": found.chance, "steps": found.steps}
            line |= {"parameters": found.parameters}
        else:
            place = folder_of(cell, folder)
            budget = Budget(seconds, "cpu_seconds")
            result = run(contestant, max(0, cell.seed), budget, text_of(cell.where, held_out), place)
            line |= {"bits": score_of(result), "failed": result.failed, "steps": result.steps}
            line |= {"tokens": result.tokens, "training_cpu_seconds": result.cpu_seconds}
            line |= {"parameters": result.judged.parameters if result.judged else None}
    except Exception as error:
        line |= {"failed": f"{type(error).__name__}: {error}"[:300]}
    return {**line, "cpu_seconds": time.process_time() - began}


def known(path: Path) -> list[dict[str, Any]]:
    """The lines that are there; half a line, of a kill while it was written, is cut off."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        path.write_bytes(kept)
    return [json.loads(line) for line in kept.decode().splitlines()]


def fill(cells: list[Cell], options: argparse.Namespace, path: Path) -> list[Cell]:
    """Carry out what is not there, several at a time; the cells that time was too short for."""
    held = {(line["where"], line["family"], line["seed"]) for line in known(path) if "where" in line}
    waiting = [cell for cell in cells if cell.key not in held]
    for_text, for_task = seconds_of(cells, options.minutes, options.workers)
    print(f"{len(waiting)} of {len(cells)} cells; {for_text:.1f} CPU-s a text, {for_task:.1f} a task", flush=True)
    end = time.monotonic() + 60 * options.minutes
    running: dict[Future[dict[str, Any]], Cell] = {}
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool, path.open("a") as file:
        while waiting or running:
            while waiting and len(running) < options.workers and time.monotonic() < end:
                cell = waiting.pop(0)
                seconds = for_task if cell.where in TASKS else for_text
                running[pool.submit(carried_out, cell, seconds, options.held_out, options.out)] = cell
            if not running:
                break
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                cell, line = running.pop(done), done.result()
                file.write(json.dumps(line) + "\n")
                file.flush()
                shutil.rmtree(folder_of(cell, options.out), ignore_errors=True)
                told = line.get("failed") or line.get("bits", line.get("right"))
                print(f"{line['where']:<16} {line['family']:<12} seed {line['seed']:>2}  {told}", flush=True)
    return waiting


def values_of(lines: list[dict[str, Any]]) -> dict[tuple[str, str], dict[int, float]]:
    """(where, family) -> seed -> bits of a text or share of right answers."""
    found: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for line in lines:
        value = line.get("bits", line.get("right"))
        if value is not None and not line.get("failed"):
            found[line["where"], line["family"]][line["seed"]] = value
    return dict(found)


def table(values: dict[tuple[str, str], dict[int, float]], columns: list[str], names: list[str]) -> str:
    """A row a family: bits a character of texts, per cent of right answers of tasks, with half the 95 % interval."""
    heads = [name if name in TASKS else f"{name}, bits/char" for name in columns]
    lines = ["| family | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for family in names:
        cells = []
        for where in columns:
            found = list(values.get((where, family), {}).values())
            scale = 100.0 if where in TASKS else 1.0
            if not found:
                cells.append("-")
                continue
            estimate = mean_over_seeds(found)
            half = (
                ""
                if estimate.high is None
                else f" ± {scale * (estimate.high - estimate.mean):.{1 if scale > 1 else 3}f}"
            )
            cells.append(f"{scale * estimate.mean:.{1 if scale > 1 else 3}f}{half}")
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    guess = [f"{100 * math.exp(-TASKS[w].chance):.1f}" if w in TASKS else "-" for w in columns]
    floor = ["100 (0 nats)" if w in TASKS else "-" for w in columns]
    lines += ["| *guessing* | " + " | ".join(guess) + " |", "| *floor* | " + " | ".join(floor) + " |"]
    return "\n".join(lines)


def main() -> int:
    """Exit status 1 when cells are missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the whole table, on --workers cores")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=15_000, help="characters of each text that are scored")
    parser.add_argument("--texts", nargs="*", default=list(TEXTS))
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--families", nargs="*", default=[f.name for f in families()])
    parser.add_argument("--out", type=Path, default=Path("results") / f"{time.strftime('%Y-%m-%d')}-families")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "runs.jsonl"
    if not path.exists():
        path.write_text(json.dumps({"about": {**environment(), "verdicts_written": verdicts.WRITTEN}}) + "\n")
    cells = cells_of(options.texts, options.tasks, options.seeds, options.families)
    missing = fill(cells, options, path)
    lines = [line for line in known(path) if "where" in line]
    values = values_of(lines)
    failed = [f"- {x['where']}, {x['family']}, seed {x['seed']}: {x['failed']}" for x in lines if x.get("failed")]
    command = f"python -m benchmarks.families --minutes {options.minutes:g} --seeds {options.seeds}"
    parts = ["# Families", f"```\n{command}\n```", table(values, [*options.texts, *options.tasks], options.families)]
    parts += ["## What the literature says", verdicts.table(values, options.texts)]
    parts += ["## Failed", *failed] if failed else []
    parts += [f"{len(missing)} cells were not begun: time was up. The same command goes on."] if missing else []
    (options.out / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts[2:]))
    return int(bool(missing))


if __name__ == "__main__":
    raise SystemExit(main())
