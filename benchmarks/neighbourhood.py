"""Neighbourhood attention on a page: what it costs as the page grows, beside dense attention and the seed's package.

    python -m benchmarks.neighbourhood [--rounds 5] [--sides 32 64 96 128] [--dense-most 128] [--peer FOLDER]
        [--out FOLDER]

Forwards and backwards, one thread, contestants in turn. ``exponent`` is the slope of log time over log cells between
the smallest and the largest page: 1 is linear. The peer (``nonlinear-transformer``, installed into FOLDER) is asked
for its own function (a window of 3 x 3, no projections); ours computes the same one, and the outputs are compared
first.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.rounds import alternate, environment
from semagram.layouts import Grid, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers.tiles import Tiling, tiled_attention
from semagram.mixers.windows import Window, visible

HEADS, WIDTH, SIZES = 4, 64, (3, 7)


def contestants(side: int, size: int, dense_most: int) -> dict[str, Callable[[], None]]:
    """Both ways on one page."""
    window = Window((size, size), 1, (False, False), True)
    geometry = Geometry.of(Grid(side, side).positions(), Visibility.FULL)
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, side * side, HEADS, WIDTH, requires_grad=True) for _ in range(3))
    tiling = Tiling.of(geometry, window, q.dtype)

    def tiles() -> None:
        tiled_attention(q, k, v, tiling, WIDTH**-0.5).sum().backward()

    found = {"tiles": tiles}
    if side <= dense_most:
        mask = visible(geometry, window)

        def dense() -> None:
            turned = [t.transpose(1, 2) for t in (q, k, v)]
            F.scaled_dot_product_attention(*turned, attn_mask=mask).sum().backward()

        found["dense mask"] = dense
    return found


def exponent(seconds: dict[int, float]) -> float:
    """Slope of log seconds over log cells."""
    small, large = min(seconds), max(seconds)
    return math.log(seconds[large] / seconds[small]) / math.log((large / small) ** 2)


def ours_as_the_peer(x: Tensor, tiling: Tiling) -> Tensor:
    """The peer's attention: the input itself is query, key and value, one head, scale 1 / sqrt(d)."""
    flat = x.flatten(1, 2)[:, :, None]
    return tiled_attention(flat, flat, flat, tiling, x.shape[-1] ** -0.5).view_as(x)


def peer(folder: Path, sides: list[int], rounds: int) -> dict[str, object]:
    """The peer's local attention and ours, the same function: difference of outputs, medians of seconds."""
    sys.path.insert(0, str(folder))
    from heptapod.model import Local2DAttention  # type: ignore[import-not-found]

    told: dict[str, object] = {}
    for side in sides:
        torch.manual_seed(0)
        x = torch.randn(1, side, side, 128, requires_grad=True)
        theirs = Local2DAttention(128, window_size=1)
        geometry = Geometry.of(Grid(side, side).positions(), Visibility.FULL)
        tiling = Tiling.of(geometry, Window((3, 3), 1, (False, False), False), x.dtype)
        with torch.no_grad():
            difference = float((theirs(x) - ours_as_the_peer(x, tiling)).abs().max())
        both = {
            "peer": lambda x=x, a=theirs: a(x).sum().backward(),
            "ours": lambda x=x, t=tiling: ours_as_the_peer(x, t).sum().backward(),
        }
        seconds = {name: statistics.median(s) for name, s in alternate(both, rounds, time.process_time).items()}
        told[str(side)] = {"difference": difference, **seconds, "ratio": seconds["peer"] / seconds["ours"]}
    return told


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 96, 128])
    parser.add_argument("--dense-most", type=int, default=128, help="largest page of dense attention (2 GB at 128)")
    parser.add_argument("--peer", type=Path, default=None)
    parser.add_argument("--peer-sides", type=int, nargs="+", default=[10, 20, 32])
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    told: dict[str, object] = {"environment": environment()}
    for size in SIZES:
        seconds: dict[str, dict[int, float]] = {}
        for side in options.sides:
            for name, rounds in alternate(
                contestants(side, size, options.dense_most), options.rounds, time.process_time
            ).items():
                seconds.setdefault(name, {})[side] = statistics.median(rounds)
                print(f"window {size}  page {side:4}  {name:10}  {1000 * seconds[name][side]:9.1f} ms", flush=True)
        slopes = {name: exponent(by_side) for name, by_side in seconds.items() if len(by_side) > 1}
        print(f"window {size}  exponents {', '.join(f'{n} {s:.2f}' for n, s in slopes.items())}")
        ratios = {side: dense / seconds["tiles"][side] for side, dense in seconds.get("dense mask", {}).items()}
        print(f"window {size}  dense over tiles {', '.join(f'{side}: {ratio:.1f}' for side, ratio in ratios.items())}")
        told[f"window {size}"] = {"seconds": seconds, "exponents": slopes, "dense over tiles": ratios}
    if options.peer is not None:
        told["peer"] = peer(options.peer, options.peer_sides, min(options.rounds, 3))
        print(json.dumps(told["peer"], indent=1))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "neighbourhood.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
