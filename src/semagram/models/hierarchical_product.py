"""All levels' features through one norm and one linear map, without putting them side by side.

    h = W norm([x_0; x_1; ...]) + bias = r (sum over levels of W_l x_l) + bias,   r = 1 / rms of all of them at a slot

A level whose element stands for k slots is multiplied once an element and not once a slot, and no joined copy is made
or kept for the way back. ``reference`` is the definition; compared in values and gradients.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def add_repeated(into: Tensor, x: Tensor, times: int) -> None:
    """``into (b, n, .) += x (b, m, .)``, each element of which stands for ``times`` slots."""
    count, whole = into.shape[1], into.shape[1] // times
    if whole:
        into[:, : whole * times].unflatten(1, (whole, times)).add_(x[:, :whole, None])
    if whole * times < count:
        into[:, whole * times :].add_(x[:, whole : whole + 1])


def _summed(x: Tensor, times: int) -> Tensor:
    """The way back, ``(b, n, .) -> (b, ceil(n / times), .)``."""
    if times == 1:
        return x
    return F.pad(x, (0, 0, 0, -x.shape[1] % times)).unflatten(1, (-1, times)).sum(dim=2)


class NormedProduct(torch.autograd.Function):
    """h = r (sum over levels of x_l W_l^T) + bias, r = 1 / rms of all levels' features at a slot.

    Every level is multiplied at its own pace and repeated afterwards, ``times[l]`` slots an element. With dz = r dh and
    e = -r^3 sum(dh z) / D: dx_l = dz W_l + e x_l, both summed over the slots that the element stands for.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def, override]
        ctx, weight: Tensor, bias: Tensor, epsilon: float, count: int, times: list[int], *levels: Tensor
    ) -> Tensor:
        """``weight (hidden, D)``, levels ``(b, m_l, d_l) -> (b, count, hidden)``."""
        batch, width = levels[0].shape[0], weight.shape[1]
        z = weight.new_zeros(batch, count, weight.shape[0])
        squares = weight.new_zeros(batch, count, 1)
        parts = weight.split([x.shape[2] for x in levels], dim=1)
        for x, part, k in zip(levels, parts, times, strict=True):
            add_repeated(z, x @ part.t(), k)
            add_repeated(squares, torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_(), k)
        r = squares.mul_(1.0 / width).add_(epsilon).rsqrt_()
        ctx.save_for_backward(weight, z, r, *levels)
        ctx.times = times
        return torch.addcmul(bias, z, r)

    @staticmethod
    @once_differentiable
    def backward(ctx, dh: Tensor):  # type: ignore[no-untyped-def, override]
        """See the class."""
        weight, z, r, *levels = ctx.saved_tensors
        e = torch.linalg.vecdot(dh, z).unsqueeze(-1).mul_(r**3).mul_(-1.0 / weight.shape[1])
        dz, dweight = dh * r, torch.empty_like(weight)
        widths = [x.shape[2] for x in levels]
        given = []
        for x, part, into, k in zip(
            levels, weight.split(widths, dim=1), dweight.split(widths, dim=1), ctx.times, strict=True
        ):
            own, mine = _summed(dz, k), _summed(e, k)
            read = x[:, : own.shape[1]]
            torch.mm(own.flatten(0, 1).t(), read.flatten(0, 1), out=into)
            found = (own @ part).addcmul_(read, mine)
            given.append(F.pad(found, (0, 0, 0, x.shape[1] - found.shape[1])) if found.shape != x.shape else found)
        return dweight, dh.sum(dim=(0, 1)), None, None, None, *given


def reference(weight: Tensor, bias: Tensor, epsilon: float, levels: list[Tensor], times: list[int]) -> Tensor:
    """The definition: levels repeated, side by side, normalised, multiplied."""
    count = levels[0].shape[1] * times[0]
    shown = [x.repeat_interleave(k, dim=1)[:, :count] for x, k in zip(levels, times, strict=True)]
    joined = torch.cat(shown, dim=-1)
    return F.linear(F.rms_norm(joined, joined.shape[-1:], None, epsilon), weight, bias)
