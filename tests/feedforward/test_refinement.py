"""Refinement changes no output; what cannot be said is refused; state of optimisers goes with the weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from semagram.errors import UserError
from semagram.feedforward import basis as bases
from semagram.feedforward.basis import BSpline, Chebyshev, Continuous, Discontinuous, Polynomial
from semagram.feedforward.piecewise_linear import PiecewiseLinear
from semagram.feedforward.piecewise_refinement import refine, smooth_jumps, transfer

EXACT: list[tuple[Any, Any]] = [
    (Continuous(1, 2), Continuous(4, 2)),
    (Continuous(2, 2), Continuous(2, 6)),
    (Continuous(1, 3), Continuous(3, 9)),
    (Continuous(2, 2), Discontinuous(2, 2)),
    (Continuous(2, 2), Discontinuous(3, 4)),
    (Discontinuous(1, 2), Discontinuous(3, 2)),
    (Discontinuous(2, 3), Discontinuous(2, 6)),
    (Polynomial(3), Chebyshev(5)),
    (Chebyshev(4), Polynomial(4)),
    (Polynomial(2), Continuous(2, 5)),
    (BSpline(3, 2), BSpline(3, 4)),
    (BSpline(2, 3), Continuous(2, 3)),
    (Continuous(1, 4), BSpline(1, 4)),
    (bases.Constant(3), bases.Constant(6)),
    (bases.Constant(3), Discontinuous(2, 3)),
    (bases.Fourier(1), bases.Fourier(3)),
]
NOT: list[tuple[Any, Any]] = [
    (Continuous(1, 2), Continuous(1, 5)),
    (Continuous(3, 2), Continuous(2, 2)),
    (Continuous(2, 4), Continuous(2, 2)),
    (Discontinuous(1, 2), Continuous(1, 2)),
    (Continuous(1, 3), BSpline(3, 3)),
    (Polynomial(2), bases.Fourier(2)),
    (bases.Radial(4), Polynomial(6)),
]


@pytest.mark.parametrize(("old", "new"), EXACT, ids=str)
def test_refining_changes_no_output(old: Any, new: Any, count) -> None:
    torch.manual_seed(0)
    layer = PiecewiseLinear(5, 4, old).double()
    torch.nn.init.normal_(layer.weight)
    inside = torch.rand(60, 5, dtype=torch.float64) * 2 - 1
    x = torch.cat([inside, inside * 2]) if hasattr(new, "extrapolate") and hasattr(old, "extrapolate") else inside
    before = layer(x)
    refine(layer, old, new)
    assert layer.weight.shape[0] == 5 * new.build().count
    assert torch.allclose(layer(x), before, atol=1e-9)
    count("refinements that change no output")


@pytest.mark.parametrize(("old", "new"), NOT, ids=str)
def test_what_cannot_be_said_exactly_is_refused_or_approximated(old: Any, new: Any) -> None:
    with pytest.raises(UserError, match="cannot say all"):
        transfer(old, new)
    assert transfer(old, new, exact=False).isfinite().all()


def test_a_later_approximation_is_near() -> None:
    torch.manual_seed(0)
    layer = PiecewiseLinear(2, 3, Continuous(2, 3))
    x = torch.rand(200, 2) * 2 - 1
    before = layer(x)
    layer.weight.data += 0.1 * torch.randn_like(layer.weight)
    before = layer(x)
    refine(layer, Continuous(2, 3), Continuous(3, 40), exact=False)
    assert (layer(x) - before).abs().max() < 0.05


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_the_optimiser_goes_on_with_the_refined_weight(kind: Any) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    layer = PiecewiseLinear(3, 2, Continuous(1, 2))
    optimiser = kind(layer.parameters(), lr=1e-2, **options)
    x = torch.rand(64, 3) * 2 - 1
    for _ in range(3):
        optimiser.zero_grad()
        layer(x).square().mean().backward()
        optimiser.step()
    old = layer.weight
    kept = {k: v.clone() for k, v in optimiser.state[old].items() if isinstance(v, torch.Tensor)}
    refine(layer, Continuous(1, 2), Continuous(2, 4), [optimiser])
    (held,) = optimiser.param_groups[0]["params"]
    assert held is layer.weight and old not in optimiser.state
    matrix = transfer(Continuous(1, 2), Continuous(2, 4))
    for name, value in optimiser.state[layer.weight].items():
        if isinstance(value, torch.Tensor) and value.dim() == 2:
            through = matrix.square() if name == "exp_avg_sq" else matrix
            told = torch.einsum("wv,vio->wio", through, kept[name].double().view(3, 3, 2)).flatten(0, 1)
            assert torch.allclose(value.double(), told, atol=1e-7), name
            assert name != "exp_avg_sq" or (value >= 0).all()
    before = float(layer(x).detach().square().sum())
    for _ in range(3):
        optimiser.zero_grad()
        layer(x).square().mean().backward()
        optimiser.step()
    assert float(layer(x).detach().square().sum()) < before


def test_the_layer_must_have_the_old_basis() -> None:
    layer = PiecewiseLinear(3, 2, Continuous(1, 2))
    with pytest.raises(UserError, match="has 3 numbers a link"):
        refine(layer, Continuous(3, 2), Continuous(3, 4))
    with pytest.raises(UserError, match="has 3 numbers a link"):
        smooth_jumps(layer, Discontinuous(1, 2), 0.5)
    with pytest.raises(UserError, match=r"from 0 to 1, got 1\.5"):
        smooth_jumps(layer, Discontinuous(1, 2), 1.5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_jumps_are_closed_in_part(share: float) -> None:
    torch.manual_seed(0)
    config = Discontinuous(2, 3)
    layer = PiecewiseLinear(1, 1, config).double()
    torch.nn.init.normal_(layer.weight)

    def jumps() -> torch.Tensor:
        borders = torch.tensor([[-1 / 3], [1 / 3]], dtype=torch.float64)
        return layer(borders + 1e-9) - layer(borders - 1e-9)

    before = jumps()
    smooth_jumps(layer, config, share)
    assert torch.allclose(jumps(), (1 - share) * before, atol=1e-6)
