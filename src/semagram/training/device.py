"""Where and how precisely to compute: one Fabric for one machine or many, made from the settings.

Started by ``torchrun``, the processes that it made share each batch; otherwise there is one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from semagram.errors import UserError
from semagram.training.settings import Training

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric_of(settings: Training) -> Fabric:
    """Fabric for these settings; ``UserError`` for a device that this machine lacks or a batch that cannot be
    shared."""
    from lightning_fabric import Fabric

    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    everywhere = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_WORLD_SIZE" in os.environ else here
    if settings.batch % (everywhere * settings.accumulate):
        raise UserError(
            f"training.batch ({settings.batch}) must be a multiple of processes x training.accumulate "
            f"({everywhere} x {settings.accumulate})."
        )
    device = _device(settings)
    fabric = Fabric(
        accelerator=device,
        devices=here,
        num_nodes=everywhere // here,
        strategy="ddp" if everywhere > 1 else "auto",
        precision=_precision(settings, device),
    )
    fabric.launch()
    return fabric


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
