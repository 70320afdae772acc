"""One checkpoint, every order: what a text costs in each, and how fast and how well a page is written.

    python -m benchmarks.any_order [--text tinyshakespeare] [--cpu-seconds 300] [--seeds 5] [--share 0] [--out FILE]

Two networks with the same trunk and as many parameters are trained for the same CPU time on the same text, on pages of
16 x 16: the *page* (FULL, ``Masked``; with ``--share`` that share of its batches asked in lines, ``Coherent``) and its
*left-to-right twin* (CAUSAL, ``NextToken``). Told of the page, on held-out text:

- the any-order bound with its standard error, and its ratio to the twin's nats;
- coded bits a letter left to right, right to left, at random and along a spiral, one letter a step (the nats of exactly
  the canvases that ``compress`` codes, as bits);
- pages written from nothing at 1, 2, 4 and 8 letters a forward pass (drawn at temperature 1), and with remasking
  (the most doubtful fifth written again): what they cost under a *frozen judge* that is neither, an n-gram of
  order 6 of the training text from left to right, beside what held-out text costs under it.

A line of JSON is appended for each seed; what the file has is not run again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rounds import appended, environment
from semagram.layouts import Grid, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Neighbourhood
from semagram.models import Page, Whole
from semagram.objectives import Coherent, Masked, NextToken, weighted_nats
from semagram.predictors import AnyOrderPredictor, RankByRank, Unmasking, predictor_of
from semagram.predictors.ngram import NgramConfig
from semagram.text import Characters, load_text, split
from semagram.training.optimisers import Muon
from semagram.verbs.bound import bound
from semagram.verbs.fill import Rewriting, fill
from semagram.verbs.gaps import Gap
from semagram.verbs.sampling import Sampling
from semagram.verbs.score import score

SIDE, BATCH = 16, 8
SPIRAL = Grid(SIDE, SIDE, scan="spiral")
ORDERS = {
    "left to right": (Grid(SIDE, SIDE), Unmasking(choice="left_to_right")),
    "right to left": (Grid(SIDE, SIDE), Unmasking(choice="right_to_left")),
    "random": (Grid(SIDE, SIDE), Unmasking(choice="random")),
    "spiral": (SPIRAL, Unmasking(choice="ranks")),
}
CELLS = (1, 2, 4, 8)


def network(v: int, visibility: Visibility, seed: int) -> Any:
    """The trunk of both contestants: the recipe ``heptapod``'s."""
    torch.manual_seed(seed)
    local = Neighbourhood(heads=4, rows=5, columns=9)
    return Page(width=128, depth=3, local=local, whole=Whole(Attention(heads=4), every=3)).build(
        v, Grid(SIDE, SIDE), visibility
    )


def trained(net: Any, objective: Any, ids: np.ndarray, seconds: float, seed: int) -> dict[str, float]:
    """Train in place for so many CPU seconds on random pages of the text."""
    geometry = Geometry.of(Grid(SIDE, SIDE).positions(), objective.visibility)
    stepper = Muon(rate=0.02, head_rate=0.004, adam_rate=0.01).build(net)
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    text, used, steps = torch.from_numpy(ids), 0.0, 0
    while used < seconds:
        began = time.process_time()
        starts = torch.from_numpy(random.integers(len(ids) - SIDE**2, size=BATCH))
        example = objective.example(
            text[starts[:, None] + torch.arange(SIDE**2)], geometry, net.vocabulary_size, generator
        )
        weighted_nats(net(example.inputs, geometry), example).backward()
        stepper.step(1.0 - used / seconds)
        stepper.forget_gradients()
        used, steps = used + time.process_time() - began, steps + 1
    net.eval()
    return {"steps": steps, "parameters": sum(p.numel() for p in net.parameters())}


def pages_written(net: Any, cells: int, rewriting: Rewriting | None, count: int, seed: int) -> list[np.ndarray]:
    """Pages from nothing, ``cells`` letters a forward pass, drawn at temperature 1."""
    predictor = predictor_of(net, Grid(SIDE, SIDE), Unmasking(choice="confidence", cells=cells))
    sampling = Sampling(temperature=1.0)
    return [
        fill(predictor, [Gap(SIDE**2, SIDE**2)], sampling, seed=1000 * seed + i, rewriting=rewriting).ids
        for i in range(count)
    ]


def one_seed(ids: np.ndarray, held_out: np.ndarray, v: int, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train both, ask everything."""
    objective = Coherent(share=options.share) if options.share else Masked()
    page, twin = (network(v, visibility, seed) for visibility in (Visibility.FULL, Visibility.CAUSAL))
    told: dict[str, Any] = {"page": trained(page, objective, ids, options.cpu_seconds, seed)}
    told["twin"] = trained(twin, NextToken(), ids, options.cpu_seconds, seed)
    some = held_out[: options.pages * SIDE**2]
    # The twin is read on the same pages, each from its beginning: neither knows more than its page.
    rows = [score(predictor_of(twin, Grid(SIDE, SIDE), RankByRank()), p).total_nats for p in some.reshape(-1, SIDE**2)]
    told["twin"]["nats"] = sum(rows) / len(some)
    any_order = AnyOrderPredictor(page, Grid(SIDE, SIDE), Unmasking())
    found = bound(any_order, some, draws=options.draws)
    told["page"]["bound"], told["page"]["bound_error"] = found.nats, found.standard_error
    told["page"]["ratio"] = found.nats / told["twin"]["nats"]
    few = held_out[: options.coded * SIDE**2].reshape(-1, SIDE**2)
    told["coded_bits"] = {}
    for name, (layout, writing) in ORDERS.items():
        nats = [score(AnyOrderPredictor(page, layout, writing), p).total_nats for p in few]
        told["coded_bits"][name] = sum(nats) / few.size / float(np.log(2))
    judge = NgramConfig(6).fit(ids, v)
    told["written"] = {"held-out text": _judged(judge, list(few))}
    for cells in CELLS:
        found_pages = pages_written(page, cells, None, options.written, seed)
        told["written"][f"{cells} a pass"] = _judged(judge, found_pages)
    again = pages_written(page, 4, Rewriting(rounds=2, share=0.2), options.written, seed)
    told["written"]["4 a pass, rewritten twice"] = _judged(judge, again)
    return told | {"environment": environment()}


def _judged(judge: Any, pages: list[np.ndarray]) -> float:
    """Nats a letter under the judge, which reads each page from its beginning."""
    return float(np.mean([score(judge, page).nats_per_token for page in pages]))


def main() -> None:
    """Train, ask, append; print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="tinyshakespeare")
    parser.add_argument("--cpu-seconds", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.0, help="of pages asked in lines (0: Masked)")
    parser.add_argument("--pages", type=int, default=64, help="held-out pages of the bound and the twin")
    parser.add_argument("--draws", type=int, default=32)
    parser.add_argument("--coded", type=int, default=8, help="held-out pages coded letter by letter in each order")
    parser.add_argument("--written", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("any_order.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = load_text([options.text]).text
    tokenizer = Characters().train(text)
    ids, held_out = (tokenizer.encode(part).astype(np.int64) for part in split(text, 0.9))
    runs = []
    for seed in range(options.seeds):
        key = {"text": options.text, "seed": seed, "cpu_seconds": options.cpu_seconds, "share": options.share}
        row = appended(
            options.out, key, lambda seed=seed: one_seed(ids, held_out, tokenizer.vocabulary_size, options, seed)
        )
        flat = {"twin nats": row["twin"]["nats"], "bound": row["page"]["bound"], "ratio": row["page"]["ratio"]}
        flat |= {f"bits, {name}": bits for name, bits in row["coded_bits"].items()}
        flat |= {f"judge, {name}": nats for name, nats in row["written"].items()}
        runs.append(flat)
        print(f"seed {seed}: {', '.join(f'{k} {v:.3f}' for k, v in flat.items())}", flush=True)
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:34} {statistics.mean(values):.4f} +- {statistics.pstdev(values):.4f}")


if __name__ == "__main__":
    main()
