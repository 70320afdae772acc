"""What the training loop costs beside a bare PyTorch loop of the same network, optimiser and batch size.

    python -m benchmarks.framework_tax [--json]

Both loops run in one process and take turns, a step each: a watcher of `train` is called at the end of each step,
takes one bare step, and times it; the time between two calls is the framework's step, with its batches, seeds, log
lines and checks. Alternating so finely gives both the same machine, whatever else runs on it. The unit is
milliseconds a step; the ratio is that of the medians of a round, its spread that of the rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.rounds import environment
from semagram.experiment import Experiment
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.training import SaveEvery, TokenisedText, train
from semagram.training.budget import Budget
from semagram.training.optimisers import AdamW, Muon, Optimiser
from semagram.training.progress import Moment, Silent
from semagram.training.settings import Training

ROUNDS, STEPS, WARMING = 5, 16, 5
CASES: list[tuple[int, int, Optimiser]] = [(64, 16, AdamW()), (64, 16, Muon()), (256, 8, AdamW()), (256, 8, Muon())]


class BareLoop(Silent):
    """The loop that everybody writes, stepped from within the other one."""

    def __init__(self, experiment: Experiment, text: TokenisedText) -> None:
        v = text.tokenizer.vocabulary_size
        self.layout, self.settings = experiment.layout, experiment.training
        self.network = experiment.model.build(v, self.layout, Visibility.CAUSAL)
        self.geometry = Geometry.of(self.layout.positions(), Visibility.CAUSAL)
        self.optimiser = self.settings.optimiser.build(self.network)
        self.ids = torch.from_numpy(text.train.astype("int64"))
        self.first = torch.full((self.settings.batch, 1), v)
        self.bare: list[float] = []
        self.framework: list[float] = []
        self.left_at: float | None = None

    def step(self, moment: Moment) -> None:
        now = time.perf_counter()
        if self.left_at is not None:
            self.framework.append(now - self.left_at)
        self.take()
        self.left_at = time.perf_counter()
        self.bare.append(self.left_at - now)

    def take(self) -> None:
        n, b = self.layout.count, self.settings.batch
        starts = torch.randint(len(self.ids) - n + 1, (b,)).tolist()
        targets = torch.stack([self.ids[s : s + n] for s in starts])
        inputs = torch.cat([self.first, targets[:, :-1]], dim=1)
        logits = self.network(inputs, self.geometry)
        loss = F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step(1.0)
        for parameter in self.network.parameters():
            parameter.grad = None
        loss.item()


def measure(length: int, batch: int, optimiser: Optimiser) -> dict[str, float | int | str]:
    """Milliseconds a step of both loops, and their ratio, over ``ROUNDS`` rounds."""
    total = WARMING + ROUNDS * STEPS + 1
    settings = Training(
        budget=Budget(total, "steps"),
        batch=batch,
        optimiser=optimiser,
        evaluate_every=1.0,
        threads=torch.get_num_threads(),
    )
    experiment = Experiment(layout=Sequence(length), training=settings)
    words = "".join(chr(97 + (i * i + i // 7) % 26) for i in range(200_000))
    text = TokenisedText.of(words, experiment.tokenizer, 0.1)
    bare = BareLoop(experiment, text)
    with tempfile.TemporaryDirectory() as folder:
        train(
            experiment,
            text,
            Path(folder) / "run",
            watch=bare,
            evaluate=lambda network: 0.0,
            save=SaveEvery(seconds=None),
        )
    ours, theirs = bare.framework[WARMING:], bare.bare[WARMING : WARMING + ROUNDS * STEPS]
    rounds = [slice(i * STEPS, (i + 1) * STEPS) for i in range(ROUNDS)]
    ratios = sorted(statistics.median(ours[r]) / statistics.median(theirs[r]) for r in rounds)
    return {
        "length": length,
        "batch": batch,
        "optimiser": type(optimiser).__name__,
        "bare_ms": 1e3 * statistics.median(theirs),
        "framework_ms": 1e3 * statistics.median(ours),
        "ratio": statistics.median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
    }


def main() -> None:
    """Print a table, or with ``--json`` one JSON object."""
    torch.set_num_threads(1)
    found = [measure(*case) for case in CASES]
    if "--json" in sys.argv[1:]:
        about = {"what": "framework tax", "rounds": ROUNDS, "steps_a_round": STEPS, "environment": environment()}
        print(json.dumps({**about, "results": found}, indent=2))
        return
    print(f"{'context':>7} {'batch':>5} {'optimiser':>9} {'bare ms':>9} {'ours ms':>9} {'ratio':>6}  spread")
    for c in found:
        print(
            f"{c['length']:>7} {c['batch']:>5} {c['optimiser']:>9} {c['bare_ms']:>9.2f} {c['framework_ms']:>9.2f} "
            f"{c['ratio']:>6.3f}  {c['lowest']:.3f} .. {c['highest']:.3f}"
        )


if __name__ == "__main__":
    main()
