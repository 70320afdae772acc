"""Which parts torch.compile takes in one graph, what it gains and what its first call costs.

    python benchmarks/compiled.py [--json] [--backend eager] [--only Experts,Residual] [--training]

Every member of the unions of mixers, feedforwards and norms, and every field value of the residual forms, orders,
embeddings and heads that the laws walk, stands in a small transformer; forward and backward are timed plain and
compiled (``fullgraph=True``, backend inductor unless told otherwise). One line a part: whether it compiles, seconds of
the first call, milliseconds a step plain and compiled (the median of ``STEPS``), and the ratio. Needs a quiet machine;
on a laptop's CPU a part takes from five seconds to a minute with inductor.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from laws import legal, walk
from laws.cases import Case
from laws.test_options import SLOTS, hosted
from semagram.config import members
from semagram.layouts import Sequence

STEPS, WARMING, BATCH, LENGTH, WIDTH = 15, 3, 32, 16, 64


def parts() -> list[tuple[str, Any]]:
    """Label and model of every part, the baseline first."""
    found: list[tuple[str, Any]] = [("baseline", walk.baseline(members(walk_models())[0]))]
    for slot, union in SLOTS.items():
        for config in (c for kind in members(union) for c in (walk.baseline(kind), *legal.EXTRA.get(kind, ()))):
            found += [(f"{slot}: {config}", model) for model in hosted(slot, config)]
    for slot in ("residual", "layers", "embedding", "head"):
        kind = type(found[0][1])
        for config in legal.CANDIDATES.get((kind, slot), ()):
            found += [(f"{slot}: {config}", model) for model in hosted(slot, config)]
    return found


def walk_models() -> Any:
    """The union of models."""
    from semagram.models import Model

    return Model


def measured(model: Any, backend: str, training: bool) -> dict[str, Any]:
    """How one model fares, plain and compiled."""
    visibility = sorted(legal.model_visibilities(model), key=lambda v: v.name)[0]
    case = Case(walk.replaced(model, "width", WIDTH), Sequence(LENGTH), visibility, 65)
    network = case.network().train(training)
    inputs, geometry = case.inputs(batch=BATCH), case.geometry()

    def step(net: Any) -> float:
        begun = time.perf_counter()
        net(inputs, geometry).square().mean().backward()
        network.zero_grad()
        return time.perf_counter() - begun

    plain = [step(network) for _ in range(WARMING + STEPS)][WARMING:]
    torch._dynamo.reset()
    compiled = torch.compile(network, backend=backend, fullgraph=True)
    try:
        first = step(compiled)
    except Exception as error:  # whatever it is, it is the finding
        return {"compiles": False, "why": f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"}
    fast = [step(compiled) for _ in range(WARMING + STEPS)][WARMING:]
    told = {"plain_ms": 1e3 * statistics.median(plain), "compiled_ms": 1e3 * statistics.median(fast)}
    return {"compiles": True, "first_s": first, **told, "gain": told["plain_ms"] / told["compiled_ms"]}


def main() -> None:
    """Print a line a part, or with ``--json`` one JSON object."""
    torch.set_num_threads(1)
    words = sys.argv[1:]
    backend = words[words.index("--backend") + 1] if "--backend" in words else "inductor"
    only = words[words.index("--only") + 1].split(",") if "--only" in words else [""]
    rows = []
    for label, model in parts():
        if any(word in label for word in only):
            rows.append({"part": label, **measured(model, backend, "--training" in words)})
            if "--json" not in words:
                print(line(rows[-1]), flush=True)
    if "--json" in words:
        about = {"torch": torch.__version__, "backend": backend, "threads": 1, "batch": BATCH, "length": LENGTH}
        print(json.dumps({**about, "width": WIDTH, "parts": rows}, indent=2))
    elif not all(row["compiles"] for row in rows):
        sys.exit(1)


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    if not row["compiles"]:
        return f"NO   {row['part'][:80]}  {row['why']}"
    numbers = (
        f"{row['plain_ms']:8.2f} ms {row['compiled_ms']:8.2f} ms  x{row['gain']:.2f}  first {row['first_s']:6.1f} s"
    )
    return f"yes {numbers}  {row['part'][:80]}"


if __name__ == "__main__":
    main()
