"""What each of two processes does in ``test_processes.py``: ``python two_processes.py FOLDER``, once a process."""

import os
import signal
import sys
from pathlib import Path

import torch

from semagram.cli import main
from semagram.training import train
from semagram.training.optimisers import AdamW, Muon
from semagram.training.strategies import Replicated, Sharded
from training.tiny_runs import At, experiment, page_experiment, words

# Without dropout, whose numbers are each process's own; scored once, since scores are tested elsewhere.
ONCE = {"dropout": 0.0, "evaluate_every": 1.0}
RUNS = {
    "replicated": experiment(steps=50, optimiser=AdamW(rate=1e-2), strategy=Replicated(), **ONCE),
    "sharded": experiment(steps=50, optimiser=AdamW(rate=1e-2), strategy=Sharded(), **ONCE),
    "muon": experiment(steps=6, optimiser=Muon(), strategy=Sharded(reshard=False), recompute=True, **ONCE),
    "page": page_experiment(steps=6, optimiser=Muon(weight_decay=0.1), accumulate=2, strategy=Sharded(), **ONCE),
}
RECIPE = """
from semagram.training.strategies import Sharded
from training.tiny_runs import experiment
EXPERIMENT = experiment(steps=4, evaluate_every=1.0, strategy=Sharded(), devices=2)
"""


def of_one(name):
    """The same experiment for one process."""
    from dataclasses import replace

    e = RUNS[name]
    return replace(e, training=replace(e.training, strategy=Replicated(), recompute=False))


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    for name, e in RUNS.items():
        train(e, words(), out / name)
    stop = At(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert train(RUNS["muon"], words(), out / "stopped", watch=stop).interrupted
    assert train(RUNS["muon"], words(), out / "stopped", resume=True).step == 6
    assert main(["train", str(out / "text.txt"), "--recipe", str(out / "r.py"), "--out", str(out / "cli")]) == 0
