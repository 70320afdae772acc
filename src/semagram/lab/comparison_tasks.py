"""The networks of a comparison on tasks with known answers: a row a task, beside guessing and what the literature says.

Every contestant that is a network is trained afresh on each task, once a seed, with the same steps and the same
optimiser; only its ``model`` counts. A result lies in a file of its own and is never worked out twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semagram.config import members, to_json
from semagram.errors import UserError
from semagram.lab.comparison_contestants import Contestant, Counting, folder_name
from semagram.lab.comparison_statistics import Estimate, mean_over_seeds
from semagram.lab.tasks import AnyTask, Solved, solve
from semagram.training.files import write_json

TASKS: tuple[AnyTask, ...] = tuple(kind() for kind in members(AnyTask))
"""One of each, as it stands in the code."""


@dataclass(frozen=True)
class TaskRow:
    """One task over all contestants."""

    name: str
    expected: str
    """What the literature says, written down before the run."""
    guessing: float
    """Share that a guesser gets right."""
    right: dict[str, Estimate]
    """By contestant: share of scored tokens got right, over the seeds."""
    failed: dict[str, str]
    """By contestant: why there is no share."""


def task_rows(
    contestants: Sequence[Contestant],
    seeds: int,
    steps: int,
    folder: Path,
    say: Callable[[str], None],
    tasks: Sequence[AnyTask] | None = None,
) -> list[TaskRow]:
    """Train every network on every task (none named: ``TASKS``); ``UserError`` for less than one step."""
    if steps < 1:
        raise UserError(f"tasks need at least 1 step, got {steps}.")
    networks = [c for c in contestants if not isinstance(c, Counting)]
    rows = []
    for task in TASKS if tasks is None else tasks:
        name = type(task).__name__
        row = TaskRow(name, task.expected, math.exp(-task.chance), {}, {})
        for contestant in networks:
            place = folder / "tasks" / folder_name(contestant.name)
            found = [_kept(contestant, task, steps, seed, place / f"{name}-{seed}.json") for seed in range(seeds)]
            shares = [f.accuracy for f in found if isinstance(f, Solved)]
            if shares:
                row.right[contestant.name] = mean_over_seeds(shares)
            else:
                row.failed[contestant.name] = str(found[0])
        told = ", ".join(f"{who} {estimate.mean:.0%}" for who, estimate in row.right.items())
        say(f"task {name}: {told or 'nobody could be asked'}")
        rows.append(row)
    return rows


def _kept(contestant: Any, task: AnyTask, steps: int, seed: int, path: Path) -> Solved | str:
    """The result on the disk when it answers this question, a new one otherwise; why not, where it failed."""
    model = contestant.experiment.model
    question = {"model": to_json(model), "task": to_json(task), "steps": steps, "seed": seed}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["question"] == json.loads(json.dumps(question)):
            return str(kept["failed"]) if kept["solved"] is None else Solved(**kept["solved"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    solved, failed = None, None
    try:
        solved = solve(model, task, steps, seed=seed)
    except Exception as error:  # a network that cannot do a task must not take the others' hours with it
        failed = " ".join((str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}").split())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"question": question, "solved": None if solved is None else asdict(solved), "failed": failed})
    return solved if solved is not None else str(failed)


def share_words(estimate: Estimate) -> str:
    """``98.2 % [97.1, 99.3]``; an interval is cut off at nothing and at everything."""
    words = f"{100 * estimate.mean:.1f} %"
    if estimate.low is None or estimate.high is None:
        return words
    return f"{words} [{100 * max(0.0, estimate.low):.1f}, {100 * min(1.0, estimate.high):.1f}]"


def tasks_markdown(rows: Sequence[TaskRow], names: Sequence[str], steps: int) -> str:
    """The table in Markdown, with what was equal under it."""
    lines = [f"| task | guessing | {' | '.join(names)} |", "|" + "---|" * (2 + len(names))]
    for row in rows:
        cells = [share_words(row.right[n]) if n in row.right else "-" for n in names]
        lines.append(f"| {row.name} | {100 * row.guessing:.1f} % | {' | '.join(cells)} |")
    return "\n".join(
        [*lines, "", f"Share of answers got right; at most {steps:,} steps of 32 fresh sequences each.", ""]
    )


def rows_as_data(rows: Sequence[TaskRow]) -> list[dict[str, Any]]:
    """For results.jsonl."""
    return [{"kind": "task", **asdict(row)} for row in rows]
