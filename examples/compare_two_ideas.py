"""Attention or a state space? The same text, the same time, several seeds, and how sure the difference is.

    python examples/compare_two_ideas.py [TEXT] [BUDGET]     (by default Python's own help pages, 30 seconds a run)

Put files of your own in the place of the recipes: semagram recipes baseline > my_idea.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from semagram.lab.compare import Comparison, compare, header


def main(
    text: str = "pydocs",
    budget: str = "30s",
    ideas: Sequence[str] = ("baseline", "mamba"),
    seeds: int = 3,
    out: str = "comparisons/two_ideas",
) -> Comparison:
    """Compare ``ideas``; the n-gram takes part unasked. What lies in ``out`` already is not done again."""
    found = compare(*ideas, text=[text], budget=budget, seeds=seeds, out=out, say=print)
    print(f"\n{header(found)}\n")
    for row in found.rows:
        bits, difference = row.scores["nll"], row.difference
        said = "" if difference is None else f"  minus {found.rows[0].name}: {difference.mean:+.4f}"
        if difference is not None:
            said += f" over {difference.basis}, {'sure' if difference.certain else 'which may be chance'}"
        print(f"{row.name:>12}  {bits.mean:.4f} bits a character{said}")
    print(f"\nthe report: {found.folder / 'report.html'}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
