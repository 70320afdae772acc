"""State spaces beside a transformer of as many parameters, and beside mambapy: a training step, and one more token.

    python benchmarks/state_space.py [--json] [--rounds 5] [--peer]

Width 256, depth 4, length 256, batch 4, one thread, in turn in one process; ratios are those of a round to the
transformer's. Each step is forward, loss, backward and AdamW. The contestants differ in the mixer, and in their
feedforwards so that all have about as many parameters. ``--peer`` adds mambapy (``pip install --no-deps mambapy``), its
blocks between an embedding and a head; it takes seconds a step. Generation: milliseconds a token at the beginning and
at the end of a canvas of 1,024.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rounds import alternate, environment
from semagram.feedforward import MLP
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


def main() -> None:
    """Print a table, or with ``--json`` one JSON object."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    words = sys.argv[1:]
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
