"""Is each answer a distribution over the v ids, and does each cell come once?"""

from __future__ import annotations

import torch

from semagram.verbs.auditing.probe import Probe
from semagram.verbs.auditing.report import Suspicion

TOLERANCE = 1e-6


def sums_to_one(probe: Probe) -> str:
    """exp of every answer sums to 1 within 1e-6; no NaN, nothing above 1."""
    worst = 0.0
    for answers in [probe.whole.answers, *([probe.read(probe.page)] if probe.fixed_order else [])]:
        if bool(answers.isnan().any()):
            row, place = answers.isnan().any(-1).nonzero()[0].tolist()
            raise Suspicion(f"an answer is NaN (row {row}, the {place + 1}. cell asked)", cell=place)
        off = (answers.double().exp().sum(-1) - 1.0).abs()
        worst = max(worst, float(off.max()))
        if worst > TOLERANCE:
            row, place = (off == off.max()).nonzero()[0].tolist()
            total = float(answers[row, place].double().exp().sum())
            raise Suspicion(
                f"the probabilities of the {place + 1}. cell asked in row {row} sum to {total:.6g}, not 1",
                cell=place, place=probe.place(row, place), size=abs(total - 1.0),
            )  # fmt: skip
        if float(answers.max()) > TOLERANCE:
            raise Suspicion(f"a log-probability is {float(answers.max()):.3g}, above 0", size=float(answers.max()))
    count = probe.whole.cells.numel()
    return f"{count} answers sum to 1, at most {worst:.1g} off"


def emits_no_reserved_id(probe: Probe) -> str:
    """An answer has v entries: there is none for the reserved id v, and v is what the tokenizer says."""
    width = probe.whole.answers.shape[-1]
    if width != probe.vocabulary:
        raise Suspicion(f"an answer has {width} entries for a vocabulary of {probe.vocabulary}", size=width)
    return f"answers have {width} entries, ids 0..{width - 1}; the reserved id {width} cannot be emitted"


def offers_each_cell_once(probe: Probe) -> str:
    """The coming cells are unwritten ones of the canvas, never twice, as many in every row."""
    walk, n = probe.whole, probe.page.shape[1]
    if walk.answers.shape[:2] != walk.cells.shape:
        raise Suspicion(f"{tuple(walk.answers.shape[:2])} answers for {tuple(walk.cells.shape)} cells")
    for row, cells in enumerate(walk.cells.tolist()):
        if len(set(cells)) != len(cells) or not all(0 <= c < n for c in cells):
            twice = next((c for i, c in enumerate(cells) if c in cells[:i] or not 0 <= c < n), -1)
            raise Suspicion(
                f"row {row}: cell {twice} is offered when it is written already or does not exist", cell=twice
            )
    if walk.cells.shape[1] < min(probe.steps, n):
        raise Suspicion(f"it stops after {walk.cells.shape[1]} of {n} cells")
    if probe.fixed_order and not torch.equal(walk.cells[0].cpu(), probe.order[: walk.cells.shape[1]].cpu()):
        raise Suspicion("it says that its order is fixed, but does not write in the order of rank")
    return f"{walk.cells.shape[1]} cells of each of {walk.cells.shape[0]} rows, each offered once"
