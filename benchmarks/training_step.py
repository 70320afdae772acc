"""A training step (forward, backward, fused AdamW) beside x-transformers and the plainest GPT there is.

    python benchmarks/training_step.py [--json] [--threads N] [--rounds N] [--size b|c] [--cpu]

Sizes: b = width 256, depth 6, heads 4 x 64, context 256, batch 16; c = 512, 6, 8 x 64, 512, 4; vocabulary 65. Three
networks of the same shape take turns, round after round, in one process:

- ours: the default transformer (squared ReLU, RMS norms without gains, rotary, cosine attention, token shift)
- plain: ours without what the peer lacks (no token shift, no logit cap, plain products, GELU)
- x-transformers: its decoder with flash attention and rotary positions, no absolute ones
- minimal GPT: LayerNorm, learned positions, GELU, biases, torch's fused attention, written out below

The ratio is the peer's seconds over ours within a round; its median and its range over the rounds are told. The GEMM
peak is measured in the same run, so that "share of peak" is about this machine on this day. With ``--cpu`` the clock is
the process's own processor time: with one thread that survives a machine which others use too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.rounds import alternate, environment
from semagram.feedforward import MLP
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Transformer

VOCABULARY = 65


@dataclass(frozen=True)
class Size:
    """The shape of all networks."""

    width: int
    depth: int
    heads: int
    length: int
    batch: int

    @property
    def products(self) -> float:
        """Floating-point operations of a step's matrix products, causal attention counted by what it needs."""
        weights = 12 * self.width**2 * self.depth + self.width * VOCABULARY
        attention = self.depth * self.length * self.width  # half of 2 n d for scores and values together
        return 6.0 * self.batch * self.length * (weights + attention)


SIZES = {"b": Size(256, 6, 4, 256, 16), "c": Size(512, 6, 8, 512, 4)}


class MinimalGPT(nn.Module):
    """What one writes down in ten minutes: pre-norm blocks with biases, learned positions, tied head."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        d = size.width
        self.heads = size.heads
        self.tokens, self.places = nn.Embedding(VOCABULARY, d), nn.Embedding(size.length, d)
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [
                    *(nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)),
                    *(nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)),
                ]
            )
            for _ in range(size.depth)
        )
        self.norm = nn.LayerNorm(d)

    def forward(self, ids: Tensor) -> Tensor:
        """``(b, n) -> (b, n, v)``."""
        x = self.tokens(ids) + self.places.weight[: ids.shape[1]]
        for norm, inward, outward, second, up, down in self.blocks:  # type: ignore[misc]
            q, k, v = inward(norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + outward(mixed.transpose(1, 2).flatten(2))
            x = x + down(F.gelu(up(second(x))))
        return F.linear(self.norm(x), self.tokens.weight)


def contestants(size: Size) -> dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]]:
    """Each network and how it is asked for logits."""
    layout = Sequence(size.length)
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    shape: dict[str, Any] = {"width": size.width, "depth": size.depth}
    mixer = Attention(heads=size.heads)
    plain_mixer = Attention(heads=size.heads, sharpness=None)
    configs = {
        "ours": Transformer(**shape, mixer=mixer),
        "plain": Transformer(
            **shape, mixer=plain_mixer, feedforward=MLP(activation="gelu"), shift=None, logit_cap=None
        ),
    }
    found: dict[str, tuple[nn.Module, Callable[[Tensor], Tensor]]] = {}
    for name, config in configs.items():
        network = config.build(VOCABULARY, layout, Visibility.CAUSAL)
        found[name] = (network, lambda ids, n=network: n(ids, geometry))
    found["minimal GPT"] = (gpt := MinimalGPT(size), gpt)
    try:
        from x_transformers import Decoder, TransformerWrapper
    except ImportError:
        print("x-transformers is not installed: it is left out")
        return found
    decoder = Decoder(
        dim=size.width, depth=size.depth, heads=size.heads, attn_dim_head=size.width // size.heads,
        attn_flash=True, rotary_pos_emb=True,
    )  # fmt: skip
    peer = TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=size.length, attn_layers=decoder, use_abs_pos_emb=False
    )
    found["x-transformers"] = (peer, peer)
    return found


def stepper(network: nn.Module, logits: Callable[[Tensor], Tensor], size: Size) -> Callable[[], None]:
    """One training step on random ids."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    ids = torch.randint(VOCABULARY, (size.batch, size.length + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].reshape(-1)

    def step() -> None:
        loss = F.cross_entropy(logits(inputs).reshape(-1, VOCABULARY), targets)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def peak(width: int, rows: int, clock: Callable[[], float]) -> float:
    """GFLOP/s of the products that the layers make, the best of several."""
    a, b = torch.randn(rows, width), torch.randn(width, 4 * width)
    best = 0.0
    for _ in range(10):
        began = clock()
        torch.mm(a, b)
        best = max(best, 2.0 * rows * width * 4 * width / (clock() - began) / 1e9)
    return best


def measure(name: str, size: Size, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Seconds and ratios of a size."""
    torch.manual_seed(0)
    runs = {who: stepper(network, ask, size) for who, (network, ask) in contestants(size).items()}
    seconds = alternate(runs, rounds, clock)
    reached = peak(size.width, size.batch * size.length, clock)
    told: dict[str, Any] = {"size": name, **asdict(size), "peak_gflops": reached, "contestants": {}}
    for who, times in seconds.items():
        against_ours = sorted(t / o for t, o in zip(times, seconds["ours"], strict=True))
        against_plain = sorted(t / o for t, o in zip(times, seconds["plain"], strict=True))
        median = statistics.median(times)
        told["contestants"][who] = {
            "ms": 1e3 * median,
            "share_of_peak": size.products / median / 1e9 / reached,
            "over_ours": [against_ours[0], statistics.median(against_ours), against_ours[-1]],
            "over_plain": [against_plain[0], statistics.median(against_plain), against_plain[-1]],
        }
    return told


def main() -> None:
    """Print a table, or with ``--json`` one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--size", choices=sorted(SIZES), action="append")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    clock = time.process_time if given.cpu else time.perf_counter
    found = [measure(name, SIZES[name], given.rounds, clock) for name in given.size or sorted(SIZES)]
    if given.json:
        print(json.dumps({"environment": environment(), "rounds": given.rounds, "sizes": found}, indent=2))
        return
    for size in found:
        print(f"size {size['size']}: width {size['width']}, context {size['length']}, peak {size['peak_gflops']:.0f}")
        for who, told in size["contestants"].items():
            low, middle, high = told["over_ours"]
            print(
                f"  {who:>15} {told['ms']:>9.1f} ms  {100 * told['share_of_peak']:>4.0f} % of peak  "
                f"{middle:.2f} x ours ({low:.2f} .. {high:.2f}), {told['over_plain'][1]:.2f} x plain"
            )


if __name__ == "__main__":
    main()
