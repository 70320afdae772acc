"""Make every table of results/ anew from its raw runs: python -m results."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
Row = dict[str, object]


def learning(rows: list[Row]) -> str:
    """Mean and standard deviation over seeds, a contestant a line."""
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_name[str(row["contestant"])].append(row)
    heads = ("contestant", "runs", "nats a character", "CPU seconds", "share of the baseline's", "tokens")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, found in by_name.items():
        nats = [float(str(r["nats"])) for r in found]
        cpu = [float(str(r["cpu_seconds"])) for r in found]
        share = [float(str(r["share_of_cpu"])) for r in found]
        lines.append(
            f"| {name} | {len(found)} | {_spread(nats, 4)} | {_spread(cpu, 1)} | "
            f"{100 * statistics.mean(share):.0f} % | {int(str(found[0]['tokens'])):,} |"
        )
    return "\n".join(lines)


def plain(rows: list[Row]) -> str:
    """Every row as it is, one column a key."""
    keys = list(dict.fromkeys(k for row in rows for k in row))
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(k, "")) for k in keys) + " |")
    return "\n".join(lines)


def by_benchmark(rows: list[Row]) -> str:
    """A plain table for each benchmark of ``python -m benchmarks``."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["benchmark"])].append({k: v for k, v in row.items() if k != "benchmark"})
    return "\n\n".join(f"## {name}\n\n{plain(part)}" for name, part in found.items())


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " to ".join(_cell(v) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _spread(values: list[float], digits: int) -> str:
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


TABLES: dict[str, Callable[[list[Row]], str]] = {"2026-11-22-learning": learning}


def write_table(folder: Path) -> None:
    """Rewrite what stands between the two marks in a folder's README."""
    rows = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    page = folder / "README.md"
    head, rest = page.read_text(encoding="utf-8").split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    kind = by_benchmark if "benchmark" in rows[0] else TABLES.get(folder.name, plain)
    page.write_text(f"{head}{BEGIN}\n{kind(rows)}\n{END}{tail}", encoding="utf-8")


def main() -> None:
    """Every folder that has raw runs."""
    for folder in sorted(p for p in HERE.iterdir() if (p / "runs.jsonl").is_file()):
        write_table(folder)


if __name__ == "__main__":
    main()
