"""Does the order matter where two dimensions do? Puzzles filled in several orders, beside a raster twin.

    python -m benchmarks.two_dimensions [--tasks sudoku maze words] [--seeds 5] [--cpu-seconds 240] [--out FILE.jsonl]

Two networks with the same trunk get the same puzzles with their solutions (made once, from boards that no test puzzle
has) and the same CPU time. The *page* hides any of a puzzle's unknown cells, m of them with m uniform, and learns them
from what is left; it then writes an unseen puzzle's unknown cells in the order of its confidence, by margin, at random,
or row by row. The *raster twin* reads the puzzle with blanks above, and learns to write the whole solution below it,
row by row and left to right, seeing all of the puzzle at every letter. Told is the share of unseen puzzles that are
solved, in the course of training and at its end. A line of JSON is appended for each task and seed; what the file has
already is not run again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.rounds import appended, environment
from semagram.lab.boards import Maze, Sudoku, Task, WordSquare
from semagram.layouts import Grid, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Neighbourhood
from semagram.models import Page, Repeated, Whole
from semagram.objectives import NextToken, weighted_nats
from semagram.objectives.contract import Example
from semagram.predictors import Predictor, RankByRank, Unmasking, predictor_of
from semagram.training.optimisers import Muon

ORDERS = ("confidence", "margin", "random", "left_to_right")
BATCH, RATE = 64, 0.02


@dataclass(frozen=True)
class Given:
    """A task, and how many of its boards and puzzles there are."""

    task: Task
    boards: int
    """Boards to learn from."""
    puzzles: int
    """Puzzles of each of them."""
    tests: int
    """Unseen puzzles at most."""


TASKS = {
    # There are 288 boards of 4 x 4: a part of them is kept away from training altogether.
    "sudoku": Given(Sudoku(4, clues=6), boards=230, puzzles=20, tests=200),
    "maze": Given(Maze(5), boards=8000, puzzles=1, tests=200),
    "words": Given(WordSquare(3), boards=2000, puzzles=10, tests=200),
}


def puzzles_of(given: Given, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Puzzles and solutions to learn from, and to be judged by: of boards that do not meet."""
    task, rounds = given.task, range(given.puzzles)
    drawn = [task.puzzles(given.boards * (2 if i == 0 else 1), 1000 * seed + i) for i in rounds]
    puzzles, solutions = (np.concatenate([d[part] for d in drawn]) for part in (0, 1))
    boards = np.unique(solutions, axis=0)
    boards = np.random.default_rng(seed).permutation(boards)[: given.boards]
    known = {board.tobytes() for board in boards[: min(given.boards, int(0.8 * len(boards)))]}
    seen = np.array([s.tobytes() in known for s in solutions])
    asked, answers = task.puzzles(4 * given.tests, 1000 * seed + 999)
    new = [i for i, s in enumerate(answers) if s.tobytes() not in known][: given.tests]
    return puzzles[seen], solutions[seen], asked[new], answers[new]


def network(vocabulary: int, layout: Grid, visibility: Visibility, seed: int) -> Any:
    """The trunk of both contestants: windows and global blocks in turn, the whole of it twice."""
    torch.manual_seed(seed)
    model = Page(
        width=64,
        depth=4,
        local=Neighbourhood(heads=4, rows=3, columns=3),
        whole=Whole(Attention(heads=4), every=2),
        repeated=Repeated(times=2),
    )
    return model.build(vocabulary, layout, visibility)


Asking = Callable[[Tensor, Tensor, torch.Generator], Example]
"""Puzzles and solutions ``(b, n)`` to what a network is asked."""


def hidden_anywhere(blank: int) -> Asking:
    """Hide m of a puzzle's unknown cells, m uniform, each weighed by unknown / m: the mean over all orders of filling
    the puzzle."""

    def ask(puzzles: Tensor, solutions: Tensor, generator: torch.Generator) -> Example:
        unknown = puzzles < 0
        cells = unknown.sum(dim=1)
        spread = (torch.arange(len(puzzles)) / len(puzzles) + torch.rand((), generator=generator)) % 1.0
        hide = (spread * cells).long().minimum(cells - 1) + 1
        drawn = torch.rand(puzzles.shape, generator=generator).masked_fill(~unknown, 2.0)
        hidden = drawn.argsort(dim=1).argsort(dim=1) < hide[:, None]
        weights = hidden * (cells / hide)[:, None]
        return Example(solutions.masked_fill(hidden, blank), solutions, weights, float(cells.sum()))

    return ask


def below_the_puzzle(blank: int, geometry: Geometry) -> Asking:
    """The puzzle with its blanks, then the solution letter by letter; nothing is asked of the puzzle itself."""

    def ask(puzzles: Tensor, solutions: Tensor, generator: torch.Generator) -> Example:
        both = torch.cat([puzzles.masked_fill(puzzles < 0, blank), solutions], dim=1)
        example = NextToken().example(both, geometry, blank + 1, generator)
        asked = torch.cat([torch.zeros_like(puzzles), (puzzles < 0).long()], dim=1).float()
        return Example(example.inputs, example.targets, asked, float(asked.sum()))

    return ask


def trained(
    net: Any,
    geometry: Geometry,
    ask: Asking,
    pairs: tuple[np.ndarray, np.ndarray],
    seconds: float,
    seed: int,
    check: Callable[[], float],
    checks: int,
) -> dict[str, Any]:
    """Train in place for so many CPU seconds (``check`` is not counted): steps, parameters, and [seconds, solved]."""
    puzzles, solutions = (torch.from_numpy(p) for p in pairs)
    stepper = Muon(rate=RATE, head_rate=0.004, adam_rate=0.01, weight_decay=0.1).build(net)
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    used, steps, course = 0.0, 0, []
    while used < seconds:
        began = time.process_time()
        rows = torch.from_numpy(random.integers(len(puzzles), size=BATCH))
        example = ask(puzzles[rows], solutions[rows], generator)
        loss = weighted_nats(net(example.inputs, geometry), example)
        loss.backward()
        stepper.step(1.0 - used / seconds)
        stepper.forget_gradients()
        used, steps = used + time.process_time() - began, steps + 1
        if used >= (len(course) + 1) * seconds / checks:
            net.eval()
            course.append([round(used, 1), check()])
            net.train()
    net.eval()
    return {"steps": steps, "parameters": sum(p.numel() for p in net.parameters()), "course": course}


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


def one_seed(given: Given, seconds: float, checks: int, seed: int, twin_too: bool = True) -> dict[str, Any]:
    """Both contestants from the same puzzles, judged by the same unseen ones."""
    task = given.task
    puzzles, solutions, asked, _ = puzzles_of(given, seed)
    v, n = len(task.symbols), task.height * task.width
    page = Grid(task.height, task.width)
    net = network(v, page, Visibility.FULL, seed)

    def solved(order: str) -> float:
        predictor = predictor_of(net, page, Unmasking(choice=order))  # type: ignore[arg-type]
        return float(task.solved(written(predictor, page, asked)).mean())

    told: dict[str, Any] = {"puzzles": len(puzzles), "unseen": len(asked)}
    geometry = Geometry.of(page.positions(), Visibility.FULL)
    pairs = puzzles, solutions
    told["page"] = trained(
        net, geometry, hidden_anywhere(v), pairs, seconds, seed, lambda: solved("confidence"), checks
    )
    told["page"]["solved"] = {order: solved(order) for order in ORDERS}
    if not twin_too:
        return told

    both = Grid(2 * task.height, task.width)  # the puzzle above, with blanks; its solution below
    twin = network(v + 1, both, Visibility.CAUSAL, seed)
    above = np.where(asked < 0, v, asked)

    def twin_solved() -> float:
        given_cells = np.concatenate([above, np.full_like(asked, -1)], axis=1)
        answers = written(predictor_of(twin, both, RankByRank()), both, given_cells)[:, n:]
        # What the puzzle says is not asked for: it is not held against the twin that it would write something else.
        return float(task.solved(np.where(asked < 0, answers, asked)).mean())

    geometry = Geometry.of(both.positions(), Visibility.CAUSAL)
    told["twin"] = trained(twin, geometry, below_the_puzzle(v, geometry), pairs, seconds, seed, twin_solved, checks)
    told["twin"]["solved"] = {"left_to_right": twin_solved()}
    return told


def main() -> None:
    """Train, judge, append; print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cpu-seconds", type=float, default=240.0)
    parser.add_argument("--checks", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("two_dimensions.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.tasks:
        runs = []
        for seed in range(options.seeds):
            key = {"task": name, "seed": seed, "cpu_seconds": options.cpu_seconds}
            row = appended(
                options.out,
                key,
                lambda name=name, seed=seed: (
                    one_seed(TASKS[name], options.cpu_seconds, options.checks, seed) | {"environment": environment()}
                ),
            )
            runs.append({f"page, {k}": v for k, v in row["page"]["solved"].items()})
            runs[-1]["raster twin"] = row["twin"]["solved"]["left_to_right"]
            print(name, seed, ", ".join(f"{k} {v:.3f}" for k, v in runs[-1].items()), flush=True)
        for contestant in runs[0]:
            values = [run[contestant] for run in runs]
            print(f"{name:8} {contestant:22} {statistics.mean(values):.3f} +- {statistics.pstdev(values):.3f}")


if __name__ == "__main__":
    main()
