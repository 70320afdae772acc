"""A sliding window, forwards and backwards, beside full attention and the local-attention package.

    python benchmarks/window.py [--json] [--threads N] [--rounds N] [--cpu]

Window 64, 4 heads of 64 features, batch 1, fp32, on queries, keys and values alone (projections are the same for all).
Seconds at length 8,192 for: ours by blocks, ours as a dense mask, full causal attention through the fused kernel, and
``local-attention`` if it is installed (its window is in blocks: it sees up to 128 slots). Then the peak memory of ours
and of full attention at several lengths, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.rounds import alternate, environment
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, NoPositions, Window
from semagram.mixers.attention_parts.open_scores import Projected

WINDOW, HEADS, HEAD_WIDTH, LENGTH = 64, 4, 64, 8192
LENGTHS = (1024, 2048, 4096, 8192, 16384)


def tensors(length: int) -> list[Tensor]:
    """Queries, keys and values."""
    torch.manual_seed(0)
    return [torch.randn(1, HEADS, length, HEAD_WIDTH, requires_grad=True) for _ in range(3)]


def blocks(length: int) -> Callable[[list[Tensor]], Tensor]:
    """Our window."""
    config = Attention(HEADS, HEAD_WIDTH, positions=NoPositions(), sharpness=None, reach=Window(WINDOW))
    inner = config.build(HEADS * HEAD_WIDTH).open
    geometry = Geometry.of(Sequence(length).positions(), Visibility.CAUSAL)
    x = torch.zeros(1, length, 1)
    return lambda qkv: inner.whole(Projected(qkv[0], qkv[1], qkv[2], qkv[0]), x, geometry)


def full(length: int) -> Callable[[list[Tensor]], Tensor]:
    """Every slot before."""
    return lambda qkv: F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], is_causal=True)


def dense(length: int) -> Callable[[list[Tensor]], Tensor]:
    """The window as a mask."""
    back = torch.arange(length)[:, None] - torch.arange(length)
    mask = (back >= 0) & (back < WINDOW)
    return lambda qkv: F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=mask)


def local(length: int) -> Callable[[list[Tensor]], Tensor] | None:
    """The package, if it is there."""
    try:
        from local_attention import LocalAttention
    except ImportError:
        return None
    module = LocalAttention(dim=HEAD_WIDTH, window_size=WINDOW, causal=True, use_rotary_pos_emb=False)
    return lambda qkv: module(*qkv)


WAYS: dict[str, Callable[[int], Callable[[list[Tensor]], Tensor] | None]] = {
    "blocks": blocks,
    "dense mask": dense,
    "full causal": full,
    "local-attention": local,
}


def runner(way: Callable[[list[Tensor]], Tensor], length: int) -> Callable[[], None]:
    """Forwards and backwards."""
    inputs = tensors(length)
    cotangent = torch.randn(1, HEADS, length, HEAD_WIDTH)

    def run() -> None:
        torch.autograd.grad(way(inputs), inputs, cotangent)

    return run


def peak_memory(name: str, length: int) -> float:
    """MiB that forward and backward add to a fresh process, inputs not counted."""
    # Not getrusage: on Linux a process inherits the peak of the one that started it.
    code = (
        "import re, sys; from pathlib import Path; from benchmarks import window as w; import torch\n"
        f"torch.set_num_threads({torch.get_num_threads()}); n = {length}; way = w.WAYS[{name!r}](n)\n"
        "w.runner(w.WAYS[sys.argv[1]](128), 128)()\n"
        "status = lambda: Path('/proc/self/status').read_text()\n"
        "told = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]) / 1024\n"
        "run = w.runner(way, n); before = told(); run(); print(told() - before)"
    )
    told = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=True)
    return float(told.stdout)


def main() -> None:
    """Print tables, or with ``--json`` one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    clock = time.process_time if given.cpu else time.perf_counter
    ways = {name: way for name, make in WAYS.items() if (way := make(LENGTH)) is not None}
    seconds = alternate({name: runner(way, LENGTH) for name, way in ways.items()}, given.rounds, clock)
    found: dict[str, Any] = {"length": LENGTH, "window": WINDOW, "seconds": {}, "memory": {}}
    for name, times in seconds.items():
        ratios = sorted(t / o for t, o in zip(times, seconds["blocks"], strict=True))
        found["seconds"][name] = {
            "ms": 1e3 * statistics.median(times),
            "over_ours": [ratios[0], statistics.median(ratios), ratios[-1]],
        }
    found["memory"] = {name: {n: peak_memory(name, n) for n in LENGTHS} for name in ("blocks", "full causal")}
    if given.json:
        print(json.dumps({"environment": environment(), "rounds": given.rounds, **found}, indent=2))
        return
    for name, told in found["seconds"].items():
        low, middle, high = told["over_ours"]
        print(f"{name:>16} {told['ms']:>8.1f} ms  {middle:.2f} x ours ({low:.2f} .. {high:.2f})")
    for name, peaks in found["memory"].items():
        print(f"{name:>16} peak MiB: " + ", ".join(f"{n}: {mib:.0f}" for n, mib in peaks.items()))


if __name__ == "__main__":
    main()
