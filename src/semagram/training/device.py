"""Where and how precisely to compute: one Fabric for one machine or many, made from the settings.

Started by ``torchrun`` or ``srun``, the processes that it made share each batch; with ``training.devices`` the first
process starts the others itself; otherwise there is one process, and nothing of this is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch

from semagram.errors import UserError
from semagram.training.processes import Processes, processes_of
from semagram.training.settings import Training
from semagram.training.strategies import Replicated, Sharded

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric_of(settings: Training) -> Fabric:
    """Fabric for these settings, launched; ``UserError`` for a device that this machine lacks, a batch that cannot be
    shared, and a strategy that nothing can be shared by."""
    processes = processes_of(settings)
    fabric = unlaunched(settings, processes)
    fabric.launch()
    return fabric


def unlaunched(settings: Training, processes: Processes) -> Fabric:
    """Fabric for these settings before any other process is started or waited for."""
    from lightning_fabric import Fabric

    if settings.batch % (processes.count * settings.accumulate):
        raise UserError(
            f"training.batch ({settings.batch}) must be a multiple of processes x training.accumulate "
            f"({processes.count} x {settings.accumulate})."
        )
    device = _device(settings)
    several = processes.count > 1
    return Fabric(
        accelerator=device,
        devices=processes.here,
        num_nodes=processes.nodes,
        strategy=_strategy(settings, processes.count),
        precision=_precision(settings, device),
        plugins=[_environment(processes)] if several else None,
    )


def _strategy(settings: Training, count: int) -> Any:
    if isinstance(settings.strategy, Sharded):
        if count == 1:
            raise UserError("training.strategy Sharded shares a network among processes, but there is one only.")
        from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

        from semagram.training.sharded import shard

        reshard = settings.strategy.reshard
        return ModelParallelStrategy(
            parallelize_fn=lambda network, mesh: shard(network, mesh["data_parallel"], reshard),
            data_parallel_size=count,
            tensor_parallel_size=1,
        )
    if count == 1:
        if settings.strategy != Replicated():
            raise UserError(f"training.strategy {settings.strategy} is for several processes, but there is one only.")
        return "auto"
    from lightning_fabric.strategies.ddp import DDPStrategy

    return DDPStrategy(find_unused_parameters=settings.strategy.unreached)


def _environment(processes: Processes) -> Any:
    """Fabric's word for who started the processes."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    kinds = {
        "torchrun": TorchElasticEnvironment,
        "slurm": SLURMEnvironment,
        "semagram": LightningEnvironment,
    }
    return kinds[processes.started_by]()


def _device(settings: Training) -> str:
    able = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if settings.device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if able[name])
    if not able[settings.device]:
        allowed = ", ".join(["auto", *(name for name, there in able.items() if there)])
        raise UserError(f"training.device is {settings.device!r}, which this machine lacks; it can be {allowed}.")
    return settings.device


def _precision(settings: Training, device: str) -> Literal["32-true", "bf16-mixed"]:
    if settings.precision == "auto":
        return "bf16-mixed" if device == "cuda" and torch.cuda.is_bf16_supported() else "32-true"
    return "32-true" if settings.precision == "float32" else "bf16-mixed"


@contextmanager
def torch_settings(threads: int | None) -> Iterator[None]:
    """Threads and arithmetic of a run; afterwards torch's threads and generators are as before.

    Numbers below 1e-38 are taken for 0: products of matrices full of them are six times slower on a CPU.
    """
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        if threads is not None:
            torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)
