"""Training's own way through plain causal attention: torch's values bit for bit, gradients of the definition."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.mixers.attention_parts import causal_rows as rows
from semagram.mixers.rotary import NoPositions, Rotary, rotary_tables
from semagram.mixers.rotary_scaling import Interpolation

SIZES = [(1, 1, 1, 2), (2, 3, 5, 4), (3, 2, 64, 8), (2, 1, 65, 6), (1, 2, 131, 4), (5, 4, 128, 16)]


def defined(x: Tensor, tables: rows.Tables, heads: int, scale: float, normalised: bool) -> Tensor:
    """Written out, in the precision of ``x``."""
    q, k, v = x.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    if normalised:
        q, k = (t * (t.square().mean(-1, keepdim=True) + 1e-6).rsqrt() for t in (q, k))
    if tables is not None:
        q, k = (t * tables[0] + t.roll(t.shape[-1] // 2, -1) * tables[1] for t in (q, k))
    n = x.shape[1]
    scores = (q @ k.transpose(-1, -2) * scale).masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_values_are_torchs_and_gradients_those_of_the_definition(
    size: tuple[int, ...], turned: bool, normalised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several pieces, and where no block is full."""
    b, heads, n, width = size
    monkeypatch.setattr(rows, "PIECE", 2 * heads * n * min(n, rows.BLOCK))
    torch.manual_seed(n)
    x = torch.randn(b, n, 3 * heads * width, requires_grad=True)
    wide = x.detach().double().requires_grad_()
    found = rotary_tables(torch.arange(n)[:, None], width, 100.0)
    tables = (found[0][:, None], found[1][:, None]) if turned else None
    doubled = (found[0].double(), found[1].double()) if turned else None
    scale = 0.7 if not normalised else 8.0 / width
    fast = rows.causal_rows(x, tables, heads, scale, normalised)
    assert torch.equal(fast, rows.reference(x, tables, heads, scale, normalised))
    dy = torch.randn_like(fast)
    expected = defined(wide, doubled, heads, scale, normalised)
    torch.testing.assert_close(fast.double(), expected, atol=5e-6, rtol=5e-6)
    (gradient,) = torch.autograd.grad(fast, x, dy)
    (wanted,) = torch.autograd.grad(expected, wide, dy.double())
    torch.testing.assert_close(gradient.double(), wanted, atol=2e-5, rtol=2e-5)


def test_scores_that_no_exponential_can_hold() -> None:
    """Keys after a query may score anything; those before it keep torch's gradient."""
    torch.manual_seed(0)
    x = (torch.randn(1, 70, 3 * 8) * torch.linspace(1, 60, 70)[:, None]).requires_grad_()
    dy = torch.randn(1, 70, 8)
    found, wanted = (
        torch.autograd.grad(f(x, None, 2, 1.0, False), x, dy)[0] for f in (rows.causal_rows, rows.reference)
    )
    assert bool(found.isfinite().all())
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-4)


def attention(config: Attention, n: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Output, input gradient and weight gradients."""
    torch.manual_seed(1)
    mixer = config.build(16)
    x = torch.randn(2, n, 16, requires_grad=True)
    y = mixer(x, Geometry.of(Sequence(n).positions(), Visibility.CAUSAL))
    y.backward(torch.randn(2, n, 16))
    assert x.grad is not None
    return y.detach(), x.grad, {name: p.grad for name, p in mixer.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("config", [Attention(), Attention(sharpness=None), Attention(positions=NoPositions())])
def test_attention_takes_it_and_nothing_else_changes(config: Attention, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it and without it: the same output, gradients to rounding; twice: the same bits."""
    taken = []
    monkeypatch.setattr(
        "semagram.mixers.attention.causal_rows", lambda *given: taken.append(1) or rows.causal_rows(*given)
    )
    with_it, again = attention(config, 256), attention(config, 256)
    assert len(taken) == 2
    monkeypatch.setattr(rows, "SHORTEST", 257)
    without = attention(config, 256)
    assert len(taken) == 2
    assert torch.equal(with_it[0], without[0])
    assert torch.equal(with_it[1], again[1])
    torch.testing.assert_close(with_it[1], without[1], atol=1e-5, rtol=1e-5)
    assert all(torch.equal(g, again[2][name]) for name, g in with_it[2].items())
    torch.testing.assert_close(with_it[2], without[2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        Attention(dropout=0.1),
        Attention(key_value_heads=2),
        Attention(gains="heads"),
        Attention(input_bias=True),
        Attention(positions=Rotary(fraction=0.5)),
        Attention(positions=Rotary(scaling=Interpolation(2.0))),
        Attention(positions=Rotary(decay=512.0)),
    ],
)
def test_what_it_is_not_written_for_goes_the_plain_way(config: Attention, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is silently left out."""
    monkeypatch.setattr("semagram.mixers.attention.causal_rows", lambda *given: pytest.fail("taken"))
    attention(config, 256)


def test_other_types_padding_and_transforms_go_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Float64, padding, full sight, no gradient, ``torch.func``."""
    monkeypatch.setattr("semagram.mixers.attention.causal_rows", lambda *given: pytest.fail("taken"))
    line = Geometry.of(Sequence(256).positions(), Visibility.CAUSAL)
    mixer = Attention(sharpness=None).build(16)
    x = torch.randn(2, 256, 16)
    with torch.no_grad():
        plain = mixer(x, line)
    keep = torch.ones(2, 256, dtype=torch.bool)
    mixer(x, Geometry.of(Sequence(256).positions(), Visibility.CAUSAL, keep))
    mixer(x, Geometry.of(Sequence(256).positions(), Visibility.FULL))
    copy.deepcopy(mixer).double()(x.double(), line)
    slope = torch.func.grad(lambda t: mixer(t, line).sum())(x)
    assert slope.shape == plain.shape
