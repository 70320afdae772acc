"""Does a row's answer depend on the other rows of its batch?"""

from __future__ import annotations

import torch

from semagram.verbs.auditing.agreement import _near
from semagram.verbs.auditing.probe import Probe, first_difference
from semagram.verbs.auditing.report import NotAsked, Suspicion


def knows_no_company(probe: Probe) -> str:
    """Rows in another order, and a row among strangers: equal bits. A row alone: equal to rounding."""
    rows = probe.page.shape[0]
    if rows < 2:
        raise NotAsked("one row has no company")
    whole = probe.whole
    turned = probe.walk(probe.page.flip(0))
    _equal(probe, whole.answers, turned.answers.flip(0), "when the batch is turned around")
    if not torch.equal(whole.cells, turned.cells.flip(0)):
        raise Suspicion("the order of writing changes when the batch is turned around")
    if probe.vocabulary > 1:
        strangers = probe.other(probe.page, torch.ones_like(probe.page, dtype=torch.bool))
        strangers[0] = probe.page[0]
        among = probe.walk(strangers)
        _equal(probe, whole.answers[:1], among.answers[:1], "when the other rows hold another text")
        if not torch.equal(whole.cells[0], among.cells[0]):
            raise Suspicion("the order of writing of row 0 changes with the text of the other rows")
    alone = probe.walk(probe.page[:1])
    if torch.equal(alone.cells, whole.cells[:1]):  # else rounding settled a tie otherwise, which is no leak
        _near(probe, alone.answers, whole.answers[:1], "alone in its batch")
    return f"row 0 answers alike in {rows} rows turned around, among strangers, and alone"


def _equal(probe: Probe, a: torch.Tensor, b: torch.Tensor, when: str) -> None:
    found = first_difference(a, b)
    if found is not None:
        row, place, nats = found
        raise Suspicion(
            f"the answer for the {place + 1}. cell of row {row} moves by {nats:.3g} nats {when}",
            cell=place, place=probe.place(row, place), size=nats,
        )  # fmt: skip
