"""How much each field of a sweep mattered: the share of the variance of the trials' ranks that it explains by itself.

    epsilon^2 = 1 - (within / (n - k)) / (total / (n - 1)),   not below 0

Trials are sorted into k groups (a choice's values; four equal parts of a range); *within* and *total* are sums of
squares of ranks, so that one diverged trial weighs no more than another bad one (Kruskal and Wallis 1952, with Kelley's
correction for chance). A field whose effect depends on another one shows less here than it has. Tested on scores with
a known part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from semagram.lab.sweep_space import Axis, Plain, Range
from semagram.lab.sweep_study import Trial

PARTS = 4


def group_of(axis: Axis, value: Plain) -> str:
    """The group that a value belongs to, as a reader would name it."""
    if not isinstance(axis, Range) or not isinstance(value, (int, float)):
        return "none" if value is None else str(value)
    turn, back = (math.log, math.exp) if axis.logarithmic else (float, float)
    low, high = turn(axis.low), turn(axis.high)
    part = min(PARTS - 1, int(PARTS * (turn(value) - low) / (high - low)))
    ends = [back(low + (high - low) * end / PARTS) for end in (part, part + 1)]
    return " to ".join(f"{end:.3g}" for end in ends)


def groups(axis: Axis, trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Trials by group, in the order of the axis; those that had no such field are left out."""
    found: dict[str, list[Trial]] = {}
    asked = [t for t in trials if axis.path in t.values]
    if isinstance(axis, Range):
        asked.sort(key=lambda t: t.values[axis.path])  # type: ignore[arg-type, return-value]
    else:
        asked.sort(key=lambda t: axis.values.index(t.values[axis.path]))
    for trial in asked:
        found.setdefault(group_of(axis, trial.values[axis.path]), []).append(trial)
    return found


def importance(axes: Sequence[Axis], scored: Sequence[Trial]) -> dict[str, float | None]:
    """Of every axis, 0 to 1; None where there are too few trials to say."""
    return {axis.path: _share(list(groups(axis, scored).values())) for axis in axes}


def _share(parts: list[list[Trial]]) -> float | None:
    bits = np.array([t.bits for part in parts for t in part], dtype=np.float64)
    n, k = len(bits), len(parts)
    if k < 2 or n < k + 2:
        return None
    ranks = _ranks(bits)
    total = ((ranks - ranks.mean()) ** 2).sum()
    if total == 0:
        return 0.0
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    within = sum(((part - part.mean()) ** 2).sum() for part in np.split(ranks, cuts))
    return float(max(0.0, 1.0 - (within / (n - k)) / (total / (n - 1))))


def _ranks(values: np.ndarray) -> np.ndarray:
    """1 .. n, equal values sharing the mean of their ranks."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[where]
