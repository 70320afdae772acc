"""Every speed figure in one go: each benchmark in a process of its own, one after the other, raw runs and a page kept.

    python -m benchmarks [NAME ...] [--out results/DATE-speed] [--list]

Runs those named, or all that measure speed; ``learning`` and ``hybrid`` train for minutes and are started by
themselves. Writes one JSON line a row to ``runs.jsonl`` (``benchmark`` says whose) and tables to ``README.md``. A
benchmark that fails, or whose opponent is not installed, is named on the page with its last line; the others go on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from results.__main__ import BEGIN, END, write_table

from benchmarks.rounds import environment, matrix_rate

HERE = Path(__file__).parent
SPEED = {
    "framework_tax": (),
    "generation": (),
    "training_step": (),
    "window": (),
    "piecewise": (),
    "state_space": (),
    "hierarchy": ("speed", "--share", "4"),  # at full width one step of the package takes minutes
}
"""Modules of this folder that take ``--json`` and print one object, with the words that they are started with."""


def run(name: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of one benchmark, and why there are none."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *SPEED[name], "--json"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        return [], (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    told = json.loads(done.stdout)
    return rows_of({key: value for key, value in told.items() if key not in environment()}, "part"), ""


def rows_of(told: Any, name: str) -> list[dict[str, Any]]:
    """Flat rows of what a benchmark told: what is said of a whole stands in each row of its parts."""
    if isinstance(told, list):
        return [row for part in told for row in rows_of(part, name)]
    deep = {key: value for key, value in told.items() if _holds_rows(value)}
    flat = {key: value for key, value in told.items() if key not in deep and key != "environment"}
    if not deep:
        return [flat]
    named = set(deep) == set(told)  # a mapping from names to what is said of each
    found = []
    for key, value in deep.items():
        label = {name: key} if named or len(deep) > 1 else {}
        found += [{**label, **flat, **row} for row in rows_of(value, "contestant" if named is False else "part")]
    return found


def _holds_rows(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def main() -> int:
    """Exit status 1 when a benchmark did not run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SPEED)}; all when none is given")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / f"{time.strftime('%Y-%m-%d')}-speed")
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SPEED))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(SPEED)}")
    if options.list:
        print("\n".join(SPEED))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    about = {**environment(), "matrix_product_gflops": round(matrix_rate())}
    raw: list[dict[str, Any]] = [{"benchmark": "the machine", **about}]
    missed = []
    for name in options.names or SPEED:
        began = time.time()
        print(f"{name} ...", end=" ", flush=True)
        rows, why = run(name)
        print(f"{time.time() - began:.0f} s" if rows else f"did not run: {why}", flush=True)
        missed += [] if rows else [f"`{name}` did not run: {why}\n"]
        raw += [{"benchmark": name, **row} for row in rows]
    (options.out / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in raw))
    page = f"# Speed\n\n```\n{' '.join(['python -m benchmarks', *options.names])}\n```\n\n{BEGIN}\n{END}\n"
    (options.out / "README.md").write_text("\n".join([page, *missed]))
    write_table(options.out)
    print(options.out)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
