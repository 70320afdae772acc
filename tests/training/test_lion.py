"""Lion by its formula; its state goes into a checkpoint and back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from semagram.errors import UserError
from semagram.training.optimisers import Lion


@pytest.fixture(autouse=True)
def needed() -> None:
    pytest.importorskip("pytorch_optimizer")


def gradient(step: int, shape: torch.Size) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(step))


def test_the_formula() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3, bias=False)
    w, mean = layer.weight.detach().clone(), torch.zeros(3, 4)
    stepper = Lion(rate=0.01, beta1=0.8, beta2=0.95, weight_decay=0.5).build(layer)
    for step in range(5):
        g = gradient(step, w.shape)
        layer.weight.grad = g.clone()
        stepper.step(0.5)
        w = w * (1 - 0.005 * 0.5) - 0.005 * torch.sign(0.8 * mean + 0.2 * g)
        mean = 0.95 * mean + 0.05 * g
    assert torch.allclose(layer.weight, w, atol=1e-6)


def test_state_there_and_back() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 3), nn.Linear(4, 3)]
    layers[1].load_state_dict(layers[0].state_dict())
    steppers = [Lion().build(layer) for layer in layers]
    for step in range(6):
        if step == 3:
            layers[1].load_state_dict(layers[0].state_dict())
            steppers[1].restore({name: value.clone() for name, value in steppers[0].state().items()})
        for layer, stepper in list(zip(layers, steppers, strict=True))[: 1 if step < 3 else 2]:
            for parameter in layer.parameters():
                parameter.grad = gradient(step, parameter.shape)
            stepper.step(1.0)
    assert torch.equal(layers[0].weight, layers[1].weight) and torch.equal(layers[0].bias, layers[1].bias)


def test_what_cannot_be_is_refused() -> None:
    for given in ({"rate": 0.0}, {"beta1": 1.0}, {"weight_decay": -1.0}):
        with pytest.raises(UserError, match=r"training\.optimiser"):
            Lion(**given)
