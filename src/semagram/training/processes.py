"""How many processes share this run, and who started them: torchrun, SLURM (``srun``), or this program itself.

Read from the environment that each of them leaves, before torch is asked: the command must know whether it is the one
process that speaks and writes. Torchrun goes first, since it may be started by ``srun``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from semagram.errors import UserError
from semagram.training.settings import Training

StartedBy = Literal["torchrun", "slurm", "semagram"]


@dataclass(frozen=True)
class Processes:
    """Of one run."""

    here: int
    """On each machine."""
    nodes: int
    """Machines."""
    started_by: StartedBy
    """semagram: the first process starts the others of its machine."""
    first: bool
    """Whether this is the one that speaks and writes."""

    @property
    def count(self) -> int:
        """All of them."""
        return self.here * self.nodes


def processes_of(settings: Training, environment: Mapping[str, str] = os.environ) -> Processes:
    """What the environment says, held against the settings; ``UserError`` where they disagree."""
    found = _torchrun(environment) or _slurm(environment)
    if found is None:
        if (settings.nodes or 1) > 1:
            raise UserError(
                f"training.nodes is {settings.nodes}, but nothing started processes on other machines: use torchrun "
                f"or srun."
            )
        first = environment.get("LOCAL_RANK", "0") == "0"
        return Processes(settings.devices or 1, 1, "semagram", first)
    for name, asked, there in (("devices", settings.devices, found.here), ("nodes", settings.nodes, found.nodes)):
        if asked is not None and asked != there:
            what = "processes on each machine" if name == "devices" else "machines"
            raise UserError(f"training.{name} is {asked}, but {found.started_by} started {there} {what}.")
    return found


def _torchrun(environment: Mapping[str, str]) -> Processes | None:
    if "LOCAL_WORLD_SIZE" not in environment:
        return None
    here = int(environment["LOCAL_WORLD_SIZE"])
    every = int(environment.get("WORLD_SIZE", str(here)))
    if every % here:
        raise UserError(f"torchrun started {every} processes, {here} of them here: give every machine as many.")
    return Processes(here, every // here, "torchrun", environment.get("RANK", "0") == "0")


def _slurm(environment: Mapping[str, str]) -> Processes | None:
    """Of a step of ``srun``; the script of ``sbatch`` itself is one process and no step."""
    every = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if every < 2:
        return None
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    if every % nodes:
        raise UserError(f"srun started {every} tasks on {nodes} machines: give every machine as many.")
    if "SLURM_NTASKS_PER_NODE" not in environment:
        raise UserError(
            f"srun started {every} tasks; say how many on each machine: --ntasks-per-node {every // nodes}."
        )
    return Processes(every // nodes, nodes, "slurm", environment.get("SLURM_PROCID", "0") == "0")
