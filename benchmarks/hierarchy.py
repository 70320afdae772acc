"""The hierarchical transformer: speed beside its peer, quality at equal budgets, and a long text in linear memory.

    python -m benchmarks.hierarchy speed   [--threads N] [--rounds 5] [--small] [--json]
    python -m benchmarks.hierarchy quality TEXT [--seeds 5] [--seconds 90] [--out results/hierarchy]
    python -m benchmarks.hierarchy long    [--steps 300] [--lengths 2048 4096 8192 16384]

``speed`` needs the peer, ``pip install simple-hierarchical-transformer==0.4.0``: one training step of the third
example of its README and 64 tokens written behind a prompt of 960, in turn, round after round; ratios within a round.
``ours, alike`` has its sizes everywhere, its wide compressor among them; ``ours`` has our defaults for what the example
leaves open. ``quality`` answers whether levels help: hierarchical against flat transformers, full and windowed, with
paired seeds at equal operations and, apart, at equal CPU time, in coded bits. ``long`` trains three levels on texts in
which a key at the beginning is asked for at the end, and tells peak memory at every length.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.rounds import alternate, environment
from semagram.experiment import Experiment
from semagram.feedforward import MLP
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Hierarchical, Level, Transformer
from semagram.models.hierarchical_compress import Convolve
from semagram.models.summary import summary
from semagram.predictors import CausalPredictor
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

CAUSAL = Visibility.CAUSAL
VOCABULARY, LENGTH, PROMPT = 256, 1024, 960


def third_example(share: int, alike: bool) -> Hierarchical:
    """The third example of the package's README, widths divided by ``share``."""
    given = (
        (1, 1, 128, 2, 16, 2.0, 16),
        (2, 1, 256, 4, 32, 2.0, 32),
        (4, 1, 512, 8, 64, 4.0, 64),
        (16, 8, 1024, 8, 64, 4.0, "full"),
    )
    levels = tuple(
        Level(factor, stride, width // share, heads, max(2, head_width // share), multiple, window)
        for factor, stride, width, heads, head_width, multiple, window in given
    )
    model = Hierarchical(width=1024 // share, depth=8, levels=levels)
    if not alike:
        return model
    hidden = 4 * 1024 // share
    return replace(model, compress=Convolve(hidden), sharpness=None, feedforward=MLP(activation="gelu"), shift=None)


def peer(share: int) -> Any:
    """The package's own."""
    from simple_hierarchical_transformer import HierarchicalTransformer

    return HierarchicalTransformer(
        num_tokens=VOCABULARY,
        dim=tuple(width // share for width in (128, 256, 512, 1024)),
        depth=8,
        seq_len=LENGTH,
        use_flash_attn=True,
        ff_mult=(2, 2, 4, 4),
        dim_head=tuple(max(2, width // share) for width in (16, 32, 64, 64)),
        heads=(2, 4, 8, 8),
        hierarchies=(1, 2, 4, 16),
        hierarchical_stride=(1, 1, 1, 8),
        window_sizes=(16, 32, 64, None),
    )


def training_step(network: Any) -> Callable[[], None]:
    """Forward, loss, backward, AdamW."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    ids, geometry = torch.randint(0, VOCABULARY, (1, LENGTH)), Geometry.of(Sequence(LENGTH).positions(), CAUSAL)

    def step() -> None:
        F.cross_entropy(network(ids, geometry).flatten(0, 1), ids.flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def peer_step(network: Any) -> Callable[[], None]:
    """The same for the package, with its next-token loss alone."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    ids = torch.randint(0, VOCABULARY, (1, LENGTH))

    def step() -> None:
        F.cross_entropy(network(ids).flatten(0, 1), ids.flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def peer_step_with_losses(network: Any) -> Callable[[], None]:
    """The same with the auxiliary losses that the package has on by default."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    ids = torch.randint(1, VOCABULARY, (1, LENGTH + 1))

    def step() -> None:
        network(ids, return_loss=True)[0].backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def writing(network: Any, tokens: int) -> Callable[[], None]:
    """Our verb: the prompt at once, then a step of the state a token."""
    predictor = CausalPredictor(network.eval(), Sequence(LENGTH))
    prompt = [np.zeros(PROMPT, dtype=np.int64)]
    return lambda: generate(predictor, prompt, tokens, Sampling()) and None


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Ratios of seconds, package / ours."""
    torch.set_num_threads(args.threads)
    share, tokens = (8, 8) if args.small else (1, 64)
    build = lambda alike: third_example(share, alike).build(VOCABULARY, Sequence(LENGTH), CAUSAL)  # noqa: E731
    steps = {
        "package": peer_step(peer(share)),
        "package, its auxiliary losses": peer_step_with_losses(peer(share)),
        "ours": training_step(build(False)),
        "ours, alike": training_step(build(True)),
    }
    told: dict[str, Any] = {"environment": environment(), "share": share}
    seconds = alternate(steps, args.rounds)
    told["training step"] = ratios(seconds)
    ours, alike, package = build(False), build(True), peer(share).eval()
    prompt = torch.zeros(1, PROMPT, dtype=torch.int64)
    written = {
        "package": lambda: rewriting(package, prompt, tokens),
        "ours": writing(ours, tokens),
        "ours, alike": writing(alike, tokens),
    }
    told[f"{tokens} tokens behind {PROMPT}"] = ratios(alternate(written, max(1, args.rounds // 2)))
    return told


def rewriting(package: Any, prompt: torch.Tensor, tokens: int) -> None:
    """The package's own way: the whole text again for every token."""
    with torch.no_grad():
        package.generate(prompt, tokens)


def ratios(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Median seconds, and the median and range of package / each within rounds."""
    found: dict[str, Any] = {}
    for name, own in seconds.items():
        per_round = sorted(theirs / mine for theirs, mine in zip(seconds["package"], own, strict=True))
        found[name] = {
            "seconds": statistics.median(own),
            "package / it": statistics.median(per_round),
            "from": per_round[0],
            "to": per_round[-1],
        }
    return found


# Quality.

FLAT_WINDOW = 32


def contestants(seconds: float) -> dict[str, Experiment]:
    """Hierarchical, flat full and flat windowed: as they are (equal CPU time) and with depth or width chosen so that a
    pass costs as many operations as the hierarchy's (equal operations: then all take equal tokens)."""
    from semagram.recipes.hierarchical import EXPERIMENT
    from semagram.training.budget import Budget

    base = replace(EXPERIMENT, training=replace(EXPERIMENT.training, budget=Budget(seconds, "seconds")))
    assert isinstance(base.model, Hierarchical)
    layout = base.layout
    windowed = Hierarchical(width=128, depth=3, levels=(Level(width=128, window=FLAT_WINDOW),))
    models: dict[str, Any] = {
        "hierarchical": base.model,
        "flat full": Transformer(width=128, depth=3),
        "flat windowed": windowed,
    }
    wanted = summary(base.model.build(65, layout, CAUSAL), layout).flops
    for name, make in (
        ("flat full, equal operations", lambda width: Transformer(width=width, depth=3)),
        (
            "flat windowed, equal operations",
            lambda width: replace(windowed, width=width, levels=(Level(width=width, window=FLAT_WINDOW),)),
        ),
    ):
        widths = range(128, 512, 8)
        cost = {w: summary(make(w).build(65, layout, CAUSAL), layout).flops for w in widths}
        models[name] = make(min(widths, key=lambda w: abs(cost[w] - wanted)))
    return {name: replace(base, name=name, model=model) for name, model in models.items()}


ONE = """
import json, sys, time
from pathlib import Path
import torch
import semagram
from semagram.config import from_json
from semagram.experiment import Experiment
from semagram.text import load_text, split
from semagram.training import train

given, source, folder = sys.argv[1:]
experiment = from_json(Experiment, json.loads(given))
text = load_text((source,)).text
result = train(experiment, text, Path(folder))
held_out = split(text, 1 - experiment.training.held_out)[1]
torch.set_num_threads(1)
model = semagram.load(folder)
data = model.compress(held_out)
print(json.dumps({"coded_bits_per_character": 8 * len(data) / len(held_out), "parameters": model.parameters,
                  "tokens": result.tokens, "training_cpu_seconds": result.cpu_seconds}))
"""


def quality(args: argparse.Namespace) -> dict[str, Any]:
    """Coded bits a character of every contestant and seed; the budgets are told apart in the table.

    Equal CPU time: every run trains for ``--seconds``. Equal operations: the hierarchy's own run says how many tokens
    it took; the flat models of equal operations a pass take as many.
    """
    from semagram.config import to_json
    from semagram.training.budget import Budget

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    every, runs = contestants(args.seconds), []
    for seed in range(args.seeds):
        tokens = None
        for name, experiment in every.items():
            if name.endswith("equal operations"):
                assert tokens is not None
                budget = Budget(float(tokens), "tokens")
                experiment = replace(experiment, training=replace(experiment.training, budget=budget))
            experiment = replace(experiment, seed=seed, text=(args.text,))
            folder = out / f"{name.replace(', ', '-').replace(' ', '_')}-{seed}"
            command = [sys.executable, "-c", ONE, json.dumps(to_json(experiment)), args.text, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            run = {"name": name, "seed": seed, **json.loads(done.stdout.strip().splitlines()[-1])}
            tokens = run["tokens"] if name == "hierarchical" else tokens
            runs.append(run)
            print(run, flush=True)
    table = {}
    for name in every:
        bits = [run["coded_bits_per_character"] for run in runs if run["name"] == name]
        first = [run["coded_bits_per_character"] for run in runs if run["name"] == "hierarchical"]
        apart = [a - b for a, b in zip(bits, first, strict=True)]
        spread = statistics.stdev(apart) if len(apart) > 1 else 0.0
        table[name] = {"bits": statistics.mean(bits), "minus hierarchical": statistics.mean(apart), "spread": spread}
    told = {"environment": environment(), "seconds": args.seconds, "runs": runs, "table": table}
    (out / "benchmark.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return table


# Long texts.


def three_levels(width: int = 64) -> Hierarchical:
    """Windows below, one coarse level that sees everything."""
    levels = (
        Level(width=width, window=32),
        Level(factor=8, stride=8, width=width, window=32),
        Level(factor=64, stride=64, width=width, window="full"),
    )
    return Hierarchical(width=width, depth=2, levels=levels)


def key_and_question(batch: int, length: int, seed: int) -> torch.Tensor:
    """A key of 1 .. 8 at the first token, noise, and at the last two a question (0) and the key again."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(9, 17, (batch, length), generator=generator)
    ids[:, 0] = ids[:, -1] = torch.randint(1, 9, (batch,), generator=generator)
    ids[:, -2] = 0
    return ids


LONG = """
import json, sys
from benchmarks.hierarchy import one_length
print(json.dumps(one_length(*map(int, sys.argv[1:]))))
"""


def one_length(length: int, steps: int, threads: int) -> dict[str, Any]:
    """Peak memory of training steps at this length, and the loss of the key (ln 8 = 2.08 without far information)."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network: Any = three_levels().build(17, Sequence(length), CAUSAL)
    geometry = Geometry.of(Sequence(length).positions(), CAUSAL)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    told, began = [], time.perf_counter()
    for step in range(steps):
        ids = key_and_question(2, length, step)
        inputs = torch.cat([torch.full((2, 1), 17), ids[:, :-1]], dim=1)
        logits = network(inputs, geometry)
        # The key is one token of thousands: asked for alone, so that a few hundred steps can show it.
        loss = F.cross_entropy(logits[:, -1], ids[:, -1])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        told.append(float(loss.detach()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "length": length,
        "peak_megabytes": (peak - before) / 1024,
        "loss_of_the_key": statistics.mean(told[-max(1, steps // 10) :]),
        "seconds_a_step": (time.perf_counter() - began) / steps,
    }


def long(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every length in a fresh process; linear memory: megabytes / length is the same for all."""
    told = []
    for length in args.lengths:
        command = [sys.executable, "-c", LONG, str(length), str(args.steps), str(args.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told.append(json.loads(done.stdout.strip().splitlines()[-1]))
        print(told[-1], flush=True)
    return told


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("speed", "quality", "long"):
        command = commands.add_parser(name)
        command.add_argument("--threads", type=int, default=1)
        command.add_argument("--json", action="store_true")
        if name == "speed":
            command.add_argument("--rounds", type=int, default=5)
            command.add_argument("--small", action="store_true", help="an eighth of the widths, 8 tokens: a smoke test")
        if name == "quality":
            command.add_argument("text")
            command.add_argument("--seeds", type=int, default=5)
            command.add_argument("--seconds", type=float, default=90.0)
            command.add_argument("--out", default="results/hierarchy")
        if name == "long":
            command.add_argument("--steps", type=int, default=300)
            command.add_argument("--lengths", type=int, nargs="+", default=[2048, 4096, 8192, 16384])
    args = parser.parse_args()
    told = {"speed": speed, "quality": quality, "long": long}[args.command](args)
    print(json.dumps(told, indent=None if args.json else 2))


if __name__ == "__main__":
    main()
