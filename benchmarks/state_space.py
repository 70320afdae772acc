"""State spaces beside a transformer of as many parameters, and beside mambapy: a training step, and one more token.

    python benchmarks/state_space.py [--json] [--rounds 5] [--peer]

Width 256, depth 4, length 256, batch 4, one thread, in turn in one process; ratios are those of a round to the
transformer's. Each step is forward, loss, backward and AdamW. The contestants differ in the mixer, and in their
feedforwards so that all have about as many parameters. ``--peer`` adds mambapy (``pip install --no-deps mambapy``), its
blocks between an embedding and a head; it takes seconds a step. Generation: milliseconds a token at the beginning and
at the end of a canvas of 1,024.

    python benchmarks/state_space.py --memory

tells the most memory that one training step of the seed's own Mamba command takes (width 64, 5 layers, N = 32, batch
1024 of 16 characters, quadratic functions on two segments on every link of the projections, which needs 119 GB there):
in a process of its own, less what it held before the step, with the batch whole and in four parts. The goal is 2 GB.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rounds import alternate, environment
from semagram.feedforward import MLP, Piecewise
from semagram.feedforward.basis import Continuous
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, SelectiveScan, StateSpace
from semagram.models import Transformer
from semagram.training.optimisers import AdamW

V, WIDTH, DEPTH, LENGTH, BATCH = 65, 256, 4, 256, 4
CANVAS = 1024


class Peer(nn.Module):
    """mambapy's stack between an embedding and a head."""

    def __init__(self) -> None:
        super().__init__()
        from mambapy.mamba import Mamba, MambaConfig

        self.embedding = nn.Embedding(V + 1, WIDTH)
        self.stack = Mamba(MambaConfig(d_model=WIDTH, n_layers=DEPTH))
        self.head = nn.Linear(WIDTH, V, bias=False)

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        return self.head(self.stack(self.embedding(inputs)))


def contestants(peer: bool) -> dict[str, nn.Module]:
    """Of nearly equal size; the multiples of the feedforwards make up for what the mixers hold."""
    configs = {
        "transformer": Transformer(width=WIDTH, depth=DEPTH, mixer=Attention(heads=4), feedforward=MLP(multiple=4.0)),
        "Mamba-2": Transformer(
            width=WIDTH, depth=DEPTH, mixer=StateSpace(heads=8, state=32), feedforward=MLP(multiple=2.7)
        ),
        "Mamba-1": Transformer(width=WIDTH, depth=DEPTH, mixer=SelectiveScan(state=16), feedforward=MLP(multiple=2.7)),
    }
    layout = Sequence(CANVAS)
    found: dict[str, nn.Module] = {n: c.build(V, layout, Visibility.CAUSAL) for n, c in configs.items()}
    return {**found, "mambapy": Peer()} if peer else found


def training_step(network: nn.Module) -> Callable[[], None]:
    """One step on random ids."""
    geometry = Geometry.of(Sequence(LENGTH).positions(), Visibility.CAUSAL)
    stepper = AdamW().build(network)
    inputs, targets = torch.randint(0, V, (BATCH, LENGTH)), torch.randint(0, V, (BATCH * LENGTH,))

    def run() -> None:
        F.cross_entropy(network(inputs, geometry).flatten(0, 1), targets).backward()
        stepper.step(1.0)
        stepper.forget_gradients()

    return run


def milliseconds_a_token(network: Any, tokens: int = 64) -> tuple[float, float]:
    """Over the first and the last ``tokens`` of a canvas, batch 1."""
    geometry = Geometry.of(Sequence(CANVAS).positions(), Visibility.CAUSAL)
    state = network.eval().new_state(1, geometry)
    told = []
    with torch.no_grad():
        for first in (True, False):
            if not first:
                network.step(torch.zeros(1, CANVAS - 2 * tokens - 1, dtype=torch.int64), state)
            seconds = []
            for _ in range(tokens):
                began = time.perf_counter()
                network.step(torch.zeros(1, 1, dtype=torch.int64), state)
                seconds.append(time.perf_counter() - began)
            told.append(1e3 * statistics.median(seconds))
    return told[0], told[1]


def seed_command(parts: int) -> float:
    """GB that a training step of the seed's Mamba command takes, by the kernel's count, in ``parts`` parts."""
    links = Continuous(2, 2)
    config = Transformer(width=64, depth=5, mixer=SelectiveScan(state=32, links=links), feedforward=Piecewise(links))
    network = config.build(128, Sequence(16), Visibility.CAUSAL)
    geometry, stepper = Geometry.of(Sequence(16).positions(), Visibility.CAUSAL), AdamW().build(network)
    inputs, targets = torch.randint(0, 128, (1024, 16)), torch.randint(0, 128, (1024, 16))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for part, wanted in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
        (F.cross_entropy(network(part, geometry).flatten(0, 1), wanted.flatten()) / parts).backward()
    stepper.step(1.0)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9


def memory() -> list[dict[str, float]]:
    """Each in a process of its own, since the kernel counts the most that a process ever held."""
    rows = []
    for parts in (1, 4):
        code = f"from benchmarks.state_space import seed_command; print(seed_command({parts}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        rows.append({"parts": parts, "gigabytes": float(done.stdout)})
    return rows


def main() -> None:
    """Print a table, or with ``--json`` one JSON object."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    words = sys.argv[1:]
    if "--memory" in words:
        print(json.dumps({**environment(), "memory": memory()}, indent=2))
        return
    rounds = int(words[words.index("--rounds") + 1]) if "--rounds" in words else 5
    networks = contestants("--peer" in words)
    seconds = alternate({name: training_step(network) for name, network in networks.items()}, rounds)
    rows = []
    for name, network in networks.items():
        ratios = [a / b for a, b in zip(seconds[name], seconds["transformer"], strict=True)]
        early, late = milliseconds_a_token(network) if name != "mambapy" else (float("nan"), float("nan"))
        rows.append(
            {
                "network": name,
                "parameters": sum(p.numel() for p in network.parameters()),
                "step_ms": 1e3 * statistics.median(seconds[name]),
                "ratio": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
                "token_ms_early": early,
                "token_ms_late": late,
            }
        )
    if "--json" in words:
        print(json.dumps({**environment(), "rounds": rounds, "networks": rows}, indent=2))
        return
    print(f"{'network':<12} {'parameters':>10} {'step ms':>9} {'ratio':>6}  {'spread':<14} {'early':>7} {'late':>7}")
    for r in rows:
        spread = f"{r['lowest']:.2f} .. {r['highest']:.2f}"
        print(
            f"{r['network']:<12} {r['parameters']:>10,} {r['step_ms']:>9.1f} {r['ratio']:>6.2f}  {spread:<14} "
            f"{r['token_ms_early']:>7.3f} {r['token_ms_late']:>7.3f}"
        )


if __name__ == "__main__":
    main()
