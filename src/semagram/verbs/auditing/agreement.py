"""Does it say the same when it is asked the same: twice, in parallel, with the beginning given, loaded again?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from semagram.verbs.auditing.probe import Probe, first_difference
from semagram.verbs.auditing.report import NotAsked, Suspicion

TOLERANCE = 2e-4
"""In probability: parallel and stepwise sums round differently; a real fault is far larger."""


def answers_twice_alike(probe: Probe) -> str:
    """Asked again, also after writing something else meanwhile, it answers equal bits; asking does not write."""
    first = probe.whole
    probe.walk(probe.page.flip(1))
    for walk, when in ((probe.walk(probe.page), "after another text was read"), (probe.walk(probe.page), "again")):
        found = first_difference(first.answers, walk.answers)
        if found is not None:
            raise Suspicion(
                f"asked {when}, the answer for the {found[1] + 1}. cell of row {found[0]} moves by {found[2]:.3g} "
                f"nats: it draws random numbers or remembers other canvases",
                cell=found[1], place=probe.place(found[0], found[1]), size=found[2],
            )  # fmt: skip
        if not torch.equal(first.cells, walk.cells):
            raise Suspicion(f"asked {when}, it writes the cells in another order")
    state = probe.predictor.open(probe.layout, probe.page.shape[0])
    if first_difference(state.log_probs().clone(), state.log_probs()) is not None:
        raise Suspicion("asking twice without writing gives two answers")
    return f"{3 * first.cells.numel()} answers are equal to the bit"


def reading_equals_stepping(probe: Probe) -> str:
    """``read`` of all ids at once gives what asking and writing step by step gives."""
    if not probe.fixed_order:
        raise NotAsked("it chooses where to write, so there is nothing to read in parallel")
    m = probe.whole.cells.shape[1]
    if probe.page.shape[1] == m:
        worst = _near(probe, probe.read(probe.page)[:, :m], probe.whole.answers, "reading all ids at once")
    else:
        part = probe.predictor.open(probe.layout, probe.page.shape[0]).read(probe.page[:, probe.order[:m]])
        worst = _near(probe, part, probe.whole.answers, f"reading {m} ids at once")
    state, half = probe.predictor.open(probe.layout, probe.page.shape[0]), m // 2
    if half:
        ids = probe.page[:, probe.order[:m]]
        parts = torch.cat([state.read(ids[:, :half]), state.read(ids[:, half:])], dim=1)
        worst = max(worst, _near(probe, parts, probe.whole.answers, "reading in two parts"))
    return f"parallel and stepwise probabilities are at most {worst:.1g} apart"


def given_equals_written(probe: Probe) -> str:
    """A canvas that is opened with its first cells given goes on as one in which they were written."""
    walk, m = probe.whole, probe.whole.cells.shape[1]
    known = next((start for start in walk.starts if start >= m // 2 and start > 0), 0)
    if known == 0:
        raise NotAsked("the canvas is written at once")
    given = torch.full_like(probe.page, -1)
    cells = walk.cells.cpu()[:, :known]
    given.scatter_(1, cells, probe.page.gather(1, cells))
    state = probe.predictor.open(probe.layout, probe.page.shape[0], given)
    if probe.fixed_order and not torch.equal(state.next_positions.cpu()[:, :1], walk.cells.cpu()[:, known : known + 1]):
        raise Suspicion(f"with {known} cells given, another cell comes next than when they are written", cell=known)
    if not torch.equal(state.next_positions.cpu(), walk.cells.cpu()[:, known : walk.asked_before(known)]):
        raise NotAsked("its order depends on how many cells are known at the start, which the contract allows")
    worst = _near(
        probe, state.log_probs(), walk.answers[:, known : walk.asked_before(known)], f"with {known} cells given"
    )
    return f"with {known} cells given the next probabilities are at most {worst:.1g} from having written them"


def reloaded(probe: Probe, reload: Callable[[], Any]) -> str:
    """What ``reload()`` brings back answers with the same bits."""
    twin = Probe(reload(), probe.page, probe.offsets, probe.steps)
    found = first_difference(probe.whole.answers, twin.whole.answers)
    if found is not None:
        raise Suspicion(
            f"the reloaded model's answer for the {found[1] + 1}. cell is {found[2]:.3g} nats from the kept one's",
            cell=found[1], size=found[2],
        )  # fmt: skip
    return f"{probe.whole.cells.numel()} answers of the reloaded model are equal to the bit"


def _near(probe: Probe, a: Tensor, b: Tensor, how: str) -> float:
    """The largest difference of a probability; raises if it is above ``TOLERANCE``."""
    if a.shape != b.shape:
        raise Suspicion(f"{how} gives answers of shape {tuple(a.shape)}, stepping {tuple(b.shape)}")
    # Differences of probabilities, not of their logarithms: an id of probability 1e-30 may wobble freely.
    gap = (a.double().exp() - b.double().exp()).abs().nan_to_num(nan=float("inf")).amax(-1)
    if float(gap.max()) > TOLERANCE:
        place = int((gap > TOLERANCE).any(0).nonzero()[0])
        row = int((gap[:, place] > TOLERANCE).nonzero()[0])
        raise Suspicion(
            f"{how}, a probability of the {place + 1}. cell of row {row} is {float(gap[row, place]):.3g} away from "
            f"what stepping gives",
            cell=place, place=probe.place(row, place), size=float(gap[row, place]),
        )  # fmt: skip
    return float(gap.max())
