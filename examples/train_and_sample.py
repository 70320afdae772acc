"""Train on a text, let it write, and prove the score with a file that decodes.

python examples/train_and_sample.py [TEXT] [BUDGET]     (by default Python's own help pages, 30 seconds)
"""

from __future__ import annotations

import sys
from pathlib import Path

import semagram
from semagram.lab.texts import named_or_held_out
from semagram.trained import TrainedModel


def main(text: str = "pydocs", budget: str = "30s", out: str = "runs/train_and_sample") -> TrainedModel:
    """Train into ``out``; say what it writes and what the text that it never saw costs."""
    model = semagram.train(text, budget=budget, out=out, quiet=True)
    print(model.generate("", tokens=200, temperature=0.8), "\n")

    held_out = named_or_held_out((), model.experiment)[:5000]
    file = model.compress(held_out)
    again = semagram.load(out).decompress(file)
    print(f"{len(held_out):,} characters that it never saw: {len(file):,} bytes,", end=" ")
    print(f"{8 * len(file) / len(held_out):.3f} bits a character; decoded: {again == held_out}")
    print(f"the report: {Path(out) / 'report.html'}")
    return model


if __name__ == "__main__":
    main(*sys.argv[1:])
