"""How long to train: a number of steps, of tokens, or of seconds of wall or processor time.

Written ``2000steps``, ``1.5Mtokens``, ``30s``, ``5m``, ``1h``, and ``30cpu-s``, ``5cpu-m`` of processor
time. A budget in seconds is turned into a number of steps
once, after the first steps have been timed, and that number is kept with the run, so that a resumed run follows
the same schedule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from semagram.errors import UserError

_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """How long to train."""

    amount: float = 1000.0
    """How many of the unit."""
    unit: Literal["steps", "tokens", "seconds", "cpu_seconds"] = "steps"
    """steps of the optimiser; training tokens seen; seconds of wall time; of processor time (of all threads)."""

    def __post_init__(self) -> None:
        if not self.amount > 0:
            raise UserError(f"a budget must be above 0, got {self.amount:g} {self.unit}.")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From ``30s``, ``30cpu-s``, ``5m``, ``1h``, ``2000steps``, ``1.5Mtokens``; ``UserError`` for anything else."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMG]?)\s*(steps?|tokens?|(?:cpu-)?(?:s|sec|m|min|h))\s*", text)
        if not found or (found[2] and found[3] not in ("step", "steps", "token", "tokens")):
            raise UserError(f"a budget is written like 30s, 5m, 1h, 30cpu-s, 2000steps or 1.5Mtokens; got {text!r}.")
        amount = float(found[1]) * _SCALE[found[2]]
        if found[3].startswith("step"):
            return cls(amount, "steps")
        if found[3].startswith("token"):
            return cls(amount, "tokens")
        unit = found[3].removeprefix("cpu-")
        return cls(amount * _SECONDS[unit[0]], "seconds" if unit == found[3] else "cpu_seconds")

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"
