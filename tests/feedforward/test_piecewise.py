"""Piecewise layers against their definition in float64: values, both gradients, every basis, every form."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from feedforward import oracles
from laws import walk
from semagram.config import members
from semagram.errors import UserError
from semagram.feedforward import Piecewise
from semagram.feedforward import basis as bases
from semagram.feedforward.basis import BSpline, Chebyshev, Continuous, Discontinuous, Polynomial
from semagram.feedforward.domain import ByDeviation, ByRMS, Domain, MaxAbs
from semagram.feedforward.piecewise_fused import fits, product
from semagram.feedforward.piecewise_linear import PiecewiseLinear, bag, identity_coefficients, reference
from semagram.training.optimisers import AdamW, Muon

CONFIGS: list[Any] = [
    bases.Continuous(1, 1),
    bases.Continuous(1, 7),
    bases.Continuous(2, 2, "polynomial"),
    bases.Continuous(4, 3, "clamped"),
    bases.Continuous(9, 2),
    bases.Discontinuous(1, 3),
    bases.Discontinuous(3, 2, "polynomial"),
    bases.Discontinuous(2, 5, "clamped"),
    bases.Polynomial(1),
    bases.Polynomial(5),
    bases.Polynomial(4, "polynomial"),
    bases.Chebyshev(1, "clamped"),
    bases.Chebyshev(6),
    bases.BSpline(1, 3),
    bases.BSpline(3, 4),
    bases.BSpline(2, 1, "polynomial"),
    bases.Fourier(1),
    bases.Fourier(3),
    bases.Radial(2),
    bases.Radial(6, 0.5),
]
EVERY: Any = pytest.mark.parametrize("config", CONFIGS, ids=str)


def points(n: int = 9, inputs: int = 3) -> Tensor:
    """Inside, outside and exactly on borders; float64."""
    x = torch.linspace(-1.9, 1.7, n * inputs, dtype=torch.float64)[torch.randperm(n * inputs)].view(n, inputs)
    x[0, :3] = torch.tensor([-1.0, 0.0, 1.0])
    x[1, :2] = torch.tensor([3.0, -2.5])
    return x


def gradients(function: Any, *arguments: Tensor) -> list[Tensor]:
    """Value and gradients under one cotangent."""
    inputs = [a.detach().clone().requires_grad_() for a in arguments]
    out = function(*inputs)
    cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(4)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, inputs, cotangent)]


def agree(one: list[Tensor], two: list[Tensor], tolerance: float) -> None:
    for name, a, b in zip(("value", "gradient of x", "gradient of W"), one, two, strict=True):
        error = float((a.double() - b.double()).abs().max() / (1.0 + b.double().abs().max()))
        assert error <= tolerance, f"{name} is {error:.3g} off"


@EVERY
def test_a_layer_is_its_definition(config: Any, count) -> None:
    torch.manual_seed(0)
    basis: Any = config.build()
    x = points()
    weight = torch.randn(basis.count * x.shape[1], 2, dtype=torch.float64)
    told = gradients(lambda x, w: basis.dense(x).flatten(1) @ w, x, weight)
    oracle = gradients(lambda x, w: oracles.layer(config, x, w.view(basis.count, x.shape[1], -1)), x, weight)
    agree(told, oracle, 1e-11)
    agree(told, gradients(lambda x, w: reference(x, w, basis), x, weight), 1e-13)
    count("piecewise layers against their definition in float64")


@EVERY
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (13, 2, 9)])
def test_every_form_is_the_definition(config: Any, shape: tuple[int, int, int], count) -> None:
    """In float32 against float64."""
    torch.manual_seed(1)
    n, inputs, outputs = shape
    x = torch.randn(n, inputs)
    forms: list[Any] = ["expand", "recomputed", *(["bag"] if hasattr(config.build(), "local") else [])]
    layer = PiecewiseLinear(inputs, outputs, config)
    slow = gradients(lambda x, w: reference(x, w, layer.basis), x.double(), layer.weight.double())
    for form in forms:
        layer.form = form
        agree(gradients(lambda x, w: torch.func.functional_call(layer, {"weight": w}, x), x, layer.weight), slow, 2e-5)
        count("forms of piecewise layers against float64")


@pytest.mark.parametrize("segments", [2, 3, 8])
@pytest.mark.parametrize("surrogate", [True, False])
def test_steps_have_their_values_and_the_slope_of_the_broken_line(segments: int, surrogate: bool) -> None:
    torch.manual_seed(0)
    config = bases.Constant(segments, surrogate)
    x, weight = points(), torch.randn(segments * 3, 2, dtype=torch.float64)
    links = weight.view(segments, 3, 2)
    value = torch.zeros(x.shape[0], 2, dtype=x.dtype)
    slope = torch.zeros(x.shape[0], 3, 2, dtype=x.dtype)
    for b, i in [(b, i) for b in range(x.shape[0]) for i in range(3)]:
        value[b] += links[oracles.segment_of(float(x[b, i]), segments), i]
        left = min(max(math.floor((float(x[b, i]) + 1) * segments / 2 - 0.5), 0), segments - 2)
        slope[b, i] = (links[left + 1, i] - links[left, i]) * segments / 2
    for form in ("expand", "recomputed", "bag"):
        layer = PiecewiseLinear(3, 2, config, form=form).double()
        layer.weight.data.copy_(weight)
        moving = x.clone().requires_grad_()
        out = layer(moving)
        assert torch.allclose(out, value, atol=1e-12)
        if surrogate:
            out[:, 1].sum().backward()
            assert moving.grad is not None
            assert torch.allclose(moving.grad, slope[:, :, 1], atol=1e-11)
        else:
            out.sum().backward()
            assert moving.grad is None or not moving.grad.any()


@pytest.mark.parametrize("config", [*CONFIGS, bases.Constant(4)], ids=str)
def test_a_layer_starts_as_a_linear_map(config: Any) -> None:
    """As nearly as the basis can: exactly where it holds straight lines."""
    line = identity_coefficients(config.build())
    x = torch.linspace(-1.0, 1.0, 41)[:, None]
    off = (config.build().dense(x)[:, :, 0] @ line - x[:, 0]).abs()
    if isinstance(config, bases.Fourier | bases.Radial | bases.Constant):
        assert off.mean() < 0.35
    else:
        assert off.max() < 1e-5
        torch.manual_seed(0)
        layer = PiecewiseLinear(400, 50, config, scale=2.0)
        out = layer(torch.rand(200, 400) * 2 - 1)
        assert float(out.detach().std()) == pytest.approx(2.0 / 3**0.5, rel=0.1)


def test_an_embedding_is_a_piecewise_constant_layer() -> None:
    """128 or 256 codes, each at the middle of its own segment, as steps and as the odd orders say it."""
    for codes in (128, 256):
        text = torch.randint(0, codes, (5, 4), generator=torch.Generator().manual_seed(0))
        x = (text.double() + 0.5) / codes * 2 - 1
        tables = torch.randn(codes, 4, 3, dtype=torch.float64)
        looked_up = sum(tables[text[:, i], i] for i in range(4))
        layer = PiecewiseLinear(4, 3, bases.Constant(codes)).double()
        layer.weight.data.copy_(tables.flatten(0, 1))
        assert layer.fitting(x) == "bag"
        assert torch.allclose(layer(x), looked_up, atol=1e-12)
        smooth = PiecewiseLinear(4, 3, bases.Discontinuous(2, codes)).double()
        smooth.weight.data.view(codes, 3, 4, 3)[:, 1] = tables
        assert torch.allclose(smooth(x), looked_up, atol=1e-12)


def test_forms_are_chosen_by_shape() -> None:
    few, many = PiecewiseLinear(4, 3, bases.Continuous(2, 2)), PiecewiseLinear(4, 3, bases.Continuous(1, 128))
    frugal = PiecewiseLinear(4, 3, bases.Continuous(2, 2), frugal=True)
    x = torch.randn(2, 4)
    assert [layer.fitting(x) for layer in (few, many, frugal)] == ["expand", "bag", "recomputed"]
    with torch.no_grad():
        assert [layer.fitting(x) for layer in (few, many, frugal)] == ["expand", "bag", "expand"]
        assert PiecewiseLinear(4, 3, bases.Continuous(1, 20)).fitting(x) == "bag"
    with pytest.raises(UserError, match="bag needs a basis with segments, got Fourier"):
        PiecewiseLinear(2, 2, bases.Fourier(), form="bag")


def saved_floats(layer: Any, x: Tensor) -> int:
    """Numbers that autograd keeps, without weights."""
    total = 0

    def pack(t: Tensor) -> Tensor:
        nonlocal total
        total += t.numel() if t.shape != layer.weight.shape and t.shape != layer.weight.T.shape else 0
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        layer(x)
    return total


def test_memory_does_not_grow_with_the_outputs_and_frugal_saves_it() -> None:
    x = torch.randn(32, 10).requires_grad_()
    config = bases.Continuous(2, 2)
    narrow, wide = (saved_floats(PiecewiseLinear(10, o, config), x) for o in (7, 70))
    assert narrow == wide
    assert saved_floats(PiecewiseLinear(10, 7, config, frugal=True), x) == x.numel() < narrow


@pytest.mark.parametrize("order", [1, 2, 3, 9, 20])
def test_high_orders_keep_their_digits(order: int) -> None:
    """A Lagrange weight is the function's value at its node, also in float32 at order 20."""
    basis = bases.Polynomial(order).build()
    nodes = torch.tensor([-math.cos(math.pi * j / order) for j in range(order + 1)])
    values = basis.dense(nodes[:, None])[:, :, 0]
    assert torch.allclose(values, torch.eye(order + 1), atol=3e-6)


@pytest.mark.parametrize("kind", members(bases.Basis), ids=lambda kind: kind.__name__)
def test_every_field_of_a_basis_acts(kind: type, count) -> None:
    x = torch.linspace(-2.0, 2.0, 40)[:, None].requires_grad_()
    start: Any = kind(order=2) if "order" in {f.name for f in dataclasses.fields(kind)} else kind()
    told = start.build().dense(x)
    for change in walk.changes(kind):
        name = change.path.rsplit(".", 1)[1]
        changed: Any = dataclasses.replace(start, **{name: change.value})
        if changed == start:
            continue
        other = changed.build().dense(x)
        if other.shape == told.shape and torch.equal(other, told):
            assert told.requires_grad != other.requires_grad, change.path  # a surrogate slope is in the gradient only
        count("fields of bases, each of which must act")


@pytest.mark.parametrize(
    ("kind", "given", "reason"),
    [
        (bases.Continuous, {"order": 0}, "from 1 to 32, got 0"),
        (bases.Discontinuous, {"order": 40}, "from 1 to 32, got 40"),
        (bases.BSpline, {"segments": 0}, "at least 1, got 0"),
        (bases.Constant, {"segments": 1}, "at least 2 for steps, got 1"),
        (bases.Fourier, {"harmonics": 0}, "at least 1, got 0"),
        (bases.Radial, {"count": 1}, "at least 2 bumps, got 1"),
        (bases.Radial, {"width": 0.0}, "above 0, got 0"),
        (MaxAbs, {"epsilon": 0.0}, "above 0, got 0"),
        (ByRMS, {"reach": -1.0}, "above 0, got -1"),
        (ByDeviation, {"reach": 0.0}, "above 0, got 0"),
    ],
)
def test_what_cannot_be_is_refused(kind: Any, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        kind(**given)


@pytest.mark.parametrize("domain", [kind() for kind in members(Domain)], ids=str)
def test_domains(domain: Any) -> None:
    x = torch.randn(50, 32, generator=torch.Generator().manual_seed(0)) * 7 + 2
    out = domain(x)
    told = {
        MaxAbs: x / x.abs().amax(-1, keepdim=True),
        ByRMS: x / x.square().mean(-1, keepdim=True).sqrt() / 3,
        ByDeviation: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0) / 3,
    }[type(domain)]
    assert torch.allclose(out, told, atol=1e-5)
    assert (out.abs() <= 1).double().mean() > 0.95


@pytest.mark.parametrize("hidden", [(), (2.0,), (1.0, 0.5)])
def test_frugal_changes_no_number(hidden: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    kept = Piecewise(hidden=hidden).build(6)
    frugal = Piecewise(hidden=hidden, frugal=True).build(6)
    frugal.load_state_dict(kept.state_dict())
    x = torch.randn(3, 5, 6)
    told = []
    for layer in (kept, frugal):
        moving = x.clone().requires_grad_()
        layer(moving).square().sum().backward()
        told.append([moving.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*told, strict=True):
        assert a is not None and b is not None
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("optimiser", [AdamW(rate=0.02, weight_decay=0.0), Muon()], ids=str)
def test_a_layer_learns_a_curve_that_no_linear_map_can(optimiser: Any) -> None:
    torch.manual_seed(0)
    layer = PiecewiseLinear(2, 1, bases.Continuous(2, 4))
    stepper = optimiser.build(layer)
    x = torch.rand(256, 2) * 2 - 1
    y = (torch.sin(3 * x[:, :1]) + x[:, 1:].abs()) / 2
    losses = []
    for step in range(150):
        loss = (layer(x) - y).square().mean()
        loss.backward()
        stepper.step(1.0 - step / 150)
        stepper.forget_gradients()
        losses.append(loss.item())
    assert losses[-1] < 2e-3 < losses[0]


def test_bag_reads_only_the_active_rows() -> None:
    """Rows of W that no input touches may hold anything."""
    layer = PiecewiseLinear(3, 2, bases.Continuous(1, 64))
    x = torch.rand(5, 3) * 0.5
    before = bag(x, layer.weight, layer.basis)
    layer.weight.data.view(65, 3, 2)[:32] = float("nan")
    assert torch.equal(bag(x, layer.weight, layer.basis), before)


@pytest.mark.parametrize(
    "basis",
    [
        Continuous(2, 2),
        Discontinuous(3, 2),
        Continuous(2, 7),
        Continuous(1, 2, "clamped"),
        Continuous(3, 2, "polynomial"),
        BSpline(3, 3),
        Polynomial(5),
        Chebyshev(4),
    ],
    ids=str,
)
def test_the_product_by_hand_is_that_of_autograd(basis: Any) -> None:
    """In values and both gradients, inside, on borders and outside."""
    for kind, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        layer = PiecewiseLinear(7, 5, basis).to(kind)
        x = torch.rand(33, 7, dtype=kind, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
        x[:3] = torch.tensor([1.0, -1.0, 0.0], dtype=kind)[:, None]
        x.requires_grad_()
        assert fits(layer.basis)
        told = [product(x, layer.weight, layer.basis), layer.basis.dense(x).flatten(1) @ layer.weight]
        assert torch.allclose(*told, atol=tolerance, rtol=tolerance)
        dy = torch.randn_like(told[0])
        for a, b in zip(*(torch.autograd.grad(y, [x, layer.weight], dy) for y in told), strict=True):
            assert torch.allclose(a, b, atol=tolerance, rtol=tolerance)
