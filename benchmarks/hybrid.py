"""From cold text to a score: the hybrid recipes over several seeds, each in a fresh process, and their ensemble.

    python -m benchmarks.hybrid TEXT [--recipe hybrid] [--seeds 5] [--code] [--out results/hybrid]

Wall and CPU seconds are the whole process's: Python and its imports, counting, cross-fitting, training, saving, loading
again, scoring all of the held-out text. ``--code``: the first seed's model also compresses the held-out text, and
another process decompresses it. Prints a table and writes ``benchmark.json`` beside the runs.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ONE = """
import json, sys
from dataclasses import replace
from pathlib import Path
import semagram
import torch
from semagram.lab.recipes import find
from semagram.text import load_text, split
from semagram.training import train

name, source, seed, folder = sys.argv[1:]
experiment = replace(find(name).experiment, text=(source,), seed=int(seed))
text = load_text((source,)).text
result = train(experiment, text, Path(folder))
held_out = split(text, 1 - experiment.training.held_out)[1]
# Scored with as many threads as it was trained with: more only wait for each other where networks are this small.
torch.set_num_threads(experiment.training.threads or torch.get_num_threads())
model = semagram.load(folder)
score = model.score(held_out)
print(json.dumps({"seed": int(seed), "nats": score.total_nats / len(held_out), "tokens": result.tokens,
                  "training_cpu_seconds": result.cpu_seconds, "parameters": model.parameters}))
"""
COMPRESS = """
import json, sys
from pathlib import Path
import semagram
from semagram.text import load_text, split

source, folder = sys.argv[1:]
model = semagram.load(folder)
held_out = split(load_text((source,)).text, 1 - model.experiment.training.held_out)[1]
data = model.compress(held_out)
(Path(folder) / "held-out.semagram").write_bytes(data)
print(json.dumps({"coded_bits_per_character": 8 * len(data) / len(held_out)}))
"""
DECOMPRESS = """
import json, sys
from pathlib import Path
import semagram
from semagram.text import load_text, split

source, folder = sys.argv[1:]
model = semagram.load(folder)
held_out = split(load_text((source,)).text, 1 - model.experiment.training.held_out)[1]
assert model.decompress((Path(folder) / "held-out.semagram").read_bytes()) == held_out
print(json.dumps({"decoded": "equal"}))
"""
TOGETHER = """
import json, sys
import semagram
import torch
from semagram.lab.three_ways import three_ways
from semagram.text import load_text, split

source, *folders = sys.argv[1:]
torch.set_num_threads(1)
first = semagram.load(folders[0])
held_out = split(load_text((source,)).text, 1 - first.experiment.training.held_out)[1]
score = semagram.ensemble(*folders).score(held_out) if len(folders) > 1 else first.score(held_out)
ways = three_ways(first, held_out, 0.0)
print(json.dumps({"ensemble_nats": score.total_nats / len(held_out), "ngram_bits": ways and ways.counted}))
"""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a text file")
    parser.add_argument("--recipe", default="hybrid")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--code", action="store_true", help="compress with the first model and decompress again")
    parser.add_argument("--out", type=Path, default=Path("results/hybrid"), help="a folder for the runs")
    asked = parser.parse_args()
    folders = [asked.out / f"{asked.recipe}-{seed}" for seed in range(asked.seeds)]
    runs = []
    for seed, folder in enumerate(folders):
        runs.append(timed(ONE, asked.recipe, asked.text, seed, folder))
        told = "  ".join(f"{key} {value:.4g}" for key, value in runs[-1].items() if key != "nats")
        print(f"nats {runs[-1]['nats']:.4f}  {told}", flush=True)
    together = timed(TOGETHER, asked.text, *folders)
    coded: dict[str, Any] = {}
    if asked.code:
        for what, program in (("compress", COMPRESS), ("decompress", DECOMPRESS)):
            found = timed(program, asked.text, folders[0])
            coded |= {f"{what}_{key}" if "seconds" in key else key: value for key, value in found.items()}
    nats = [run["nats"] for run in runs]
    summary = {
        "recipe": asked.recipe,
        "nats_mean": statistics.mean(nats),
        "nats_spread": statistics.stdev(nats) if len(nats) > 1 else 0.0,
        "ngram_nats": together["ngram_bits"] and together["ngram_bits"] * math.log(2),
        "ensemble_nats": together["ensemble_nats"],
        "wall_seconds_most": max(run["wall_seconds"] for run in runs),
        "cpu_seconds_most": max(run["cpu_seconds"] for run in runs),
        **coded,
    }
    print(json.dumps(summary, indent=2))
    (asked.out / "benchmark.json").write_text(json.dumps({"summary": summary, "runs": runs}, indent=2), "utf-8")


def timed(program: str, *words: object) -> dict[str, Any]:
    """What a fresh process prints, with its wall and CPU seconds."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", program, *map(str, words)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(printed), "wall_seconds": time.perf_counter() - began, "cpu_seconds": cpu}


if __name__ == "__main__":
    main()
