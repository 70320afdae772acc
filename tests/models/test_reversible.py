"""Reversible residuals: the gradients of the pass that keeps nothing are those of the pass that keeps everything."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from laws.cases import shaken
from laws.stepping import close, gap
from semagram.errors import UserError
from semagram.feedforward import AdaptiveRMSNorm, Gated
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Transformer
from semagram.models.joins import Reversible
from semagram.models.layers import Layers, Letters
from semagram.models.residual import Residual
from semagram.models.scales import LayerScale
from semagram.models.stack import Stack

LAYOUT = Sequence(7)
GEOMETRY = Geometry.of(LAYOUT.positions(), Visibility.CAUSAL)


def network(**fields: Any) -> Any:
    torch.manual_seed(0)
    residual = Residual(join=Reversible(), scale=LayerScale(0.5))
    config = Transformer(**{"width": 16, "depth": 3, "residual": residual, **fields})
    return shaken(config.build(5, LAYOUT, Visibility.CAUSAL))


@pytest.mark.parametrize(
    "fields",
    [{}, {"layers": Layers(distinct=1)}, {"layers": Layers(Letters("fa"), loops=2), "feedforward": Gated(1.5)}],
    ids=["plain", "shared", "order"],
)
def test_gradients_are_those_of_the_ordinary_pass(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(**fields)
    ids = torch.randint(0, 6, (3, 7))
    told = []
    for reversibly in (True, False):
        for block in net.modules():
            if isinstance(block, Stack):
                block.reversible = reversibly
        net.zero_grad()
        extra = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
        logits = net.logits(net.hidden(ids, GEOMETRY, extra))
        logits.square().sum().backward()
        gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
        told.append((logits.detach(), extra.grad, gradients))
    assert torch.equal(told[0][0], told[1][0])
    assert close(told[0][1], told[1][1], 1e-4), gap(told[0][1], told[1][1])
    assert told[0][2].keys() == told[1][2].keys() == dict(net.named_parameters()).keys()
    for name, gradient in told[0][2].items():
        assert close(gradient, told[1][2][name], 1e-4), (name, gap(gradient, told[1][2][name]))


def kept_by_autograd(depth: int) -> int:
    """Numbers that a forward pass keeps for its backward pass, parameters aside."""
    net = network(depth=depth)
    own = {p.data_ptr() for p in net.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = net(torch.zeros(3, 7, dtype=torch.long), GEOMETRY).sum()
    total = sum(kept.values())
    loss.backward()
    return total


def test_memory_does_not_grow_with_depth() -> None:
    assert kept_by_autograd(2) == kept_by_autograd(6)


def test_what_cannot_be_undone_is_refused() -> None:
    with pytest.raises(UserError, match=r"dropout must be 0.*got 0\.5"):
        network(dropout=0.5)
    with pytest.raises(UserError, match="no conditioned parts"):
        network(norm=AdaptiveRMSNorm(3))
