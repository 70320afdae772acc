"""Law 4: padding, batch order and batch company do not matter.

Where shapes are equal and a row keeps its place the bits must be equal, whatever the other rows hold. Where shapes
differ (a shorter canvas, a row alone) or a row changes its place, the numbers must be, to rounding: torch's vectorised
kernels work out the last few elements of a tensor otherwise (silu differs in the last bit).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laws import legal
from laws.broken import require
from laws.cases import Case
from laws.stepping import close, gap
from semagram.layouts.geometry import Geometry

ORDER = "batch order does not matter"
COMPANY = "batch company does not matter"
PADDING = "padding does not matter"


def check(network: Any, case: Case) -> None:
    """The law on one network."""
    inputs, geometry = case.inputs(), case.geometry()
    with torch.no_grad():
        out = network(inputs, geometry)
        turned = network(inputs.flip(0), geometry).flip(0)
        require(close(turned, out, 1e-5), ORDER, f"turning the batch around: {gap(turned, out)}")
        for row in (0, inputs.shape[0] - 1):
            strangers = case.inputs(seed=99)
            strangers[row] = inputs[row]
            among = network(strangers, geometry)[row]
            require(torch.equal(among, out[row]), COMPANY, f"row {row} among other rows: {gap(among, out[row])}")
        alone = network(inputs[:1], geometry)[0]
        require(close(alone, out[0], 1e-5), COMPANY, f"row 0 alone: {gap(alone, out[0])}")
        for side in ("trailing", "leading"):
            padding(network, case, inputs, side)


def padding(network: Any, case: Case, inputs: Tensor, side: str) -> None:
    """Rows with 0, 1 and 2 slots of padding on one side, against the same slots without it."""
    geometry = case.geometry()
    n = geometry.count
    keep = torch.ones_like(inputs, dtype=torch.bool)
    for row in range(1, min(inputs.shape[0], n)):
        keep[row, slice(n - row, None) if side == "trailing" else slice(row)] = False
    padded = Geometry(geometry.coords, geometry.order, case.visibility, keep)
    out = network(inputs, padded)
    require(not out[keep].isnan().any(), PADDING, f"{side} padding makes kept slots NaN")
    other = torch.where(keep, inputs, (inputs + 1) % (case.vocabulary + 1))
    again = network(other, padded)
    require(torch.equal(again[keep], out[keep]), PADDING, f"what stands in {side} padding moves kept slots")
    if side == "leading" and legal.counts_slots(case.model):
        return
    for row in range(inputs.shape[0]):
        kept = keep[row].nonzero()[:, 0]
        short = Geometry(geometry.coords[kept], geometry.order[kept], case.visibility)
        bare = network(inputs[row : row + 1, kept], short)[0]
        require(
            close(out[row, kept], bare, 1e-5), PADDING, f"{row} slots of {side} padding: {gap(out[row, kept], bare)}"
        )


def check_predictor(predictor: Any, layout: Any, ids: Tensor) -> None:
    """The law on a predictor, over all that it answers while a canvas is written with ``ids (b, n)``."""
    whole, places = told(predictor, layout, ids)
    turned, turned_places = told(predictor, layout, ids.flip(0))
    if torch.equal(turned_places.flip(0), places):  # else a tie was settled by rounding
        require(close(turned.flip(0), whole, 1e-5), ORDER, f"turning the batch around: {gap(turned.flip(0), whole)}")
    for row in (0, ids.shape[0] - 1):
        strangers = (ids + 1) % predictor.vocabulary_size
        strangers[row] = ids[row]
        among, among_places = told(predictor, layout, strangers)
        require(torch.equal(among_places[row], places[row]), COMPANY, f"row {row} among others writes in another order")
        require(torch.equal(among[row], whole[row]), COMPANY, f"row {row} among others: {gap(among[row], whole[row])}")
    alone, alone_places = told(predictor, layout, ids[:1])
    if torch.equal(alone_places[0], places[0]):  # else a tie was settled by rounding: the numbers are not comparable
        require(close(alone[0], whole[0], 1e-5), COMPANY, f"row 0 alone: {gap(alone[0], whole[0])}")


def told(predictor: Any, layout: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """All answers ``(b, n, v)`` and their cells ``(b, n)``; the ids are those of the *cells*, so that rows which choose
    different orders still write the same page."""
    state = predictor.open(layout, ids.shape[0])
    answers, cells = [], []
    while (coming := state.next_positions).shape[1] > 0:
        answers.append(state.log_probs())
        cells.append(coming)
        require((coming < layout.count).all(), "every cell once", f"cell {int(coming.max())} of {layout.count}")
        state.write(ids.gather(1, coming))
    require(answers, "every cell once", "an empty canvas offers no cell")
    return torch.cat(answers, dim=1), torch.cat(cells, dim=1)
