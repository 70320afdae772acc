"""Do several seeds of a small network train faster together? Stacked parameters through torch.func, beside one by one.

    python -m benchmarks.stacked_seeds [--seeds 3] [--rounds 5] [--json]

A step is the gradient of every seed's own batch: ``vmap(grad(loss))`` over stacked parameters (``functional_call``), or
each seed's ordinary backward pass in turn. Same losses (checked), processor seconds of both, median ratio within a
round. One thread. ``semagram compare`` trains seeds one by one; this says what it would gain.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.rounds import alternate, environment
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Transformer
from semagram.objectives.next_token import shifted

V, LENGTH, BATCH = 65, 128, 8
SIZES = {"width 32, depth 2": (32, 2), "width 64, depth 3": (64, 3), "width 128, depth 3": (128, 3)}


def measured(width: int, depth: int, seeds: int, rounds: int) -> dict[str, Any]:
    """Median processor seconds of a step of all seeds, both ways, and the ratio."""
    layout = Sequence(LENGTH)
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    networks: list[Any] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        networks.append(
            Transformer(width=width, depth=depth, mixer=Attention(heads=4)).build(V, layout, Visibility.CAUSAL)
        )
    ids = torch.randint(V, (seeds, BATCH, LENGTH), generator=torch.Generator().manual_seed(0))
    inputs = torch.stack([shifted(rows, V) for rows in ids])
    parameters, buffers = stack_module_state(networks)

    def loss(own: Any, fixed: Any, rows: Any, targets: Any) -> Any:
        logits = functional_call(networks[0], (own, fixed), (rows, geometry))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def together() -> Any:
        # Our own backward passes of norms and rectifiers do not go with functorch; what compilers get does.
        with warnings.catch_warnings(), patch("torch.compiler.is_compiling", lambda: True):
            warnings.simplefilter("ignore")  # of operations that vmap can only take one by one
            return vmap(grad_and_value(loss))(parameters, buffers, inputs, ids)[1]

    def in_turn() -> Any:
        found = []
        for network, rows, targets in zip(networks, inputs, ids, strict=True):
            network.zero_grad(set_to_none=True)
            value = F.cross_entropy(network(rows, geometry).flatten(0, 1), targets.flatten())
            value.backward()
            found.append(value.detach())
        return torch.stack(found)

    assert torch.allclose(together(), in_turn(), atol=1e-4)
    seconds = alternate({"together": together, "in turn": in_turn}, rounds, time.process_time)
    ratios = [a / b for a, b in zip(seconds["together"], seconds["in turn"], strict=True)]
    medians = {f"{name}, CPU ms": round(1000 * statistics.median(found), 1) for name, found in seconds.items()}
    return {"seeds": seeds, **medians, "together / in turn": round(statistics.median(ratios), 2)}


def main() -> None:
    """A row a size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, (width, depth) in SIZES.items():
        rows.append({"network": name, **measured(width, depth, options.seeds, options.rounds)})
        if not options.json:
            print(rows[-1], flush=True)
    if options.json:
        print(json.dumps({"what": "stacked seeds", "environment": environment(), "results": rows}, indent=2))


if __name__ == "__main__":
    main()
