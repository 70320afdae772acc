"""Which parts torch.compile takes in one graph, what it gains and what its first call costs.

    python -m benchmarks.compiled [--all] [--backend eager] [--only Experts Residual] [--training] [--out FILE]

Every member of the unions of mixers, feedforwards and norms, and with ``--all`` every variant of them and every field
value of the residual forms, orders, embeddings and heads that the laws walk, stands in a small transformer; forward and
backward are timed plain and compiled (``fullgraph=True``, backend inductor unless told otherwise). One line a part:
whether it compiles, seconds of the first call, milliseconds a step plain and compiled (the median of ``STEPS``), and
the ratio. Needs a quiet machine; on a laptop's CPU a part takes from five seconds to a minute with inductor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.rounds import environment

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from laws import legal, walk
from laws.cases import Case
from laws.test_options import SLOTS, hosted
from semagram.config import members
from semagram.layouts import Sequence

STEPS, WARMING, BATCH, LENGTH, WIDTH = 15, 3, 16, 64, 64


def parts(variants: bool) -> list[tuple[str, Any]]:
    """Label and model of every part, the baseline first; with their ``variants`` as well, or without."""
    found: list[tuple[str, Any]] = [("baseline", walk.baseline(members(walk_models())[0]))]
    for slot, union in SLOTS.items():
        for kind in members(union):
            found += [(f"{slot}: {kind.__name__}", model) for model in hosted(slot, walk.baseline(kind))]
            for config in legal.EXTRA.get(kind, ()) if variants else ():
                found += [(f"{slot}: {config}", model) for model in hosted(slot, config)]
    if not variants:
        return found
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
    """Print a line a part; rows that ``--out`` has already are not measured again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="variants too")
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--only", nargs="*", default=[""], help="parts whose label holds one of these words")
    parser.add_argument("--training", action="store_true", help="with dropout on")
    parser.add_argument("--out", type=Path, help="also append each row to this file of JSON lines")
    options = parser.parse_args()
    torch.set_num_threads(1)
    had = options.out.read_text().splitlines() if options.out is not None and options.out.exists() else []
    rows = [json.loads(each) for each in had]
    done = {row["part"] for row in rows}
    for label, model in parts(options.all):
        if label in done or not any(word in label for word in options.only):
            continue
        row = {"part": label, **measured(model, options.backend, options.training)}
        rows.append({**row, "backend": options.backend, "batch": BATCH, "length": LENGTH, "width": WIDTH})
        print(line(row), flush=True)
        if options.out is not None:
            with options.out.open("a") as file:
                file.write(json.dumps({**rows[-1], **environment()}) + "\n")
    if not all(row["compiles"] for row in rows):
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
