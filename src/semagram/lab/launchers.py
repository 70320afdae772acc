"""Who carries out the cells of a comparison: processes here, SLURM through submitit, or Ray. All of them are thin.

A cell is one ``comparison_run.run``: pure, idempotent, with its result on the disk. So a launcher need only start
``python -m semagram.lab.launchers CELL.json`` for each and wait; whatever it loses, the comparison itself does again.
Cells and folders must be seen by all machines under the same path. One *run* on many devices is another matter:
``training.devices`` and docs/cluster.md.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semagram.config import from_json, to_json
from semagram.errors import UserError
from semagram.lab.comparison_contestants import Contestant, Counting, FromMembers, FromRecipe, FromRun
from semagram.lab.comparison_judged import ComparedText
from semagram.lab.comparison_run import RESULT, run
from semagram.training.budget import Budget
from semagram.training.files import write_json

CELL = "cell.json"


@dataclass(frozen=True)
class Cell:
    """The arguments of one ``run``."""

    contestant: Contestant
    seed: int
    budget: Budget | None
    text: ComparedText
    folder: Path
    coded: bool


@dataclass(frozen=True)
class Local:
    """Processes on this machine."""

    workers: int = 1
    """At the same time."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers must be at least 1, got {self.workers}.")

    def run(self, commands: Sequence[Sequence[str]], folder: Path) -> list[int]:
        """Exit statuses, in the order of the commands."""
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(_status, commands))


@dataclass(frozen=True)
class Slurm:
    """An array of SLURM jobs, by the package submitit (extra ``slurm``); its logs go to ``folder``/slurm."""

    workers: int = 1
    """Jobs at the same time."""
    minutes: int = 60
    """Time limit of a job."""
    cpus: int = 1
    """Cores of a job."""
    gpus: int = 0
    """GPUs of a job."""
    partition: str | None = None
    """Queue; none: the cluster's own."""
    cluster: str | None = None
    """submitit's word; none: slurm where there is one, else processes here; debug: in this process."""

    def run(self, commands: Sequence[Sequence[str]], folder: Path) -> list[int]:
        """Exit statuses, in the order of the commands; -1 for a job that was lost."""
        submitit = _package("submitit", "slurm")
        executor = submitit.AutoExecutor(folder=folder / "slurm", cluster=self.cluster)
        settings: dict[str, Any] = {"timeout_min": self.minutes, "cpus_per_task": self.cpus}
        settings |= {"gpus_per_node": self.gpus} if self.gpus else {}
        settings |= {"slurm_partition": self.partition} if self.partition else {}
        executor.update_parameters(slurm_array_parallelism=self.workers, **settings)
        jobs = executor.map_array(_status, [list(command) for command in commands])
        return [_result(job) for job in jobs]


@dataclass(frozen=True)
class Ray:
    """Tasks of Ray (extra ``ray``), in the cluster that RAY_ADDRESS names or one made here."""

    workers: int = 1
    """Tasks at the same time."""
    cpus: float = 1.0
    """Cores of a task."""
    gpus: float = 0.0
    """GPUs of a task."""

    def run(self, commands: Sequence[Sequence[str]], folder: Path) -> list[int]:
        """Exit statuses, in the order of the commands."""
        ray = _package("ray", "ray")
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False)
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus)(_status)
        waiting: list[Any] = []
        found: list[Any] = []
        for command in commands:
            if len(waiting) == self.workers:
                _, waiting = ray.wait(waiting, num_returns=1)
            found.append(task.remote(list(command)))
            waiting.append(found[-1])
        return list(ray.get(found))


Launcher = (
    Local
    | Slurm
    | Ray
)  # fmt: skip


def launcher_of(name: str, workers: int) -> Launcher | None:
    """From the words of the command line; none where one process here does it all."""
    kinds: dict[str, Callable[[int], Launcher]] = {"local": Local, "slurm": Slurm, "ray": Ray}
    if name not in kinds:
        raise UserError(f"a launcher is one of {', '.join(kinds)}, got {name!r}.")
    return None if name == "local" and workers == 1 else kinds[name](workers)


def carry_out(cells: Sequence[Cell], launcher: Launcher, say: Callable[[str], None]) -> None:
    """Have all cells done that are not; those that fail are left to the comparison, which tries and tells."""
    commands = []
    for cell in cells:
        if isinstance(cell.contestant, FromRun) or _done(cell.folder):
            continue
        cell.folder.mkdir(parents=True, exist_ok=True)
        write_json(cell.folder / CELL, _cell_as_json(cell))
        commands.append([sys.executable, "-m", "semagram.lab.launchers", str((cell.folder / CELL).resolve())])
    if not commands:
        return
    say(f"{len(commands)} runs, {launcher.workers} at a time, by {type(launcher).__name__} ...")
    folder = cells[0].folder.parents[2]
    lost = sum(status != 0 for status in launcher.run(commands, folder))
    say(f"{len(commands) - lost} of {len(commands)} runs came back.")


def main(arguments: Sequence[str]) -> int:
    """Carry out one cell: what a launcher starts."""
    path = Path(arguments[0])
    data = json.loads(path.read_text(encoding="utf-8"))
    kind: Any = FromRecipe | FromMembers | Counting
    budget = None if data["budget"] is None else from_json(Budget, data["budget"])
    text = ComparedText.of(data["sources"], data["held_out_share"])
    if text.sha256 != data["sha256"]:
        raise UserError(f"the text {' '.join(data['sources'])} is another one here than where {path} was written.")
    contestant = from_json(kind, data["contestant"])
    found = run(contestant, data["seed"], budget, text, path.parent, coded=data["coded"])
    return int(found.failed is not None)


def _cell_as_json(cell: Cell) -> dict[str, Any]:
    return {
        "contestant": to_json(cell.contestant),
        "seed": cell.seed,
        "budget": None if cell.budget is None else to_json(cell.budget),
        "sources": list(cell.text.sources),
        "held_out_share": cell.text.held_out_share,
        "sha256": cell.text.sha256,
        "coded": cell.coded,
    }


def _done(folder: Path) -> bool:
    try:
        return json.loads((folder / RESULT).read_text(encoding="utf-8"))["result"] is not None
    except (OSError, ValueError, KeyError):
        return False


def _status(command: Sequence[str]) -> int:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def _result(job: Any) -> int:
    try:
        return int(job.result())
    except Exception:
        # A job that SLURM killed or lost is a lost cell and no reason to lose the others.
        return -1


def _package(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"this launcher needs the package {name}: pip install 'semagram[{extra}]'.") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
