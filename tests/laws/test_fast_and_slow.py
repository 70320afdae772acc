"""Law 9: each fast path equals its naive reference, in values and gradients, at odd sizes.

A module with a ``reference`` in its file must be compared here; a test says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from laws import walk
from laws.stepping import close, gap
from semagram.config import members
from semagram.feedforward import Feedforward, mlp, norms
from semagram.feedforward.basis import Continuous
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import (
    Attention,
    Mixer,
    Neighbourhood,
    Rotary,
    attention,
    convolution,
    landmarks,
    neighbourhood,
    rotary,
    selective_scan,
    sparse_convolution,
    state_space,
    tiles,
    token_shift,
    tree,
    windows,
)

ODD = [(1, 1), (2, 3), (3, 7), (1, 13), (5, 2)]
"""(b, n)."""


def geometry(n: int, visibility: Visibility) -> Geometry:
    return Geometry.of(Sequence(n).positions(), visibility)


def compared(
    fast: Callable[..., Tensor], slow: Callable[..., Tensor], *arguments: Tensor, tolerance: float = 2e-5
) -> None:
    """Values, and gradients by every argument, under one random cotangent."""
    told = []
    for function in (fast, slow):
        inputs = [a.detach().clone().requires_grad_() for a in arguments]
        out = function(*inputs)
        cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(9))
        gradients = torch.autograd.grad(out, inputs, cotangent, allow_unused=True, materialize_grads=True)
        told.append([out.detach(), *gradients])
    for name, a, b in zip(["values", *(f"gradient {i}" for i in range(len(arguments)))], *told, strict=True):
        assert close(a, b, tolerance), f"{name}: {gap(a, b)}"


@pytest.mark.parametrize(("b", "n"), ODD)
@pytest.mark.parametrize("visibility", [Visibility.CAUSAL, Visibility.FULL])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (3, 1)])
def test_attention_is_its_reference(b: int, n: int, visibility: Visibility, heads: tuple[int, int], count) -> None:
    torch.manual_seed(0)
    mixer: Any = Attention(heads=heads[0], key_value_heads=heads[1], head_width=6).build(10)
    queries, keys, values = (torch.randn(b, h, n, 6) for h in (heads[0], heads[1], heads[1]))
    causal = visibility is Visibility.CAUSAL
    visible = torch.ones(n, n, dtype=torch.bool)
    visible = visible.tril() if causal else visible
    compared(
        lambda q, k, v: mixer._attend(q, k, v, mask=None, causal=causal),
        lambda q, k, v: attention.reference(q, k, v, visible, mixer.scale),
        queries, keys, values,
    )  # fmt: skip
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
def test_padded_attention_is_its_reference(b: int, n: int) -> None:
    torch.manual_seed(0)
    keep = torch.ones(b, n, dtype=torch.bool)
    keep[0, n // 2 + 1 :] = False
    padded = Geometry(torch.arange(n)[:, None], torch.arange(n), Visibility.CAUSAL, keep)
    mask = attention.padding_mask(padded)
    for row in range(b):
        for q in range(n):
            seen = {k for k in range(n) if k <= q and (bool(keep[row, k]) or k == q)}
            assert set(mask[row, 0, q].nonzero()[:, 0].tolist()) == seen


@pytest.mark.parametrize(("b", "n"), ODD)
@pytest.mark.parametrize("kernel", [1, 2, 5])
def test_convolution_is_its_reference(b: int, n: int, kernel: int, count) -> None:
    torch.manual_seed(0)
    compared(
        lambda x, taps: convolution.shifted_sum(F.pad(x, (0, 0, kernel - 1, 0)), taps),
        convolution.reference, torch.randn(b, n, 7), torch.randn(kernel, 7),
    )  # fmt: skip
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
@pytest.mark.parametrize("visibility", [Visibility.CAUSAL, Visibility.FULL])
def test_neighbourhoods_are_their_reference(b: int, n: int, visibility: Visibility, count) -> None:
    """Pages of all shapes are compared in tests/mixers."""
    torch.manual_seed(0)
    window = Neighbourhood(rows=2, columns=3, dilation=2).window
    place = Geometry.of(Grid(3, n, "snake").positions(), visibility)
    mask = windows.visible(place, window)
    tiling = tiles.Tiling.of(place, window, torch.float32)
    shape = (b, 3 * n, 2, 4)
    compared(
        lambda q, k, v: tiles.tiled_attention(q, k, v, tiling, 0.5),
        lambda q, k, v: neighbourhood.reference(*(t.transpose(1, 2) for t in (q, k, v)), mask, 0.5).transpose(1, 2),
        torch.randn(shape), torch.randn(shape), torch.randn(shape),
    )  # fmt: skip
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
def test_landmarks_are_their_reference(b: int, n: int, count) -> None:
    torch.manual_seed(0)
    told = [torch.randn(b, 2, n, 4) for _ in range(3)] + [torch.randn(2, 3, 4) for _ in range(2)]
    compared(
        lambda *t: landmarks.exchanged(*t, 0.5),
        lambda *t: landmarks.reference(*t, 0.5),
        *told,
    )
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
def test_token_shift_is_its_reference(b: int, n: int, count) -> None:
    torch.manual_seed(0)
    mixer: Any = token_shift.TokenShift().build(5)

    def fast(x: Tensor, share: Tensor) -> Tensor:
        return torch.func.functional_call(mixer, {"share": share}, (x, geometry(n, Visibility.CAUSAL)))

    compared(fast, token_shift.reference, torch.randn(b, n, 5), torch.randn(5))
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
def test_normalise_is_torchs(b: int, n: int, count) -> None:
    torch.manual_seed(0)
    for epsilon in (1e-6, 0.1):
        compared(
            lambda x, e=epsilon: norms.normalise(x, e), lambda x, e=epsilon: F.rms_norm(x, x.shape[-1:], None, e),
            torch.randn(b, n, 7),
        )  # fmt: skip
    x = torch.randn(b, n, 7)
    assert torch.equal(norms.normalise(x), norms.normalise(x.clone().requires_grad_()).detach())
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
def test_squared_relu_is_torchs(b: int, n: int, count) -> None:
    torch.manual_seed(0)
    compared(mlp.relu_squared, lambda x: F.relu(x).square(), torch.randn(b, n, 7))
    x = torch.randn(b, n, 7)
    assert torch.equal(mlp.relu_squared(x), mlp.relu_squared(x.clone().requires_grad_()).detach())
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize("layout", [Sequence(9), Grid(3, 5)], ids=str)
@pytest.mark.parametrize("head_width", [4, 6, 10])
def test_rotary_is_multiplication_by_complex_numbers(layout: Any, head_width: int, count) -> None:
    """Plane p is the complex number x_p + i x_{p + d/2}; each axis turns its own planes by its coordinate."""
    torch.manual_seed(0)
    coords, base, planes = layout.positions().coords, 50.0, head_width // 2
    shares = [planes // coords.shape[1] + (axis < planes % coords.shape[1]) for axis in range(coords.shape[1])]
    angle = torch.cat(
        [coords[:, [axis]] * torch.tensor([base ** (-p / s) for p in range(s)]) for axis, s in enumerate(shares)], dim=1
    )
    turn = torch.polar(torch.ones_like(angle), angle)

    def slow(x: Tensor) -> Tensor:
        turned = torch.complex(x[..., :planes], x[..., planes:]) * turn
        return torch.cat([turned.real, turned.imag], dim=-1)

    compared(lambda x: rotary.rotate(x, *rotary.rotary_tables(coords, head_width, base)), slow,
             torch.randn(2, layout.count, head_width))  # fmt: skip
    count("fast paths against their references, values and gradients")


def test_rotary_knows_distance_alone() -> None:
    """Moving the whole canvas moves nothing; moving one cell does."""
    torch.manual_seed(0)
    mixer: Any = Attention(heads=2, positions=Rotary()).build(8).eval()
    torch.nn.init.normal_(mixer.outward.weight)
    x, coords = torch.randn(2, 6, 8), torch.arange(6)[:, None]
    out = mixer(x, Geometry(coords, torch.arange(6), Visibility.CAUSAL))
    moved = mixer(x, Geometry(coords + 100, torch.arange(6), Visibility.CAUSAL))
    spread = mixer(x, Geometry(coords * 2, torch.arange(6), Visibility.CAUSAL))
    assert close(moved, out, 1e-4) and not close(spread, out, 1e-3)


@pytest.mark.parametrize(("b", "n"), [*ODD, (2, 37), (1, 70)])
def test_state_space_in_chunks_is_its_recurrence(b: int, n: int, count) -> None:
    torch.manual_seed(0)
    x, decays = torch.randn(b, n, 3, 5), -torch.rand(b, n, 3)
    for chunk in (1, 4, 32):
        compared(
            lambda *a, c=chunk: state_space.chunked(*a, chunk=c)[0], state_space.reference,
            x, decays, torch.randn(b, n, 6), torch.randn(b, n, 6),
        )  # fmt: skip
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), [*ODD, (2, 16), (2, 37)])
def test_selective_scan_is_its_recurrence(b: int, n: int, count) -> None:
    torch.manual_seed(0)
    compared(
        selective_scan.scan, selective_scan.reference,
        torch.randn(b, n, 5), torch.rand(b, n, 5), -torch.rand(5, 3) * 2, torch.randn(b, n, 3), torch.randn(b, n, 3),
    )  # fmt: skip
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
@pytest.mark.parametrize("links", [None, Continuous(2, 2)], ids=["linear", "functions"])
def test_a_tree_is_its_recursion(b: int, n: int, links: Any, count) -> None:
    torch.manual_seed(0)
    mixer: Any = tree.Tree(levels=3, links=links).build(5)

    def slow(x: Tensor) -> Tensor:
        roots = [[tree.reference(mixer, [*row[: t + 1]], 3) for t in range(n)] for row in x]
        return mixer.outward(torch.stack([torch.stack(row) for row in roots]))

    compared(lambda x: mixer(x, geometry(n, Visibility.CAUSAL)), slow, torch.randn(b, n, 5))
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize(("b", "n"), ODD)
@pytest.mark.parametrize("kernel", [2, 3])
def test_a_sparse_convolution_is_torchs(b: int, n: int, kernel: int, count) -> None:
    torch.manual_seed(0)
    mixer: Any = sparse_convolution.SparseConvolution(kernel=kernel, levels=3).build(5)
    compared(
        lambda x: mixer(x, geometry(n, Visibility.CAUSAL)), lambda x: sparse_convolution.reference(mixer, x),
        torch.randn(b, n, 5),
    )  # fmt: skip
    count("fast paths against their references, values and gradients")


@pytest.mark.parametrize("union", [Mixer, Feedforward], ids=["Mixer", "Feedforward"])
def test_every_reference_is_compared(union: Any) -> None:
    source = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    for kind in members(union):
        module = sys.modules[kind.__module__]
        name = kind.__module__.rsplit(".", 1)[1]
        if hasattr(module, "reference"):
            compared_somewhere = f"{name}.reference" in source or f"{kind.__module__} import reference" in source
            assert compared_somewhere, f"compare {name}.reference with its fast path"
    assert walk.of_union(union)
