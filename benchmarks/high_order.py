"""Is a transformer of functions "not as good as the MLPs", as the seed has it? At equal time, with intervals.

    python benchmarks/high_order.py [TEXT] [--seeds 5] [--budget 60s] [--out FOLDER]

The recipes high_order (the seed's network: a window of 16 characters, a layer of functions) and high_order_transformer
(attention over 128 characters, functions in the feedforward), one thread each, beside the ordinary baseline and the
n-gram. The score is that of the whole held-out text. The seed's transformer attended over heads and never saw the order
of its characters, so its sentence was about something else. Leaves table.md, results.jsonl and report.html.
"""

from __future__ import annotations

import argparse
import json
import sys

from semagram.lab.compare import Comparison, compare, rows_as_json

MLP, TRANSFORMER = "high_order", "high_order_transformer"


def verdict(found: Comparison) -> str:
    """Of the seed's sentence, from the paired difference of the transformer to the MLP."""
    difference = next(row.difference for row in found.rows if row.name == TRANSFORMER)
    if difference is None or difference.low is None or difference.high is None:
        return "undecided: no interval could be given"
    told = f"{difference.mean:+.4f} bits/char [{difference.low:+.4f}, {difference.high:+.4f}] over {difference.basis}"
    if difference.low > 0:
        return f"confirmed: the transformer is worse by {told}"
    return f"refuted: the transformer is better, {told}" if difference.high < 0 else f"undecided: {told}"


def main() -> None:
    """Print the table and the verdict, or with ``--json`` one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text", nargs="*", default=["pydocs"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--out", default="comparisons/high-order")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = compare(
        MLP,
        TRANSFORMER,
        "baseline",
        text=options.text,
        seeds=options.seeds,
        budget=options.budget,
        out=options.out,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.json:
        print(json.dumps({"verdict": verdict(found), "rows": rows_as_json(found)}, indent=2))
        return
    print((found.folder / "table.md").read_text(encoding="utf-8"))
    print(f'"Not as good as the MLPs" is {verdict(found)}.')


if __name__ == "__main__":
    main()
