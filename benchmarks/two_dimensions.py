"""Does the order matter where two dimensions do? Sudoku solved by one trunk in several orders, beside a raster twin.

    python -m benchmarks.two_dimensions [--side 4] [--clues 6] [--steps 1500] [--seeds 0 1 2] [--out FOLDER]

Two networks of equal size are trained on the same number of boards. The *page* learns hidden cells from visible ones
(``Masked``) and then writes each puzzle's hidden cells: those it is surest of first, at random, or in raster order.
The *raster twin* reads the puzzle (hidden cells as blanks) and then writes the whole solution row by row, left to
right. Both see the same boards; the twin sees one puzzle of each, the page a new mask every time. Told is the share
of unseen puzzles that are solved, with the spread over seeds. Puzzles have one solution each.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rounds import environment
from semagram.lab.boards import Sudoku
from semagram.layouts import Grid, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Neighbourhood
from semagram.models import Page, Whole
from semagram.objectives import Masked, NextToken, weighted_nats
from semagram.predictors import Predictor, RankByRank, Unmasking, predictor_of
from semagram.training.optimisers import Muon

ORDERS = ("confidence", "margin", "random", "left_to_right")
BATCH, WIDTH, DEPTH = 64, 64, 4


def network(vocabulary: int, layout: Grid, visibility: Visibility, seed: int) -> Any:
    """The trunk of both contestants: local and global blocks in turn."""
    torch.manual_seed(seed)
    local = Neighbourhood(heads=4, rows=3, columns=3)
    model = Page(width=WIDTH, depth=DEPTH, local=local, whole=Whole(Attention(heads=4), every=2))
    return model.build(vocabulary, layout, visibility)


def trained(net: Any, layout: Grid, objective: Any, boards: np.ndarray, steps: int, seed: int) -> float:
    """Train in place; the loss of the last tenth of the steps, nats a cell."""
    geometry = Geometry.of(layout.positions(), objective.visibility)
    stepper = Muon(rate=0.02, head_rate=0.004, adam_rate=0.01).build(net)
    random, generator, late = np.random.default_rng(seed), torch.Generator().manual_seed(seed), []
    for step in range(steps):
        ids = torch.from_numpy(boards[random.integers(len(boards), size=BATCH)])
        example = objective.example(ids, geometry, net.vocabulary_size, generator)
        loss = weighted_nats(net(example.inputs, geometry), example)
        loss.backward()
        stepper.step(1.0 - step / steps)
        stepper.forget_gradients()
        if step >= int(0.9 * steps):
            late.append(float(loss.detach()))
    net.eval()
    return statistics.mean(late)


def written(predictor: Predictor, layout: Grid, given: np.ndarray) -> np.ndarray:
    """Every hidden cell (-1) of ``given (count, n)``, the likeliest token each; rows of equal counts together."""
    found, hidden = given.copy(), (given < 0).sum(axis=1)
    for count in np.unique(hidden):
        rows = np.flatnonzero(hidden == count)
        page = torch.from_numpy(given[rows])
        state = predictor.open(layout, len(rows), page if bool((page >= 0).any()) else None)
        while (cells := state.next_positions).shape[1]:
            chosen = state.log_probs().argmax(dim=-1)
            page.scatter_(1, cells, chosen)
            state.write(chosen)
        found[rows] = page.numpy()
    return found


def one_seed(task: Sudoku, steps: int, boards: int, tests: int, seed: int) -> dict[str, float]:
    """Both contestants from the same boards, judged on puzzles of another seed."""
    n, shown = task.side**2, task.boards(boards, seed)
    known = {board.tobytes() for board in shown}
    puzzles, solutions = task.puzzles(2 * tests, seed + 10_000)
    new = [i for i, s in enumerate(solutions) if s.tobytes() not in known][:tests]
    puzzles = puzzles[new]
    page = Grid(task.side, task.side)
    net = network(task.side, page, Visibility.FULL, seed)
    told = {"page loss": trained(net, page, Masked(), shown, steps, seed), "unseen puzzles": float(len(puzzles))}
    for order in ORDERS:
        answers = written(predictor_of(net, page, Unmasking(choice=order)), page, puzzles)
        told[f"page, {order}"] = float(task.solved(answers).mean())

    both = Grid(2 * task.side, task.side)  # the puzzle above, with blanks; its solution below
    twin = network(task.side + 1, both, Visibility.CAUSAL, seed)
    asked, solved = task.puzzles(boards, seed)  # of the very same boards
    rows = np.concatenate([np.where(asked < 0, task.side, asked), solved], axis=1)
    told["raster loss"] = trained(twin, both, NextToken(), rows, steps, seed)
    given = np.concatenate([np.where(puzzles < 0, task.side, puzzles), np.full_like(puzzles, -1)], axis=1)
    answers = written(predictor_of(twin, both, RankByRank()), both, given)[:, n:]
    told["raster twin"] = float(task.solved(answers).mean())
    return told


def main() -> None:
    """Train, judge, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4)
    parser.add_argument("--clues", type=int, default=6)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--boards", type=int, default=200)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = Sudoku(options.side, options.clues)
    runs = []
    for seed in options.seeds:
        runs.append(one_seed(task, options.steps, options.boards, options.tests, seed))
        print(f"seed {seed}: {', '.join(f'{k} {v:.3f}' for k, v in runs[-1].items())}", flush=True)
    table = {k: [statistics.mean(r[k] for r in runs), statistics.pstdev(r[k] for r in runs)] for k in runs[0]}
    for name, (mean, spread) in table.items():
        print(f"{name:22} {mean:.3f} +- {spread:.3f}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        told = {"environment": environment(), "options": {**vars(options), "out": str(options.out)}, "runs": runs}
        (options.out / "two_dimensions.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
