"""Train a page of text in any order, and fill what is missing on it, seeing both sides of every gap.

    python examples/fill_a_page.py [TEXT] [BUDGET]     (by default Python's own help pages, 2 minutes)

The order in which the cells are written is the model's own: what it is surest of comes first. Digits are cells too: see
complete_digits.py.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import semagram
from semagram.lab import recipes
from semagram.layouts import Grid
from semagram.verbs.filled_text import FilledText

GAPS = "The ____ is a list of objects, and the ______ is returned."


def main(
    text: str = "pydocs", budget: str = "2m", gaps: str = GAPS, page: Grid | None = None, out: str = "runs/fill_a_page"
) -> FilledText:
    """Train on pages of the recipe's size (or ``page``'s); fill ``gaps``, and show in which order it was done."""
    experiment = recipes.find("heptapod").experiment
    if page is not None:
        experiment = replace(experiment, layout=page)
    model = semagram.train(text, recipe=experiment, budget=budget, out=out, quiet=True)
    filled = model.fill(gaps)
    print(filled.text)
    for token in sorted(filled.to_json()["tokens"], key=lambda t: t["moment"]):
        if not token["given"]:
            print(f"  step {token['moment']}: {token['text']!r}, probability {token['probability']:.2f}")
    return filled


if __name__ == "__main__":
    main(*sys.argv[1:])
