"""The layer of functions: each link from input i to output o is a function of one number, and the output sums them.

    y_o = sum_i f_{oi}(x_i),      f_{oi}(x) = sum_v W[v, i, o] phi_v(x)

No bias, no activation: the functions are the activation. phi is any basis of ``feedforward/basis``. Three forms compute
it, equal in value and gradients:

- *expand*: put the few non-zero phi_v(x_i) into a dense ``(N, V I)`` matrix and multiply once by W ``(V I, O)``: more
  arithmetic, but all of it in one matrix product; hundreds of times faster than gathering weights. One node for
  autograd where the basis is local (``piecewise_fused``).
- *recomputed*: the same, keeping only x for the backward pass and expanding again there: V times less memory.
- *bag*: ``embedding_bag``, which reads only the rows of W that are active. For many segments, and for inputs that are
  codes: an embedding lookup is a piecewise constant layer.

W is stored ``(V I, O)``, the V matrices ``(I, O)`` one below the other; a per-matrix optimiser sees them one by one.
``reference`` is the definition, link by link, in the precision of its arguments.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from semagram.errors import UserError
from semagram.feedforward import twice
from semagram.feedforward.basis import Basis
from semagram.feedforward.piecewise_fused import fits, product

Form = Literal["expand", "recomputed", "bag"]
MANY_SEGMENTS = 64
"""From here a dense expansion is mostly zeros, and reading single rows is cheaper."""
MANY_SEGMENTS_UNTRAINED = 16
"""The same where no gradient of the weights is wanted: it is what a bag does slowly."""


class PiecewiseLinear(nn.Module):
    """``(..., inputs) -> (..., outputs)``; begins as a linear map with weights of deviation scale / sqrt(inputs).

    ``form`` forces a form; none: by shape. Raises ``UserError`` for a bag of a basis that is non-zero everywhere.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        basis: Basis,
        scale: float = 1.0,
        form: Form | None = None,
        frugal: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.outputs = outputs
        self.config = basis
        """Of the functions that it has now; see ``piecewise_refinement``."""
        self.basis: Any = basis.build()
        self.form = form
        self.frugal = frugal
        if form == "bag" and not hasattr(self.basis, "local"):
            raise UserError(f"the form bag needs a basis with segments, got {type(basis).__name__}.")
        self.weight = nn.Parameter(torch.empty(self.basis.count * inputs, outputs))
        self.start_linear(scale)

    @torch.no_grad()
    def start_linear(self, scale: float) -> None:
        """Make it the linear map with Gaussian weights (or the nearest thing that the basis can say)."""
        slopes = torch.randn(self.inputs, self.outputs) * (scale * self.inputs**-0.5)
        line = identity_coefficients(self.basis)
        self.weight.copy_((line[:, None, None] * slopes).flatten(0, 1))

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of the stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"weight": [self.inputs] * self.basis.count}

    def forward(self, x: Tensor) -> Tensor:
        """``(..., I) -> (..., O)``."""
        flat = x.reshape(-1, self.inputs)
        form = "expand" if twice.asked() else self.form or self.fitting(flat)
        if form == "bag":
            out = bag(flat, self.weight, self.basis)
        elif form == "recomputed":
            out = _Recomputed.apply(flat, self.weight, self.basis)
        elif fits(self.basis) and not twice.asked():
            out = product(flat, self.weight, self.basis)
        else:
            out = self.basis.dense(flat).flatten(1) @ self.weight
        return out.reshape(*x.shape[:-1], self.outputs)  # type: ignore[union-attr]

    def fitting(self, x: Tensor) -> Form:
        """The form for these shapes and for what is asked of the gradients."""
        segments = getattr(self.basis, "segments", 1)
        training = torch.is_grad_enabled() and self.weight.requires_grad
        if segments >= (MANY_SEGMENTS if training else MANY_SEGMENTS_UNTRAINED):
            return "bag"
        return "recomputed" if self.frugal and training and not torch.compiler.is_compiling() else "expand"

    def extra_repr(self) -> str:
        """For printing."""
        return f"{self.inputs} -> {self.outputs}, {self.basis.count} numbers a link"


def bag(x: Tensor, weight: Tensor, basis: Any) -> Tensor:
    """``x (N, I)``, ``weight (V I, O)`` -> ``(N, O)``, reading the active rows only."""
    index, values = basis.local(x)
    rows = index * x.shape[1] + torch.arange(x.shape[1], device=x.device)
    rows, values = (part.transpose(0, 1).flatten(1) for part in (rows, values))
    return F.embedding_bag(rows, weight, per_sample_weights=values.contiguous(), mode="sum")


class _Recomputed(torch.autograd.Function):
    """y = Phi(x) W; dW = Phi^T dy, dPhi = dy W^T, with Phi worked out twice and never kept."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, basis: Any) -> Tensor:  # type: ignore[no-untyped-def, override]
        """Keeps x and the weight."""
        ctx.save_for_backward(x, weight)
        ctx.basis = basis
        return basis.dense(x).flatten(1) @ weight

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor):  # type: ignore[no-untyped-def, override]
        """Expands again."""
        x, weight = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_(ctx.needs_input_grad[0])
            every = ctx.basis.dense(x)
        dw = every.detach().flatten(1).T @ dy if ctx.needs_input_grad[1] else None
        if not every.requires_grad:
            return None, dw, None
        (dx,) = torch.autograd.grad(every, x, (dy @ weight.T).view_as(every))
        return dx, dw, None


def identity_coefficients(basis: Any) -> Tensor:
    """``(V,)`` such that sum_v c_v phi_v(x) = x on [-1, 1], or as near as least squares gets."""
    points = sample_points(basis.borders(), 8 * basis.count)
    values = basis.dense(points[:, None])[:, :, 0]
    return torch.linalg.lstsq(values, points[:, None], driver="gelsd").solution[:, 0].float()


def sample_points(borders: list[float], count: int) -> Tensor:
    """Float64 points strictly within the cells between ``borders``, at least ``count`` in all and two a cell."""
    ends = torch.tensor(borders, dtype=torch.float64)
    each = max(2, -(-count // (len(borders) - 1)))
    inner = -torch.cos(torch.pi * (torch.arange(each, dtype=torch.float64) + 0.5) / each)
    return ((ends[1:] + ends[:-1])[:, None] / 2 + (ends[1:] - ends[:-1])[:, None] / 2 * inner).flatten()


def reference(x: Tensor, weight: Tensor, basis: Any) -> Tensor:
    """The definition: ``x (N, I)``, ``weight (V I, O)`` -> ``(N, O)``, function by function."""
    links = weight.view(basis.count, x.shape[1], -1)
    total = x.new_zeros(x.shape[0], weight.shape[1])
    for i in range(x.shape[1]):
        values = basis.dense(x[:, i : i + 1])[:, :, 0]
        for v in range(basis.count):
            total = total + values[:, v : v + 1] * links[v, i]
    return total
