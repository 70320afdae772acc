"""Loggers: the lines of metrics.jsonl, sent elsewhere as well. metrics.jsonl is always written; these are extras."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

from semagram.errors import UserError, nearest

LoggerName = Literal["tensorboard", "wandb", "trackio"]

_PACKAGES: dict[str, str] = {"tensorboard": "tensorboardX", "wandb": "wandb", "trackio": "trackio"}


class Logger(Protocol):
    """Where metrics go; write your own and hand it to ``train``."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """``values`` by name (train/nats, held_out/nats, rate, tokens, ...) after ``step`` steps."""
        ...

    def close(self) -> None:
        """The run ends here."""
        ...


def open_logger(name: str, run: Path, title: str, config: Mapping[str, Any], step: int) -> Logger:
    """The logger called ``name``, for a run at ``step``; ``UserError`` for an unknown one or a missing package."""
    if name not in _PACKAGES:
        raise UserError(f"logger must be one of {', '.join(_PACKAGES)}, got {name!r}.{nearest(name, _PACKAGES)}")
    package = _imported(name)
    if name == "tensorboard":
        return TensorBoard(package, run, step)
    return Tracker(package, run, title, config)


def _imported(name: str) -> ModuleType:
    package = _PACKAGES[name]
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise UserError(
            f'logger {name} needs the package {error.name}: pip install "semagram[{name}]", or leave it out; '
            f"metrics.jsonl is written anyway."
        ) from error


class TensorBoard:
    """TensorBoard's event files in the run folder, written by tensorboardX."""

    def __init__(self, package: ModuleType, run: Path, step: int) -> None:
        # What an earlier life of the run logged after its last checkpoint is hidden, not drawn twice.
        self._writer = package.SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else None)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Each value is a scalar."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class Tracker:
    """Weights & Biases, or trackio, which answers the same calls."""

    def __init__(self, package: ModuleType, run: Path, title: str, config: Mapping[str, Any]) -> None:
        self._package = package
        package.init(project="semagram", name=f"{title} {run.name}", config=dict(config))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """All values of a step together."""
        self._package.log(dict(values), step=step)

    def close(self) -> None:
        """Send what is left."""
        self._package.finish()
