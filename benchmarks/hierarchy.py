"""The hierarchical transformer: speed beside its peer, quality at equal budgets, and a long text in linear memory.

    python -m benchmarks.hierarchy speed   [--share 1] [--rounds 2] [--losses]
    python -m benchmarks.hierarchy quality TEXT ... [--seeds 5] [--seconds 60] [--out results/hierarchy]
    python -m benchmarks.hierarchy long    [--lengths 2048 4096 8192 16384]

``speed`` needs the peer, ``pip install simple-hierarchical-transformer==0.4.0``: one training step of the third
example of its README (widths divided by ``--share``; at 1 one step of the package is two minutes) and tokens written
behind a prompt of 960, in turn, round after round; ratios within a round, of processor time, one thread.
``ours, alike`` has its sizes everywhere, its wide compressor among them; ``ours`` has our defaults for what the example
leaves open. The optimiser is the same. ``quality``: see ``hierarchy_quality``; ``long``: see ``hierarchy_long``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import hierarchy_long, hierarchy_quality
from benchmarks.rounds import alternate, environment
from semagram.feedforward import MLP
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Hierarchical, Level
from semagram.models.hierarchical_compress import Convolve
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
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    ids, geometry = torch.randint(0, VOCABULARY, (1, LENGTH)), Geometry.of(Sequence(LENGTH).positions(), CAUSAL)

    def step() -> None:
        F.cross_entropy(network(ids, geometry).flatten(0, 1), ids.flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def peer_step(network: Any) -> Callable[[], None]:
    """The same for the package, with its next-token loss alone."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, VOCABULARY, (1, LENGTH))

    def step() -> None:
        F.cross_entropy(network(ids).flatten(0, 1), ids.flatten()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def peer_step_with_losses(network: Any) -> Callable[[], None]:
    """The same with the auxiliary losses that the package has on by default."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
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


WRITTEN = 64
"""Tokens that we write behind the prompt; the package writes ``ITS``: each costs it the same."""
ITS = 2


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Ratios of processor seconds, package / ours."""
    torch.set_num_threads(1)
    share = args.share
    build = lambda alike: third_example(share, alike).build(VOCABULARY, Sequence(LENGTH), CAUSAL)  # noqa: E731
    told: dict[str, Any] = {"environment": environment(), "share": share}
    steps = {"package": peer_step(peer(share))}
    if args.losses:
        steps["package, its auxiliary losses"] = peer_step_with_losses(peer(share))
    steps |= {"ours": training_step(build(False)), "ours, alike": training_step(build(True))}
    told["training step"] = ratios(alternate(steps, args.rounds, time.process_time))
    ours, alike, package = build(False), build(True), peer(share).eval()
    prompt = torch.zeros(1, PROMPT, dtype=torch.int64)
    written = {
        "package": lambda: rewriting(package, prompt, ITS),
        "ours": writing(ours, WRITTEN),
        "ours, alike": writing(alike, WRITTEN),
    }
    seconds = alternate(written, args.rounds, time.process_time)
    a_token = {name: [s / (ITS if name == "package" else WRITTEN) for s in own] for name, own in seconds.items()}
    told[f"a token behind {PROMPT}, our reading of the prompt shared by {WRITTEN}"] = ratios(a_token)
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


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("speed")
    asked.add_argument("--rounds", type=int, default=2)
    asked.add_argument("--share", type=int, default=1, help="divides the widths: 1, 2, 4 or 8")
    asked.add_argument("--losses", action="store_true", help="also the package with its auxiliary losses")
    asked.set_defaults(run=speed)
    hierarchy_quality.add_arguments(commands.add_parser("quality"))
    hierarchy_long.add_arguments(commands.add_parser("long"))
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="on one line")
    args = parser.parse_args()
    print(json.dumps(args.run(args), indent=None if args.json else 2))


if __name__ == "__main__":
    main()
