"""The page of a comparison: the table, points of every seed, learning curves, the same passage read by all, samples."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semagram.lab.comparison_table import DASH, KINDS, Row
from semagram.lab.comparison_tasks import share_words
from semagram.lab.curves import Curves, read_curves
from semagram.lab.figures import COLOURS, Line, Strip, line_chart, strip_chart
from semagram.lab.heatmap import Passage, character_bits, difference, heat, visible
from semagram.lab.page import write_page
from semagram.lab.pareto import Dot, pareto_chart
from semagram.training.records import differences

if TYPE_CHECKING:
    from semagram.lab.compare import Comparison

_PASSAGE = 900
_MOST_PASSAGES = 4


def write_comparison(found: Comparison, header: str) -> Path:
    """Write ``report.html`` into the comparison's folder and return its path."""
    readable = [(number, row) for number, row in enumerate(found.rows) if row.done and "nll" in row.scores]
    passage = Passage.of(found.text.held_out, _PASSAGE)
    values: dict[str, Any] = {
        "title": f"semagram: {' and '.join(r.name for r in found.rows)}",
        "heading": " · ".join(r.name for r in found.rows),
        "header": header,
        "columns": found.table.columns,
        "numeric": 1 + len(found.table.kinds) + 7,
        "lines": found.table.lines,
        "row_count": len(found.rows),
        "failed": [any(r.failed for r in row.results) for row in found.rows],
        "bases": [(r.name, r.difference.basis) for r in found.rows if r.difference is not None],
        "first": found.rows[0].name,
        "strips": _strips(found),
        "names": [
            (row.name, number % COLOURS)
            for number, row in enumerate(found.rows)
            if any(read_curves(r.folder).held_out_by_tokens for r in row.results)
        ],
        "curves": _curves(found.rows),
        "costs": _costs(found.rows),
        **_tasks(found),
        "passage_note": f"Characters {passage.begin:,} to {passage.end:,} of the held-out text",
        "heats": [
            (row.name, heat(found.text.held_out, *row.done[0].nats(), passage)) for _, row in readable[:_MOST_PASSAGES]
        ],
        "pair": _pair(found, [row for _, row in readable], passage),
        "written": [(r.name, visible(r.done[0].judged.sample)) for r in found.rows if r.done and r.done[0].judged],
        "settings": _settings(found.rows),
        "command": visible(shlex.join(found.command)),
        "environment": _environment(found.rows),
    }
    return write_page(found.folder / "report.html", "comparison.html", values)


def _strips(found: Comparison) -> list[tuple[str, str]]:
    """A chart for each kind of score, since two kinds share no axis."""
    charts = []
    for kind in found.table.kinds:
        strips = []
        for number, row in enumerate(found.rows):
            if kind in row.scores:
                values = [v for r in row.done if (v := getattr(r.judged, kind)) is not None]
                estimate = row.scores[kind]
                strips.append(Strip(row.name, values, number % COLOURS, estimate.mean, estimate.low, estimate.high))
        if strips:
            charts.append((KINDS[kind], strip_chart(strips, KINDS[kind])))
    return charts


def _curves(rows: tuple[Row, ...]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(kind of loss, (what the switch says, chart)): held-out loss in bits a character, every seed a line.

    Two kinds share no chart.
    """
    by_kind: dict[str, list[tuple[Row, int, Curves]]] = {}
    for number, row in enumerate(rows):
        for result in row.results:
            curves = read_curves(result.folder)
            kind, scale = _loss_of(result.folder)
            if curves.held_out_by_tokens and kind:
                by_kind.setdefault(kind, []).append((row, number % COLOURS, curves.scaled(scale)))
    charts = []
    for kind, found in by_kind.items():
        tokens = [Line(row.name, c.held_out_by_tokens, colour, dots=True) for row, colour, c in found]
        cpu = [Line(row.name, c.held_out_by_cpu, colour, dots=True) for row, colour, c in found]
        told = f"held-out bits/char ({kind})"
        panes = [
            ("by tokens", line_chart(tokens, "training tokens", told)),
            ("by processor time", line_chart(cpu, "processor seconds", told)),
        ]
        charts.append((kind, panes))
    return charts


def _costs(rows: tuple[Row, ...]) -> list[tuple[str, str]]:
    """(what the switch says, chart) of exact bits against processor time, parameters and operations of training."""
    scored = [(number % COLOURS, row) for number, row in enumerate(rows) if "nll" in row.scores]

    def chart(cost: Callable[[Row], float | None], told: str) -> str:
        dots = [Dot(row.name, cost(row) or 0.0, row.scores["nll"].mean, colour) for colour, row in scored]
        return pareto_chart(dots, told, "exact bits per character")

    panes = [
        ("by processor time", chart(lambda row: row.mean("cpu_seconds"), "processor seconds of training")),
        ("by parameters", chart(lambda row: row.parameters, "parameters")),
        ("by FLOP", chart(lambda row: row.mean("training_flops"), "FLOP of training")),
    ]
    return [pane for pane in panes if pane[1]]


def _tasks(found: Comparison) -> dict[str, Any]:
    """What the template says of tasks; an empty table when none were asked for."""
    names = [r.name for r in found.rows if any(r.name in t.right or r.name in t.failed for t in found.tasks)]
    rows = []
    for task in found.tasks:
        cells = [
            {
                "words": share_words(task.right[name]) if name in task.right else DASH,
                "solved": name in task.right and task.right[name].mean >= 0.99,
                "why": task.failed.get(name, ""),
            }
            for name in names
        ]
        guessing = f"{100 * task.guessing:.1f} %"
        rows.append({"name": task.name, "guessing": guessing, "cells": cells, "expected": task.expected})
    failures = {name: why for task in found.tasks for name, why in task.failed.items()}
    return {
        "tasks": rows,
        "task_names": names,
        "task_steps": f"{found.task_steps or 0:,}",
        "task_failures": [(name, visible(why)) for name, why in failures.items()],
    }


def _loss_of(run: Path) -> tuple[str | None, float]:
    """The kind of a run's loss, and what turns its nats a token into bits a character."""
    try:
        data = json.loads((run / "result.json").read_text(encoding="utf-8"))
        return str(data["loss_kind"]), data["held_out_bits_per_character"] / data["held_out_nats"]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None, 1 / math.log(2)


def _pair(found: Comparison, rows: list[Row], passage: Passage) -> dict[str, Any] | None:
    """The difference map of the first two that can be read."""
    if len(rows) < 2:
        return None
    a, b = ((row.name, character_bits(*row.done[0].nats(), passage)) for row in rows[:2])
    return {"a": a[0], "b": b[0], "cells": difference(found.text.held_out, passage, a, b)}


def _settings(rows: tuple[Row, ...]) -> list[tuple[str, list[str]]]:
    """For each trained contestant, the settings in which it differs from the first."""
    known = [(row.name, _config(row.results[0].folder)) for row in rows if row.results]
    trained = [(name, config) for name, config in known if config is not None]
    if not trained:
        return []
    first = trained[0][1]
    return [(name, differences(first, config)) for name, config in trained[1:]]


def _config(run: Path) -> Any | None:
    try:
        data = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {k: v for k, v in data.items() if k not in ("name", "seed")}


def _environment(rows: tuple[Row, ...]) -> list[tuple[str, str]]:
    """What the runs were trained on; every different answer is named."""
    answers: dict[str, dict[str, None]] = {}
    for result in (r for row in rows for r in row.results):
        try:
            starts = json.loads((result.folder / "environment.json").read_text(encoding="utf-8"))["starts"]
        except (OSError, ValueError, KeyError):
            continue
        for start in starts:
            for key, value in start.items():
                if key not in ("time", "command"):
                    answers.setdefault(key, {})[str(value)] = None
    return [(key, ", ".join(values)) for key, values in answers.items()]
