"""Recall, induction and copying: which mixers can, and which cannot, beside what the literature says before the run.

    python -m benchmarks.tasks [--seeds 3] [--steps 600] [--out FILE] [--json]

One transformer of width 64 and depth 2, and in it full attention, a window shorter than the distance asked for, a
window that reaches, and a short convolution. Every task is judged on 512 sequences not trained on. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

import torch

from benchmarks.rounds import environment
from semagram.lab.tasks import AnyTask, Copy, Induction, Recall, Reverse, SelectiveCopy, solve
from semagram.mixers import Attention, Convolution, Window
from semagram.models import Transformer

TASKS: dict[str, AnyTask] = {
    "recall (MQAR), 8 pairs": Recall(pairs=8, gap=8),
    "recall (MQAR), 4 pairs, distance 48": Recall(pairs=4, gap=48),
    "induction, length 64": Induction(length=64),
    "copy 12 symbols": Copy(size=12),
    "copy 12 symbols, distance 48": Copy(size=12, gap=36),
    "reverse 12 symbols": Reverse(size=12),
    "selective copy 6 of 24": SelectiveCopy(size=6, spread=24),
}


def mixers() -> dict[str, Transformer]:
    """What is compared: alike in everything but the mixer."""

    def model(mixer: Any) -> Transformer:
        return Transformer(width=64, depth=2, mixer=mixer)

    return {
        "full attention": model(Attention()),
        "window 8": model(Attention(reach=Window(8))),
        "window 64": model(Attention(reach=Window(64))),
        "convolution, kernel 4": model(Convolution(kernel=4)),
    }


def main() -> None:
    """A row for each task, mixer and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, help="also append each row to this file of JSON lines")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, task in TASKS.items():
        for mixer, model in mixers().items():
            found = [solve(model, task, options.steps, seed=seed, batch=64) for seed in range(options.seeds)]
            right = [100 * f.accuracy for f in found]
            row = {
                "task": name,
                "mixer": mixer,
                "right %": round(statistics.mean(right), 1),
                "least and most": [round(min(right), 1), round(max(right), 1)],
                "guessing %": round(100 * math.exp(-task.chance), 1),
                "steps": [f.steps for f in found],
                "CPU seconds": round(statistics.mean(f.cpu_seconds for f in found), 1),
                "expected": task.expected,
            }
            rows.append(row)
            if options.out is not None:
                with options.out.open("a") as file:
                    print(json.dumps(row), file=file)
            if not options.json:
                print(
                    f"{name:<38} {mixer:<24} {row['right %']:5.1f} % right  {row['CPU seconds']:6.1f} CPU-s", flush=True
                )
    if options.json:
        print(json.dumps({"what": "tasks", "environment": environment(), "results": rows}, indent=2))


if __name__ == "__main__":
    main()
