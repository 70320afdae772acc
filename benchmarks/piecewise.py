"""A layer of piecewise polynomials beside high-order-layers-torch and a linear map of as many parameters.

    python benchmarks/piecewise.py [--json] [--rounds 7]

Forward and backward (input gradient too), in turn, round after round in one process, one thread; ratios within a round.
Memory is what autograd keeps between the two passes, in MiB. The peer (``pip install --no-deps
high-order-layers-torch``) is left out where it is not installed. The second table sets the form for codes beside the
dense one: characters as one of 128 segments (an embedding bag) and as two segments of a continuous number.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.rounds import alternate, environment
from semagram.feedforward.basis import Continuous, Discontinuous
from semagram.feedforward.piecewise_linear import PiecewiseLinear

INPUTS, OUTPUTS, BATCH = 250, 250, 256
CODES, PLACES = 128, 16


def peer(kind: str, points: int, segments: int) -> nn.Module | None:
    """Theirs, or None where it is not installed."""
    try:
        from high_order_layers_torch.layers import high_order_fc_layers
    except ImportError:
        return None
    return high_order_fc_layers(kind, n=points, in_features=INPUTS, out_features=OUTPUTS, segments=segments)


def both_passes(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """Forward, backward, gradients forgotten."""
    moving = x.clone().requires_grad_()

    def run() -> None:
        layer(moving).sum().backward()
        moving.grad = None
        for parameter in layer.parameters():
            parameter.grad = None

    return run


def kept_mib(layer: nn.Module, x: Tensor) -> float:
    """What autograd keeps besides the parameters, each storage once."""
    own = {p.untyped_storage().data_ptr() for p in layer.parameters()}
    seen: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = layer(x.clone().requires_grad_())
    found = sum(seen.values()) / 2**20
    del out
    return found


def table(layers: dict[str, nn.Module], x: dict[str, Tensor], rounds: int, against: str) -> list[dict[str, Any]]:
    """Milliseconds (median), ratio to ``against`` (median of the rounds' own), memory and parameters of each."""
    seconds = alternate({name: both_passes(layer, x[name]) for name, layer in layers.items()}, rounds)
    base = seconds[against]
    return [
        {
            "layer": name,
            "parameters": sum(p.numel() for p in layer.parameters()),
            "ms": 1e3 * statistics.median(seconds[name]),
            "ratio": statistics.median(a / b for a, b in zip(seconds[name], base, strict=True)),
            "lowest": min(a / b for a, b in zip(seconds[name], base, strict=True)),
            "highest": max(a / b for a, b in zip(seconds[name], base, strict=True)),
            "kept_mib": kept_mib(layer, x[name]),
        }
        for name, layer in layers.items()
    ]


def dense(rounds: int) -> list[dict[str, Any]]:
    """250 -> 250, three points, two segments."""
    config = Continuous(2, 2)
    layers: dict[str, nn.Module] = {
        "expand": PiecewiseLinear(INPUTS, OUTPUTS, config, form="expand"),
        "recomputed": PiecewiseLinear(INPUTS, OUTPUTS, config, form="recomputed"),
        "bag": PiecewiseLinear(INPUTS, OUTPUTS, config, form="bag"),
        "discontinuous": PiecewiseLinear(INPUTS, OUTPUTS, Discontinuous(2, 2)),
        "linear 1250 -> 250": nn.Linear(5 * INPUTS, OUTPUTS, bias=False),
    }
    for kind in ("continuous", "discontinuous"):
        if (theirs := peer(kind, 3, 2)) is not None:
            layers[f"high-order-layers-torch {kind}"] = theirs
    x = torch.rand(BATCH, INPUTS) * 2 - 1
    wide = torch.randn(BATCH, 5 * INPUTS)
    return table(layers, {name: wide if "linear" in name else x for name in layers}, rounds, "expand")


def codes(rounds: int) -> list[dict[str, Any]]:
    """16 characters -> 250: one of 128 segments each, against two segments."""
    text = torch.randint(0, CODES, (BATCH, PLACES))
    x = (text + 0.5) / CODES * 2 - 1
    layers: dict[str, nn.Module] = {
        "2 segments": PiecewiseLinear(PLACES, OUTPUTS, Continuous(2, 2)),
        "128 segments, bag": PiecewiseLinear(PLACES, OUTPUTS, Continuous(1, CODES), form="bag"),
        "128 segments, dense": PiecewiseLinear(PLACES, OUTPUTS, Continuous(1, CODES), form="expand"),
    }
    return table(layers, dict.fromkeys(layers, x), rounds, "2 segments")


def main() -> None:
    """Print the tables, or with ``--json`` one JSON object."""
    torch.set_num_threads(1)
    words = sys.argv[1:]
    rounds = int(words[words.index("--rounds") + 1]) if "--rounds" in words else 7
    found = {"dense": dense(rounds), "codes": codes(rounds)}
    if "--json" in words:
        print(json.dumps({**environment(), "rounds": rounds, **found}, indent=2))
        return
    for name, rows in found.items():
        print(f"\n{name:<42} {'parameters':>10} {'ms':>9} {'ratio':>8}  {'spread':<16} {'kept MiB':>8}")
        for r in rows:
            spread = f"{r['lowest']:.2f} .. {r['highest']:.2f}"
            print(
                f"{r['layer']:<42} {r['parameters']:>10,} {r['ms']:>9.2f} {r['ratio']:>8.2f}  {spread:<16} "
                f"{r['kept_mib']:>8.2f}"
            )


if __name__ == "__main__":
    main()
