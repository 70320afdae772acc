"""Long texts: memory beside length, and a task whose answer lies 8,192 tokens back.

    python -m benchmarks.hierarchy long [--lengths 2048 4096 8192 16384] [--near 400] [--far 120]

*Memory.* Peak of two training steps at every length, each in a fresh process, less that of the process before; linear:
megabytes / length stays the same.

*Recall.* Somewhere in the first half stand four symbols, symbol j one of eight of its own kind; all else is
noise. Exactly ``distance`` tokens later a mark stands and the four are asked for again, in order. Windows of the two
lower levels reach 32 and 256 tokens a layer; what is further away only the top level (elements of 64 tokens, all of
them seen) can carry. Trained for ``--near`` steps on short texts, then for ``--far`` steps at the full length (the
weights do not depend on it). Told, in nats a symbol, on fresh texts at the full length: the whole network; the same
with its top level silenced; and a network that never had one, trained alike. Not knowing is ln 8 = 2.08.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Hierarchical, Level
from semagram.training.optimisers import AdamW

SYMBOLS, KINDS, NOISE = 4, 8, 8
MARK = SYMBOLS * KINDS
VOCABULARY = MARK + 1 + NOISE


def levels(top: bool, width: int = 64) -> Hierarchical:
    """Windows below; with ``top``, one coarse level that sees everything."""
    own = [Level(width=width, window=32), Level(factor=8, stride=8, width=width, window=32)]
    if top:
        own.append(Level(factor=64, stride=64, width=width, window="full"))
    return Hierarchical(width=width, depth=2, levels=tuple(own))


def texts(batch: int, length: int, distance: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ids ``(b, n)`` and the slots ``(b, 4)`` where symbols are asked for."""
    ids = torch.randint(MARK + 1, VOCABULARY, (batch, length), generator=generator)
    first = torch.randint(0, length - distance - SYMBOLS, (batch, 1), generator=generator)
    symbols = torch.randint(0, KINDS, (batch, SYMBOLS), generator=generator) + torch.arange(SYMBOLS) * KINDS
    slots = torch.arange(SYMBOLS) + first
    ids.scatter_(1, slots, symbols)
    ids.scatter_(1, first + distance - 1, MARK)
    return ids.scatter_(1, slots + distance, symbols), slots + distance


def asked(network: Any, ids: Tensor, slots: Tensor, geometry: Geometry) -> Tensor:
    """Nats a symbol."""
    start = torch.full_like(ids[:, :1], VOCABULARY)
    logits = network(torch.cat([start, ids[:, :-1]], dim=1), geometry)
    own = logits.gather(1, slots[:, :, None].expand(-1, -1, VOCABULARY))
    return F.cross_entropy(own.flatten(0, 1), ids.gather(1, slots).flatten())


def line(length: int) -> Geometry:
    """The geometry of a text."""
    return Geometry.of(Sequence(length).positions(), Visibility.CAUSAL)


def learn(
    network: Any, length: int, distance: int, batch: int, steps: int, generator: torch.Generator, rate: float
) -> list[float]:
    """Train; the loss of every step. The rate falls linearly to a tenth."""
    stepper, geometry, told = AdamW(rate=rate).build(network), line(length), []
    for step in range(steps):
        loss = asked(network, *texts(batch, length, distance, generator), geometry)
        loss.backward()
        nn.utils.clip_grad_norm_(list(network.parameters()), 1.0)
        stepper.step(1.0 - 0.9 * step / steps)
        stepper.forget_gradients()
        told.append(float(loss.detach()))
    return told


def judged(network: Any, length: int, distance: int, count: int = 16) -> float:
    """Nats a symbol on fresh texts."""
    generator, geometry = torch.Generator().manual_seed(1_000_003), line(length)
    with torch.no_grad():
        found = [float(asked(network, *texts(2, length, distance, generator), geometry)) for _ in range(count // 2)]
    return sum(found) / len(found)


def silenced(network: Any) -> list[Any]:
    """The elements of the top level are zero wherever others hear of them; the handles give them back."""
    parts = [network.made_norms[-1], *(layer[-1] for layer in network.layers)]
    return [part.register_forward_hook(lambda module, given, out: torch.zeros_like(out)) for part in parts]


def recall(args: argparse.Namespace) -> dict[str, Any]:
    """See the module."""
    told: dict[str, Any] = {"length": args.length, "distance": args.distance}
    for name, top in (("three levels", True), ("two levels", False)):
        torch.manual_seed(args.seed)
        generator = torch.Generator().manual_seed(args.seed)
        network: Any = levels(top).build(VOCABULARY, Sequence(args.length), Visibility.CAUSAL)
        began = time.process_time()
        near = learn(network, 1024, 512, 16, args.near, generator, 3e-3)
        far = learn(network, args.length, args.distance, 2, args.far, generator, 1e-3)
        seconds = time.process_time() - began
        network.eval()
        last = lambda losses: sum(losses[-20:]) / max(1, len(losses[-20:]))  # noqa: E731
        told[name] = {
            "near, last 20 steps": last(near),
            "far, last 20 steps": last(far),
            "fresh texts": judged(network, args.length, args.distance),
            "training cpu seconds": seconds,
        }
        if top:
            handles = silenced(network)
            told[name]["fresh texts, top level silenced"] = judged(network, args.length, args.distance)
            for handle in handles:
                handle.remove()
        print(json.dumps({name: told[name]}), flush=True)
    return told


ONE = """
import json, sys
from benchmarks.hierarchy_long import memory
print(json.dumps(memory(int(sys.argv[1]))))
"""


def memory(length: int) -> dict[str, float]:
    """Peak megabytes of two training steps over what the process held before, in this process."""
    torch.set_num_threads(1)
    network = levels(True).build(VOCABULARY, Sequence(length), Visibility.CAUSAL)
    learn(network, 256, 128, 1, 1, torch.Generator(), 1e-3)  # libraries and optimiser state are there now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learn(network, length, length // 2, 2, 2, torch.Generator(), 1e-3)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"length": length, "peak_megabytes": peak, "kilobytes_a_token": peak * 1024 / (2 * length)}


def long(args: argparse.Namespace) -> dict[str, Any]:
    """The table of memory, and the task."""
    torch.set_num_threads(1)
    table = []
    for length in args.lengths:
        done = subprocess.run([sys.executable, "-c", ONE, str(length)], capture_output=True, text=True, check=True)
        table.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print(json.dumps(table[-1]), flush=True)
    return {"memory": table, "recall": recall(args)}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Of the command line."""
    command.add_argument("--lengths", type=int, nargs="*", default=[2048, 4096, 8192, 16384])
    command.add_argument("--length", type=int, default=16384)
    command.add_argument("--distance", type=int, default=8192)
    command.add_argument("--near", type=int, default=400, help="steps on texts of 1,024 tokens")
    command.add_argument("--far", type=int, default=120, help="steps on texts of the full length")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=long)
