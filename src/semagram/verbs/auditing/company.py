"""Does a row's answer depend on the other rows of its batch?"""

from __future__ import annotations

import torch

from semagram.verbs.auditing.agreement import _near
from semagram.verbs.auditing.probe import Probe, first_difference
from semagram.verbs.auditing.report import NotAsked, Suspicion


def knows_no_company(probe: Probe) -> str:
    """The first and the last row among strangers: equal bits. Rows in another order, and a row alone: equal to
    rounding, since torch's vectorised kernels work out the last elements of a tensor otherwise."""
    rows = probe.page.shape[0]
    if rows < 2:
        raise NotAsked("one row has no company")
    whole = probe.whole
    for row in (0, rows - 1) if probe.vocabulary > 1 else ():
        strangers = probe.other(probe.page, torch.ones_like(probe.page, dtype=torch.bool))
        strangers[row] = probe.page[row]
        among = probe.walk(strangers)
        if not torch.equal(whole.cells[row], among.cells[row]):
            raise Suspicion(f"the order of writing of row {row} changes with the text of the other rows")
        _equal(probe, whole.answers[row : row + 1], among.answers[row : row + 1], row)
    turned = probe.walk(probe.page.flip(0))
    if torch.equal(whole.cells, turned.cells.flip(0)):  # else rounding settled a tie otherwise, which is no leak
        _near(probe, turned.answers.flip(0), whole.answers, "with the batch turned around")
    alone = probe.walk(probe.page[:1])
    if torch.equal(alone.cells, whole.cells[:1]):
        _near(probe, alone.answers, whole.answers[:1], "alone in its batch")
    return f"rows 0 and {rows - 1} of {rows} answer alike among strangers, turned around, and alone"


def _equal(probe: Probe, a: torch.Tensor, b: torch.Tensor, row: int) -> None:
    found = first_difference(a, b)
    if found is not None:
        _, place, nats = found
        raise Suspicion(
            f"the answer for the {place + 1}. cell of row {row} moves by {nats:.3g} nats when the other rows hold "
            f"another text",
            cell=place, place=probe.place(row, place), size=nats,
        )  # fmt: skip
