"""The same functions as high-order-layers-torch's, its weights copied over: values and both gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from semagram.feedforward.basis import Constant, Continuous, Discontinuous, Fourier, Polynomial
from semagram.feedforward.piecewise_linear import PiecewiseLinear

CASES: list[tuple[str, dict[str, int], Any]] = [
    ("continuous", {"n": 2, "segments": 3}, Continuous(1, 3, "polynomial")),
    ("continuous", {"n": 3, "segments": 2}, Continuous(2, 2, "polynomial")),
    ("continuous", {"n": 5, "segments": 4}, Continuous(4, 4, "polynomial")),
    ("discontinuous", {"n": 2, "segments": 3}, Discontinuous(1, 3, "polynomial")),
    ("discontinuous", {"n": 4, "segments": 2}, Discontinuous(3, 2, "polynomial")),
    ("discontinuous", {"n": 1, "segments": 6}, Constant(6, surrogate=False)),
    ("polynomial", {"n": 3}, Polynomial(2, "polynomial")),
    ("polynomial", {"n": 6}, Polynomial(5, "polynomial")),
    ("fourier", {"n": 5}, Fourier(2)),
]


@pytest.mark.parametrize(("kind", "sizes", "config"), CASES, ids=[f"{k} {s}" for k, s, _ in CASES])
@pytest.mark.filterwarnings("ignore")
def test_high_order_layers_torch(kind: str, sizes: dict[str, int], config: Any, count) -> None:
    peers = pytest.importorskip("high_order_layers_torch.layers")
    torch.manual_seed(0)
    theirs = peers.high_order_fc_layers(kind, in_features=7, out_features=5, **sizes)
    torch.nn.init.normal_(theirs.w)
    ours = PiecewiseLinear(7, 5, config)
    ours.weight.data.copy_(theirs.w.permute(2, 1, 0).flatten(0, 1))
    x = torch.randn(11, 7) * 0.8
    told = []
    for layer, weight in ((theirs, theirs.w), (ours, ours.weight)):
        moving = x.clone().requires_grad_()
        out = layer(moving)
        out.square().sum().backward()
        slope = torch.zeros_like(x) if moving.grad is None else moving.grad
        gradient = weight.grad.permute(2, 1, 0).flatten(0, 1) if layer is theirs else weight.grad
        told.append((out.detach(), slope, gradient))
    for name, a, b in zip(("values", "gradient of x", "gradient of W"), *told, strict=True):
        assert torch.allclose(a, b, atol=3e-5 * float(1 + a.abs().max())), name
    count("layers of high-order-layers-torch reproduced")
