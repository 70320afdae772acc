"""Filling with everything else known: one letter, and gaps of 2 to 10. Who knows them, and how surely?

    python -m benchmarks.cloze BOOK.txt [--seeds 5] [--runs RUN ...] [--positions 3000] [--out FILE.jsonl]

*One letter.* An n-gram that sees the left side alone; the same n-gram rescored over all candidates with the text behind
(exact: ``verbs/cloze.py``); the cloze model (``predictors/cloze.py``: n-gram evidence from both sides under a small
network, fitted on the training text alone); any trained runs. Told are nats, accuracy and standard errors. *Gaps.*
The n-gram's beam of 16 judged by the text behind against the runs that write in any order (``fill``): the share of gaps
and of letters that are as they were.

Positions are drawn from the last tenth of the text, by the seed; what is counted and fitted knows only the rest. The
seed is the cloze model's, too. A line of JSON is appended for each seed; what the file has is not run again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rounds import appended, environment
from semagram.predictors import Predictor
from semagram.predictors.cloze import ClozeConfig
from semagram.predictors.ngram import NgramConfig
from semagram.text import Characters, split
from semagram.trained import load
from semagram.verbs.cloze import cloze
from semagram.verbs.fill import fill
from semagram.verbs.gaps import Gap

AROUND = 512
"""Letters on each side that a contestant is shown at most."""


def judged(log_probs: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Mean nats and accuracy of ``log_probs (m, v)`` for the tokens ``right (m,)``, with standard errors."""
    nats = -log_probs[np.arange(len(right)), right].astype(np.float64)
    hit, root = (log_probs.argmax(axis=1) == right).astype(np.float64), len(right) ** 0.5
    return {
        "nats": float(nats.mean()),
        "nats_error": float(nats.std() / root),
        "accuracy": float(hit.mean()),
        "accuracy_error": float(hit.std() / root),
    }


def one_by_one(predictor: Predictor, ids: np.ndarray, places: np.ndarray, behind: int) -> np.ndarray:
    """``verbs.cloze`` at each place, ``(m, v)``; only what is near is read, by every contestant alike."""
    told = []
    for place in places.tolist():
        start = max(0, place - AROUND)
        told.append(cloze(predictor, ids[start : place + AROUND], place - start, behind=behind))
    return np.stack(told)


def gaps(predictor: Predictor, ids: np.ndarray, lengths: list[int], count: int, seed: int) -> dict[str, Any]:
    """Of ``count`` gaps of each length: the share that is filled as it was, and the share of their letters."""
    whole, letters = {}, {}
    for length in lengths:
        random = np.random.default_rng((seed, length))
        found = []
        for first in random.integers(AROUND, len(ids) - AROUND, size=count).tolist():
            pieces = [ids[first - 128 : first], Gap(length, length), ids[first + length : first + length + 128]]
            written = fill(predictor, pieces).ids[128 : 128 + length]
            found.append(written == ids[first : first + length])
        whole[str(length)] = float(np.mean([f.all() for f in found]))
        letters[str(length)] = float(np.mean(found))
    return {"whole": whole, "letters": letters}


def one_seed(text: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """All contestants at the same places."""
    training, held_out = split(text, 0.9)
    tokenizer = Characters().train(text)
    known, ids, v = tokenizer.encode(training), tokenizer.encode(held_out), tokenizer.vocabulary_size
    known, ids = known.astype(np.int64), ids.astype(np.int64)
    random = np.random.default_rng(seed)
    places = np.sort(random.choice(len(ids), size=min(options.positions, len(ids)), replace=False))
    right = ids[places]
    counted = NgramConfig(options.order).fit(known, v)
    letter = {
        "n-gram, left side alone": judged(one_by_one(counted, ids, places, 0), right),
        "n-gram, both sides": judged(one_by_one(counted, ids, places, options.order), right),
    }
    began = time.process_time()
    model = ClozeConfig(seed=seed).fit(known, v)
    fitted = time.process_time() - began
    letter["cloze model"] = judged(model.log_probs(ids, places), right) | {"fit_cpu_seconds": fitted}
    several = {"n-gram, beam of 16": gaps(counted, ids, options.lengths, options.gaps, seed)}
    for run in options.runs:
        trained = load(run)
        # A run has its own ids: the letters are the same.
        own, told = trained.tokenizer.encode(held_out).astype(np.int64), str(run)
        letter[told] = judged(one_by_one(trained.predictor, own, places, 16), own[places])
        several[told] = gaps(trained.predictor, own, options.lengths, options.gaps, seed)
    return {"letter": letter, "gaps": several, "environment": environment()}


def main() -> None:
    """Count, fit, ask, append; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("book", type=Path)
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--order", type=int, default=6)
    parser.add_argument("--positions", type=int, default=3000)
    parser.add_argument("--gaps", type=int, default=100)
    parser.add_argument("--lengths", type=int, nargs="+", default=[2, 3, 5, 7, 10])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("cloze.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    text, rows = options.book.read_text(encoding="utf-8"), []
    for seed in range(options.seeds):
        key = {"book": options.book.name, "seed": seed, "positions": options.positions, "gap_count": options.gaps}
        key |= {"runs": [str(run) for run in options.runs]}
        rows.append(appended(options.out, key, lambda seed=seed: one_seed(text, options, seed)))
        for name, row in rows[-1]["letter"].items():
            print(
                f"seed {seed}  {name:28} {row['nats']:.4f} +- {row['nats_error']:.4f} nats   "
                f"{100 * row['accuracy']:.1f} +- {100 * row['accuracy_error']:.1f} % right",
                flush=True,
            )
        for name, row in rows[-1]["gaps"].items():
            told = "  ".join(f"{n}: {100 * share:.0f} %" for n, share in row["whole"].items())
            print(f"seed {seed}  {name:28} whole gaps of {told}", flush=True)
    for name in rows[0]["letter"]:
        nats, accuracy = ([row["letter"][name][what] for row in rows] for what in ("nats", "accuracy"))
        print(
            f"{name:36} {statistics.mean(nats):.4f} +- {statistics.pstdev(nats):.4f} nats   "
            f"{100 * statistics.mean(accuracy):.2f} +- {100 * statistics.pstdev(accuracy):.2f} % right"
        )


if __name__ == "__main__":
    main()
