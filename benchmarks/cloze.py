"""Single-letter cloze: one letter hidden, all others known. Who knows it, and how surely?

    python -m benchmarks.cloze BOOK.txt [--runs RUN ...] [--positions 3000] [--seed 0] [--out FOLDER]

The contestants: an n-gram that sees the left side alone, the same n-gram rescored over all candidates with the text
behind (exact: ``verbs/cloze.py``), and any trained runs (left to right by the same rescoring, masked ones by asking).
Positions are drawn from the last tenth of the text; the n-gram is counted on the rest. Told are nats, accuracy and
standard errors.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.rounds import environment
from semagram.predictors import Predictor
from semagram.predictors.ngram import NgramConfig
from semagram.text import Characters, split
from semagram.trained import load
from semagram.verbs.cloze import cloze


def judged(predictor: Predictor, ids: np.ndarray, places: np.ndarray, behind: int) -> dict[str, float]:
    """Mean nats and accuracy over ``places``, with standard errors."""
    nats, right = np.zeros(len(places)), np.zeros(len(places))
    for i, place in enumerate(places.tolist()):
        # Only what is near is read, by every contestant alike.
        start = max(0, place - 512)
        told = cloze(predictor, ids[start : place + 512], place - start, behind=behind)
        nats[i], right[i] = -told[ids[place]], float(told.argmax() == ids[place])
    root = len(places) ** 0.5
    return {
        "nats": float(nats.mean()),
        "nats_error": float(nats.std() / root),
        "accuracy": float(right.mean()),
        "accuracy_error": float(right.std() / root),
    }


def main() -> None:
    """Count, ask, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("book", type=Path)
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--order", type=int, default=6)
    parser.add_argument("--positions", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = options.book.read_text(encoding="utf-8")
    training, held_out = split(text, 0.9)
    tokenizer = Characters().train(text)
    counted = NgramConfig(options.order).fit(tokenizer.encode(training), tokenizer.vocabulary_size)
    ids = tokenizer.encode(held_out)
    random = np.random.default_rng(options.seed)
    places = np.sort(random.choice(len(ids), size=min(options.positions, len(ids)), replace=False))
    told = {
        "n-gram, left side alone": judged(counted, ids, places, behind=0),
        "n-gram, both sides": judged(counted, ids, places, behind=options.order),
    }
    for run in options.runs:
        model = load(run)
        told[str(run)] = judged(model.predictor, model.tokenizer.encode(held_out), places, behind=16)
    for name, row in told.items():
        print(
            f"{name:28} {row['nats']:.4f} +- {row['nats_error']:.4f} nats   "
            f"{100 * row['accuracy']:.1f} +- {100 * row['accuracy_error']:.1f} % right"
        )
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        data = {"environment": environment(), "positions": len(places), "seed": options.seed, "contestants": told}
        (options.out / "cloze.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
