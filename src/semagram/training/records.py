"""The run folder: enough to repeat the run, and nothing that a person could not read or another program not open.

| file | what |
|---|---|
| config.json | the experiment |
| tokenizer.json | how text becomes ids |
| environment.json | one entry a start: versions, processor, threads, time |
| metrics.jsonl | one line a stretch of steps, one an evaluation |
| samples.txt | what it wrote after each evaluation |
| checkpoints/last.safetensors, best.safetensors | weights, optimiser state, progress |
| model.safetensors | the weights of the result |
| prior.safetensors | of a hybrid: the ids its n-grams are counted from |
| result.json | how it ended |
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import torch

import semagram
from semagram.config import to_json
from semagram.errors import UserError
from semagram.text import Tokenizer
from semagram.training.files import TEMPORARY, Appended, CannotWrite, write_json
from semagram.training.settings import PLACES

if TYPE_CHECKING:
    from semagram.experiment import Experiment


class RunFolder:
    """A folder with one run in it. Making one checks that it is this experiment's, or empty; it writes nothing.

    ``resume``: go on with what is there. ``first``: False in all processes but the one that writes.
    """

    def __init__(self, path: Path, experiment: Experiment, resume: bool, first: bool = True) -> None:
        self.path = path
        self.resumed = resume
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; a run needs a folder.")
        if self.holds_a_run() and not resume and first:
            raise UserError(f"{path} already holds a run: use --resume to go on with it, or another --out.")
        if (path / "config.json").exists():
            self._check_same(experiment)

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint of the best score."""
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def model(self) -> Path:
        """The weights of the result."""
        return self.path / "model.safetensors"

    def holds_a_run(self) -> bool:
        """True when a run was begun here."""
        return any((self.path / name).exists() for name in ("config.json", "checkpoints", "model.safetensors"))

    def begin(self, experiment: Experiment, tokenizer: Tokenizer, device: str) -> None:
        """Write what the run is, and add this start to what it ran on. Raises ``CannotWrite``."""
        try:
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            for left_over in [*self.path.glob(f"*{TEMPORARY}"), *self.path.glob(f"checkpoints/*{TEMPORARY}")]:
                left_over.unlink()
        except OSError as error:
            raise CannotWrite(f"could not write to {self.path}: {error.strerror}.") from error
        write_json(self.path / "tokenizer.json", tokenizer.to_json())
        write_json(self.path / "config.json", to_json(experiment))
        write_json(self.path / "environment.json", {"starts": [*self._starts(), environment(device)]})

    def finish(self, result: dict[str, Any]) -> None:
        """Write how the run ended."""
        write_json(self.path / "result.json", result)

    def _starts(self) -> list[Any]:
        try:
            return list(json.loads((self.path / "environment.json").read_text(encoding="utf-8"))["starts"])
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _check_same(self, experiment: Experiment) -> None:
        path = self.path / "config.json"
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}); it should be the experiment's JSON.") from error
        found = differences(decisive(there), decisive(to_json(experiment)))
        if found:
            shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
            raise UserError(
                f"{self.path} holds a run of another experiment: {shown}. Resume it with the settings it was "
                f"begun with, or use another --out."
            )


class Logs:
    """metrics.jsonl and samples.txt, of the lengths that a checkpoint knows of."""

    def __init__(self, folder: RunFolder, metrics_bytes: int, samples_bytes: int) -> None:
        self.metrics = Appended(folder.path / "metrics.jsonl", metrics_bytes)
        self.samples = Appended(folder.path / "samples.txt", samples_bytes)

    def line(self, values: dict[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        self.metrics.write(json.dumps(values) + "\n")

    def sample(self, step: int, text: str) -> None:
        """Append a sample."""
        self.samples.write(f"=== step {step}\n{text}\n")

    def flush_to_disk(self) -> None:
        """Before a checkpoint that remembers their lengths."""
        self.metrics.flush_to_disk()
        self.samples.flush_to_disk()

    def close(self) -> None:
        """No more lines."""
        self.metrics.close()
        self.samples.close()


def decisive(experiment: Any) -> Any:
    """An experiment's JSON without what does not decide its result: on how many devices it was trained."""
    training = experiment.get("training") if isinstance(experiment, dict) else None
    if not isinstance(training, dict):
        return experiment
    return {**experiment, "training": {key: value for key, value in training.items() if key not in PLACES}}


def differences(there: Any, here: Any, where: str = "") -> list[str]:
    """The dotted fields in which two configurations, as plain JSON data, differ: ``seed: 1 there, 2 here``."""
    if isinstance(there, dict) and isinstance(here, dict) and there.get("kind") == here.get("kind"):
        keys = dict.fromkeys([*there, *here])
        nested = [differences(there.get(k), here.get(k), f"{where}.{k}" if where else k) for k in keys]
        return [line for lines in nested for line in lines]
    if json.dumps(there, sort_keys=True) == json.dumps(here, sort_keys=True):
        return []
    return [f"{where}: {_short(there)} there, {_short(here)} here"]


def _short(value: Any) -> str:
    if isinstance(value, dict) and "kind" in value:
        return str(value["kind"])
    return json.dumps(value, ensure_ascii=False)


def environment(device: str) -> dict[str, Any]:
    """What decides, besides the experiment and the text, whether two runs are equal to the bit."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "semagram": semagram.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "command": sys.argv,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()
