"""Do levels help? Hierarchical against flat networks at equal operations and at equal processor time, in coded bits.

    python -m benchmarks.hierarchy quality TEXT ... [--seeds 5] [--seconds 60] [--out results/hierarchy]

Contestants (context 256, the default recipe's optimiser and schedule): flat with full attention; flat with a window;
2 x compression (an hourglass whose core reads every second slot); boundaries after spaces (SpaceByte's rule). Two
budgets, paired seeds:

* equal processor time: the number of steps that takes ``--seconds`` on one thread. Each contestant's pace is measured
  once for a text, before the runs, over steps of the same schedule, so that all its seeds take equal steps.
* equal operations: as many tokens as cost what the training of flat full cost, counted by ``summary``.

A run is judged on the whole held-out text (``score``, exact bits) and by coding its beginning, which is decoded and
compared. Every run is a line of ``runs.jsonl`` in ``--out``; what is there is not repeated, so a killed benchmark goes
on where it stopped. Runs are taken seed by seed. ``table.json``: percent over flat full, mean and 95 % interval
(Student's t over seeds), and tokens a second beside it. Decided beforehand: 2 x compression passes with at most
+0.5 % at >= 1.35 times the speed of flat full, spaces with nothing lost at >= 1.8 times.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.rounds import environment
from semagram.experiment import Experiment
from semagram.lab.comparison_statistics import mean_over_seeds
from semagram.layouts import Sequence, Visibility
from semagram.models import Hierarchical, Hourglass, Level, Stage, Transformer
from semagram.models.hourglass_back import Repeat, Unfold
from semagram.models.hourglass_boundaries import AfterSpaces, Fixed
from semagram.models.hourglass_pool import Join, Last
from semagram.models.summary import summary
from semagram.recipes.hierarchical import EXPERIMENT
from semagram.text import load_text, split
from semagram.trained import load
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.tokenised import TokenisedText

LENGTH, WINDOW, CODED = 256, 32, 8_000
REFERENCE = "flat full"
PACED = 24
"""Steps over which a pace is measured."""


def models(text: TokenisedText) -> dict[str, Any]:
    """The contestants; which tokens are like spaces depends on the text's vocabulary."""
    tokenizer = text.tokenizer
    spaces = tuple(i for i in range(tokenizer.vocabulary_size) if not tokenizer.decode([i]).isalnum())
    return {
        REFERENCE: Transformer(width=128, depth=3),
        "flat windowed": Hierarchical(width=128, depth=3, levels=(Level(width=128, window=WINDOW),), half_shift=False),
        "2 x": Hourglass(stages=(Stage(Fixed(2), Join(), Unfold(), before=1, after=0, window=WINDOW),), depth=2),
        "spaces": Hourglass(
            stages=(Stage(AfterSpaces(spaces), Last(), Repeat(), before=1, after=0, window=WINDOW),), width=192, depth=2
        ),
    }


def experiment(model: Any, steps: int, seed: int) -> Experiment:
    """The recipe's, with another network and so many steps."""
    training = replace(EXPERIMENT.training, budget=Budget(float(steps), "steps"), evaluate_every=1.0)
    return replace(EXPERIMENT, layout=Sequence(LENGTH), model=model, training=training, seed=seed)


def flops_a_token(model: Any, text: TokenisedText) -> float:
    """Of a forward pass, over 16 batches of the text's beginning: boundaries depend on what is read."""
    layout, rows = Sequence(LENGTH), EXPERIMENT.training.batch
    network = model.build(text.tokenizer.vocabulary_size, layout, Visibility.CAUSAL)
    ids = torch.from_numpy(text.train[: 16 * rows * LENGTH].astype("int64")).view(16, rows, LENGTH)
    return sum(summary(network, layout, batch).flops for batch in ids) / len(ids) / LENGTH


class Rows:
    """The lines of a file, each a finished piece of work; ``get`` makes what is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def get(self, key: dict[str, Any], make: Any) -> dict[str, Any]:
        """The row of this key."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in key.items()):
                return row
        row = {**key, **make()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        return row


def pace(model: Any, text: TokenisedText) -> dict[str, float]:
    """Processor seconds of a step, over both kinds of steps of the schedule; a first run warms up, uncounted."""
    told = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            result = train(experiment(model, PACED, 0), text, Path(folder) / "run", evaluate=lambda _: 1.0)
            told.append(result.cpu_seconds / result.step)
    return {"cpu_seconds_a_step": told[1]}


def one(model: Any, steps: int, seed: int, text: TokenisedText, held_out: str) -> dict[str, Any]:
    """Train, score everything, code the beginning, decode it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        result = train(experiment(model, steps, seed), text, place, evaluate=lambda _: 1.0)
        torch.set_num_threads(1)
        trained = load(place)
        data = trained.compress(held_out[:CODED])
        if trained.decompress(data) != held_out[:CODED]:
            raise RuntimeError("the coded file did not decode to the text")
        nats = trained.score(held_out).nats
    return {
        "steps": result.step,
        "tokens": result.tokens,
        "cpu_seconds": result.cpu_seconds,
        "bits_per_character": float(nats.sum()) / math.log(2) / len(held_out),
        "coded_bits_per_character": 8 * len(data) / len(held_out[:CODED]),
        "parameters": trained.parameters,
    }


def quality(args: argparse.Namespace) -> dict[str, Any]:
    """All texts, seeds, contestants and budgets."""
    torch.set_num_threads(1)
    out = Path(args.out)
    rows, told = Rows(out / "runs.jsonl"), {}
    texts: dict[str, tuple[TokenisedText, str]] = {}
    for source in args.texts:
        whole, share = load_text((source,)).text, EXPERIMENT.training.held_out
        texts[Path(source).stem] = (
            TokenisedText.of(whole, EXPERIMENT.tokenizer, share),
            split(whole, 1 - share)[1],
        )
    for seed in range(args.seeds):
        for name, (text, held_out) in texts.items():
            every = {n: m for n, m in models(text).items() if not args.only or n in (REFERENCE, *args.only)}
            batch = EXPERIMENT.training.batch
            cost = {n: flops_a_token(m, text) for n, m in every.items()}
            paces = {
                n: rows.get({"kind": "pace", "text": name, "contestant": n}, partial(pace, m, text))
                for n, m in every.items()
            }
            for n, model in every.items():
                equal = {"processor time": round(args.seconds / paces[n]["cpu_seconds_a_step"])}
                tokens = round(args.seconds / paces[REFERENCE]["cpu_seconds_a_step"]) * batch * LENGTH
                equal["operations"] = round(tokens * cost[REFERENCE] / cost[n] / (batch * LENGTH))
                if n == REFERENCE:
                    equal = {"both": equal["operations"]}
                for what, steps in equal.items():
                    key = {"kind": "run", "text": name, "contestant": n, "equal": what, "seed": seed}
                    key["seconds"] = args.seconds
                    row = rows.get(key, partial(one, model, steps, seed, text, held_out))
                    row["flops"] = 3 * cost[n] * row["tokens"]
    for name in texts:
        told[name] = table([row for row in rows.rows if row["kind"] == "run" and row["text"] == name])
    result = {"environment": environment(), "seconds": args.seconds, "table": told}
    (out / "table.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of one text: for every contestant and budget, percent over flat full and how fast it trained beside it."""
    first = {row["seed"]: row for row in runs if row["contestant"] == REFERENCE}
    found = []
    for contestant, equal in dict.fromkeys((row["contestant"], row["equal"]) for row in runs):
        own = [r for r in runs if (r["contestant"], r["equal"]) == (contestant, equal) and r["seed"] in first]
        line: dict[str, Any] = {"contestant": contestant, "equal": equal, "seeds": len(own)}
        for name in ("bits_per_character", "coded_bits_per_character"):
            line[name] = sum(r[name] for r in own) / len(own)
            percent = [100 * (r[name] / first[r["seed"]][name] - 1) for r in own]
            over = mean_over_seeds(percent)
            line[f"{name}: percent over {REFERENCE}"] = [over.mean, over.low, over.high]
        speed = [
            r["tokens"] / r["cpu_seconds"] / (first[r["seed"]]["tokens"] / first[r["seed"]]["cpu_seconds"]) for r in own
        ]
        line["tokens a second, times flat full"] = sum(speed) / len(speed)
        line["mean cpu seconds"] = sum(r["cpu_seconds"] for r in own) / len(own)
        found.append(line)
    return found


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Of the command line."""
    command.add_argument("texts", nargs="+")
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--seconds", type=float, default=60.0, help="processor seconds of a run of training")
    command.add_argument("--only", nargs="*", help="contestants, besides flat full")
    command.add_argument("--out", default="results/hierarchy")
    command.set_defaults(run=quality)
