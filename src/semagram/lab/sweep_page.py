"""The report of a sweep: the best, every trial, what each field did; as a table in text and as a page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semagram.lab.figures import COLOURS, Line, Strip, line_chart, strip_chart
from semagram.lab.heatmap import visible
from semagram.lab.page import write_page
from semagram.lab.sweep_importance import groups
from semagram.lab.sweep_space import Plain

if TYPE_CHECKING:
    from semagram.lab.sweep import Sweep
    from semagram.lab.sweep_study import Trial

_KINDS = {"nll": "exact", "nll_upper_bound": "an upper bound", "pseudo_nll": "pseudo-likelihood"}


def headline(found: Sweep) -> str:
    """The best setting and its figures, in a sentence or two."""
    failed = sum(t.bits is None for t in found.trials)
    told = (
        f"Trial {found.best.number + 1} of {len(found.trials)} was the best: {found.best.bits:.4f} bits per character "
        f"({_KINDS[found.experiment.objective.loss_kind]}) on the last {found.dev:.0%} of the training text"
        f"{f'; {failed} failed' if failed else ''}."
    )
    if found.held_out_bits is not None:
        told += (
            f" Trained afresh on the whole training text it needs {found.held_out_bits:.4f} bits per character on the "
            f"validation text, which was opened for it alone."
        )
    return told


def columns(found: Sweep) -> list[str]:
    """Of the table."""
    return ["trial", "bits/char", *(axis.path for axis in found.axes), "remark"]


def lines(found: Sweep) -> list[list[str]]:
    """A line a trial, the best first, the failed last."""
    order = sorted(found.trials, key=lambda t: (t.bits is None, t.bits or 0.0, t.number))
    return [_cells(found, trial) for trial in order]


def table(found: Sweep) -> str:
    """The report as Markdown."""
    rows = [columns(found), ["---"] * (3 + len(found.axes)), *lines(found)]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    parts = "\n".join(f"- `{path}`: {_share(share)}" for path, share in found.importance.items())
    told = f"{headline(found)}\n\n{text}"
    return f"{told}\n\nShare of the variance of ranks that each field explains by itself:\n\n{parts}\n"


def write_sweep(found: Sweep) -> Path:
    """Write ``report.html`` into the sweep's folder and return its path."""
    scored = [t for t in found.trials if t.bits is not None]
    best: list[tuple[float, float]] = []
    for trial in scored:
        assert trial.bits is not None
        best.append((trial.number + 1.0, min(trial.bits, best[-1][1] if best else trial.bits)))
    values: dict[str, Any] = {
        "title": f"semagram: a sweep of {found.experiment.name}",
        "heading": f"A sweep of {found.experiment.name}",
        "headline": headline(found),
        "settings": [(axis.path, shown(found.best.values.get(axis.path, "-"))) for axis in found.axes],
        "importance": [(p, _share(s), 0 if s is None else round(100 * s, 1)) for p, s in found.importance.items()],
        "columns": columns(found),
        "lines": lines(found),
        "progress": line_chart([Line("the best so far", best, 0, dots=True)], "trial", "bits/char on the slice"),
        "strips": [strip_chart(_strips(found, axis, scored), axis.path) for axis in found.axes],
        "command": visible(shlex.join(found.command)),
    }
    return write_page(found.folder / "report.html", "sweep.html", values)


def shown(value: Plain) -> str:
    """A value as a reader would write it."""
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def _strips(found: Sweep, axis: Any, scored: list[Trial]) -> list[Strip]:
    strips = []
    for number, (name, part) in enumerate(groups(axis, scored).items()):
        bits = [t.bits for t in part if t.bits is not None]
        strips.append(Strip(name, bits, number % COLOURS, sum(bits) / len(bits)))
    return strips


def _cells(found: Sweep, trial: Trial) -> list[str]:
    bits = "" if trial.bits is None else f"{trial.bits:.4f}"
    values = [shown(trial.values[a.path]) if a.path in trial.values else "-" for a in found.axes]
    return [str(trial.number + 1), bits, *values, f"failed: {trial.failed}" if trial.failed else ""]


def _share(share: float | None) -> str:
    return "too few trials to say" if share is None else f"{share:.0%}"
