"""Plain causal attention in training on a CPU: norm, rotation and attention as one step of the gradient, in pieces.

    q, k = R norm(x_q), R norm(x_k);   y = softmax(scale q k^T, keys up to the query) v

A piece is a few rows of the batch, so that what is made of it is still in the processor's cache when it is used. The
attention itself is torch's kernel, whose result is also what runs without a gradient: the same, bit for bit. Its
gradient is written out here, query block after query block over the keys up to it (FlashAttention-2, arXiv 2307.08691),
as batched products: torch's own runs at half the speed of a matrix product. With P the weights, recomputed from
the kernel's log-sum-exp, and D = sum(dy * y) of each query:

    dv = P^T dy;   dS = P * (dy v^T - D);   dq = scale dS k;   dk = scale dS^T q

A rotation is turned back in place, and the norm's gradient is taken before that, where q is at hand:
dx = r R^T (dq - q mean(dq * q)), r = 1 / rms(x). Blocks depend on the length alone. Everything else (other devices
and types, tracing, ``torch.func``, a second derivative) goes the plain way, which is the ``reference``.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from semagram.feedforward import twice
from semagram.feedforward.norms import EPSILON, inverse_rms, normalise
from semagram.layouts.geometry import Geometry
from semagram.mixers.rotary import rotate

BLOCK = 64
"""Queries of a block: smaller ones waste less of the masked half, larger ones make better products."""
SHORTEST, LONGEST = 256, 512
"""Slots between which this is faster than torch's gradient, as measured: with fewer there is too little to do, with
more torch's kernel leaves out more of the masked half."""
PIECE = 1 << 18
"""Scores that a piece has at once, at most, unless one row of the batch has more: 1 MiB."""

Tables = tuple[Tensor, Tensor] | None
"""Cosines and sines ``(n, 1, d_h)`` as ``rotate`` takes them, of pure rotations."""


def fits(x: Tensor, geometry: Geometry) -> bool:
    """Whether ``causal_rows`` is for the projection ``x`` of these slots."""
    return (
        geometry.causal
        and SHORTEST <= geometry.count <= LONGEST
        and geometry.keep is None
        and not geometry.rules
        and x.requires_grad
        and torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype is torch.float32
        and x.numel() > 0
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and not twice.asked()
    )


def causal_rows(x: Tensor, tables: Tables, heads: int, scale: float, normalised: bool) -> Tensor:
    """Queries, keys and values side by side ``(b, n, 3 h d_h) -> (b, n, h d_h)``; see the module."""
    cosine, sine = (None, None) if tables is None else (table.squeeze(1) for table in tables)
    return _CausalRows.apply(x, cosine, sine, heads, scale, normalised)  # type: ignore[return-value]


def reference(x: Tensor, tables: Tables, heads: int, scale: float, normalised: bool) -> Tensor:
    """The same by torch's gradient of each part."""
    q, k, v = x.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    if normalised:
        q, k = normalise(q), normalise(k)
    if tables is not None:
        cosine, sine = (table.squeeze(1) for table in tables)
        q, k = rotate(q, cosine, sine), rotate(k, cosine, sine)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale).transpose(1, 2).flatten(2)


class _CausalRows(torch.autograd.Function):
    """See the module."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def, override]
        ctx, x: Tensor, cosine: Tensor | None, sine: Tensor | None, heads: int, scale: float, normalised: bool
    ) -> Tensor:
        """Keeps queries, keys and values ``(b, h, n, d_h)``, the result, and a number or three a query and head."""
        b, n, width = x.shape
        x = x.reshape(b, n, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
        qkv = torch.empty(x.shape)
        inverse = torch.empty(2, b, heads, n, 1) if normalised else None
        sums = torch.empty(b, heads, n)
        out = torch.empty(b, n, heads, x.shape[-1])
        for rows in _pieces(b, heads, n):
            here = qkv[:, rows]
            for part in range(2):
                given, put = x[part, rows], here[part]
                if inverse is not None:
                    r = inverse[part, rows] = inverse_rms(given, EPSILON)
                    given = given * r
                _turn(given, cosine, sine, put)
            here[2] = x[2, rows]
            mixed, sums[rows] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                here[0], here[1], here[2], 0.0, True, scale=scale
            )
            out[rows] = mixed.transpose(1, 2)
        ctx.save_for_backward(qkv, sums, out, inverse, cosine, sine)
        ctx.scale = scale
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx, dout: Tensor):  # type: ignore[no-untyped-def, override]
        """Straight into the gradient of the projection."""
        qkv, sums, out, inverse, cosine, sine = ctx.saved_tensors
        back = None if sine is None else -sine
        _, b, heads, n, width = qkv.shape
        dout = dout.reshape(b, n, heads, width)
        dx = torch.empty(b, n, 3 * heads * width)
        parts = dx.view(b, n, 3, heads, width).permute(2, 0, 3, 1, 4)
        for rows in _pieces(b, heads, n):
            here = qkv[:, rows]
            dy = dout[rows]
            share = torch.linalg.vecdot(dy, out[rows]).transpose(1, 2).reshape(-1, n, 1)
            q, k, v, dy, total = (t.flatten(0, 1) for t in (*here, dy.transpose(1, 2), sums[rows].unsqueeze(-1)))
            found = [g.view(here.shape[1:]) for g in _gradients(q, k, v, dy, total, share, ctx.scale)]
            for part in range(2):
                g = found[part]
                if inverse is not None:
                    y = here[part]
                    mean = torch.linalg.vecdot(g, y).unsqueeze(-1).mul_(-1.0 / width)
                    g.addcmul_(y, mean).mul_(inverse[part, rows])
                _turn(g, cosine, back, parts[part, rows])
            parts[2, rows] = found[2]
        return dx, None, None, None, None, None


def _gradients(
    q: Tensor, k: Tensor, v: Tensor, dy: Tensor, sums: Tensor, share: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Of queries, keys and values, all ``(m, n, d_h)``; ``sums`` and ``share`` are ``(m, n, 1)``."""
    n = q.shape[1]
    dk = dv = torch.empty(0)
    blocks = []
    for start in range((n - 1) // BLOCK * BLOCK, -1, -BLOCK):  # the last block first: it reaches all keys
        stop = min(n, start + BLOCK)
        q_, dy_, k_, v_ = q[:, start:stop], dy[:, start:stop], k[:, :stop], v[:, :stop]
        p = _product(q_, k_.transpose(1, 2), scale).sub_(sums[:, start:stop])
        edge = p[:, :, start:]
        edge.clamp_max_(0.0)  # so that keys after the query, which may have any score, are finite before they are 0
        p.exp_()
        edge.mul_(_triangle(stop - start))
        g = torch.bmm(dy_, v_.transpose(1, 2)).sub_(share[:, start:stop]).mul_(p)
        blocks.append(_product(g, k_, scale))
        of_keys, of_values = _product(g.transpose(1, 2), q_, scale), torch.bmm(p.transpose(1, 2), dy_)
        if stop == n:
            dk, dv = of_keys, of_values
        else:
            dk[:, :stop].add_(of_keys)
            dv[:, :stop].add_(of_values)
    return torch.cat(blocks[::-1], dim=1), dk, dv


def _product(a: Tensor, b: Tensor, scale: float) -> Tensor:
    """``scale a b``, the factor being free."""
    return torch.baddbmm(_nothing(), a, b, beta=0.0, alpha=scale)


def _turn(x: Tensor, cosine: Tensor | None, sine: Tensor | None, put: Tensor) -> None:
    """``put = rotate(x)``, half by half instead of with a rolled copy; a copy without tables."""
    if cosine is None or sine is None:
        put.copy_(x)
        return
    half = x.shape[-1] // 2
    torch.mul(x, cosine, out=put)
    put[..., :half].addcmul_(x[..., half:], sine[:, :half])
    put[..., half:].addcmul_(x[..., :half], sine[:, half:])


def _pieces(batch: int, heads: int, n: int) -> list[slice]:
    """The rows of the batch in pieces."""
    count = max(1, PIECE // (heads * n * min(n, BLOCK)))
    return [slice(start, start + count) for start in range(0, batch, count)]


@cache
def _triangle(n: int) -> Tensor:
    """1 where a key is not after the query, ``(n, n)``."""
    return torch.ones(n, n).tril()


@cache
def _nothing() -> Tensor:
    return torch.zeros(())
