"""Refinement: more points (p), more segments (h) or another basis, the function unchanged; and the smoothing of jumps.

One fixed matrix T ``(V_new, V_old)`` serves all links: W_new = T W_old. It is found by least squares on points within
the cells of both meshes; where the residual is not zero the new basis cannot say what the old one says (2 segments into
5: a kink cannot be moved) and the refinement is refused, unless an approximation was asked for.

State of an optimiser goes with the weights: means of gradients through T, means of squares through T * T.
KAN calls this grid extension (arXiv 2404.19756). Tested by equal outputs before and after, for every pair of bases.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.basis import Basis, Discontinuous
from semagram.feedforward.piecewise_linear import PiecewiseLinear, sample_points

EXACT = 1e-8
"""Largest residual, of functions of size 1, that still counts as the same function."""
_SQUARES = ("exp_avg_sq", "max_exp_avg_sq", "exp_hessian_diag_sq")


def transfer(old: Basis, new: Basis, exact: bool = True) -> Tensor:
    """T ``(V_new, V_old)`` float64; raises ``UserError`` if ``exact`` and ``new`` cannot say all that ``old`` can."""
    before, after = old.build(), new.build()
    borders = sorted({round(b, 12) for basis in (before, after) for b in basis.borders()})
    points = sample_points(borders, 8 * max(before.count, after.count) + 4 * len(borders))[:, None]
    told, can = before.dense(points)[:, :, 0], after.dense(points)[:, :, 0]
    matrix = torch.linalg.lstsq(can, told, driver="gelsd").solution
    residual = float((can @ matrix - told).abs().max())
    if exact and residual > EXACT:
        raise UserError(
            f"{new} cannot say all that {old} can (they differ by up to {residual:.2g} of a basis function): take at "
            f"least its order and a multiple of its segments, or exact=False."
        )
    return torch.where(matrix.abs() < 1e-14, 0.0, matrix)


@torch.no_grad()
def refine(
    layer: PiecewiseLinear,
    old: Basis,
    new: Basis,
    optimisers: Iterable[torch.optim.Optimizer] = (),
    exact: bool = True,
) -> None:
    """Give ``layer`` (which has basis ``old``) the basis ``new``, in place; its outputs stay, to rounding.

    ``optimisers`` that hold the old weight hold the new one afterwards, their state carried over. Raises ``UserError``
    as ``transfer`` does, and when the layer has another basis than ``old``.
    """
    if old.build().count != layer.basis.count:
        raise UserError(f"the layer has {layer.basis.count} numbers a link, but {old} has {old.build().count}.")
    matrix = transfer(old, new, exact).to(layer.weight.device)
    before = layer.weight
    after = nn.Parameter(_carried(before, matrix, layer.inputs), requires_grad=before.requires_grad)
    layer.weight = after
    layer.config = new
    layer.basis = new.build().to(before.device)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            if any(p is before for p in group["params"]):
                group["params"] = [after if p is before else p for p in group["params"]]
                optimiser.state[after] = _carried_state(optimiser.state.pop(before, {}), before, matrix, layer.inputs)


def _carried_state(state: dict[str, Any], weight: Tensor, matrix: Tensor, inputs: int) -> dict[str, Any]:
    """Tensors of the weight's shape through T (squares through T * T); counters as they are."""
    carried: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == weight.shape:
            value = carried_tensor(value, matrix, inputs, name)
        carried[name] = value
    return carried


def carried_tensor(value: Tensor, matrix: Tensor, inputs: int, name: str) -> Tensor:
    """What an optimiser calls ``name`` of a weight ``(V_old I, O)``, after the refinement ``matrix``."""
    return _carried(value, matrix.square() if name in _SQUARES else matrix, inputs)


def _carried(weight: Tensor, matrix: Tensor, inputs: int) -> Tensor:
    """``(V_old I, O) -> (V_new I, O)``, worked out in float64."""
    links = weight.detach().double().unflatten(0, (-1, inputs))
    return torch.einsum("wv,vio->wio", matrix, links).flatten(0, 1).to(weight.dtype)


@torch.no_grad()
def smooth_jumps(layer: PiecewiseLinear, basis: Discontinuous, share: float) -> None:
    """Close ``share`` (0 to 1) of every jump at an interior border, both sides giving way alike; 1 makes it continuous.

    Raises ``UserError`` for a share outside 0 to 1 or a layer with another basis.
    """
    if not 0.0 <= share <= 1.0:
        raise UserError(f"the share of a jump to close must be from 0 to 1, got {share}.")
    points = basis.order + 1
    if layer.basis.count != points * basis.segments:
        raise UserError(f"the layer has {layer.basis.count} numbers a link, which is not {basis}.")
    links = layer.weight.view(basis.segments, points, layer.inputs, layer.outputs)
    jump = links[1:, 0] - links[:-1, -1]
    links[:-1, -1] += 0.5 * share * jump
    links[1:, 0] -= 0.5 * share * jump
