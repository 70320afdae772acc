"""Does an answer depend on what is not written yet? Ask twice, with a changed future, and compare bit for bit."""

from __future__ import annotations

import torch

from semagram.verbs.auditing.probe import Probe, first_difference
from semagram.verbs.auditing.report import NotAsked, Suspicion

_CUTS = 5


def sees_no_future(probe: Probe) -> str:
    """Two canvases are written alike up to a cell and differently from there; and ``read`` with other ids from a cell
    on leaves the rows up to it as they were."""
    if probe.vocabulary < 2:
        raise NotAsked("with one id there is nothing to change")
    walk, asked = probe.whole, 0
    m = walk.cells.shape[1]
    for cut in _some(m):
        later = torch.zeros_like(probe.page, dtype=torch.bool)
        later.scatter_(1, walk.cells.cpu(), torch.arange(m).expand(later.shape[0], -1) >= cut)
        if m < probe.page.shape[1]:
            later |= ~torch.zeros_like(later).scatter_(1, walk.cells.cpu(), True)
        again = probe.walk(probe.other(probe.page, later))
        known = walk.asked_before(cut)
        _same(probe, walk.answers[:, :known], again.answers[:, :known], walk.cells, "asked step by step", cut)
        if not torch.equal(walk.cells[:, :known], again.cells[:, :known]):
            place = int((walk.cells[:, :known] != again.cells[:, :known]).any(0).nonzero()[0])
            raise Suspicion(f"which cell comes {place + 1}. depends on ids that are written later", cell=place)
        asked += known
    if probe.fixed_order:
        asked += _read(probe)
    return f"{asked} answers stay equal to the bit when what follows them is changed"


def _read(probe: Probe) -> int:
    """The same for the parallel ``read``, over the whole canvas."""
    n, asked = probe.page.shape[1], 0
    cells = probe.order.expand_as(probe.page)
    before = probe.read(probe.page)
    for cut in _some(n):
        later = torch.zeros_like(probe.page, dtype=torch.bool).scatter_(1, cells[:, cut:], True)
        after = probe.read(probe.other(probe.page, later))
        _same(probe, before[:, : cut + 1], after[:, : cut + 1], cells, "read in parallel", cut)
        asked += cut + 1
    return asked


def _same(probe: Probe, a: torch.Tensor, b: torch.Tensor, cells: torch.Tensor, how: str, cut: int) -> None:
    found = first_difference(a, b)
    if found is not None:
        row, place, nats = found
        cell = int(cells[row, place])
        ahead = "its own id" if place == cut else f"an id {cut - place} cells further on"
        raise Suspicion(
            f"the answer for cell {cell} of row {row} ({how}) moves by {nats:.3g} nats when {ahead} or what follows "
            f"is changed: it has seen the future",
            cell=cell, place=probe.place(row, cell), size=nats,
        )  # fmt: skip


def _some(m: int) -> list[int]:
    """A few places in 0..m-1: the first, the last, the last but one, and between."""
    spread = {i * (m - 1) // (_CUTS - 1) for i in range(_CUTS)} | {max(m - 2, 0)}
    return sorted(spread)
