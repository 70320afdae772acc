"""The mixture of experts: both fast paths against the formula; the auxiliary losses and their channel."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from laws.cases import shaken
from laws.stepping import close, gap
from semagram.feedforward import Experts
from semagram.feedforward.experts import reference
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Transformer

WIDTH = 6


def layer(**fields: object):
    torch.manual_seed(0)
    given = {"experts": 5, "chosen": 2, "multiple": 1.5, **fields}
    return Experts(**given).build(WIDTH)  # type: ignore[arg-type]


@pytest.mark.parametrize("training", [True, False], ids=["sent", "everywhere"])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("chosen", [1, 2, 5])
def test_values_and_gradients_are_those_of_the_formula(training: bool, gated: bool, chosen: int) -> None:
    mine = layer(gated=gated, chosen=chosen).train(training)
    x = torch.randn(7, WIDTH, requires_grad=True)
    told = []
    for answer in (mine(x[None])[0], reference(mine, x)):
        gradients = torch.autograd.grad(answer.square().sum(), [x, *mine.parameters()])
        told.append((answer, gradients))
    assert close(told[0][0], told[1][0], 1e-5), gap(told[0][0], told[1][0])
    for one, other in zip(told[0][1], told[1][1], strict=True):
        assert float(other.abs().max()) > 0 and close(one, other, 1e-5), gap(one, other)


def test_a_position_does_not_feel_the_others() -> None:
    mine = layer().eval()
    x = torch.randn(3, 4, WIDTH)
    other = torch.cat([x[:, :2], torch.randn(3, 2, WIDTH)], dim=1)
    assert torch.equal(mine(x)[:, :2], mine(other)[:, :2])


def test_losses_are_one_when_even_and_larger_when_not() -> None:
    mine = layer(balance=1.0, z_loss=1.0, chosen=1)
    with torch.no_grad():
        mine.router.weight.zero_()
        mine.router.weight[:, :5] = torch.eye(5) * 0.1
    mine(torch.eye(WIDTH)[:5][None])  # each expert once
    even = mine.carried.take()
    assert even["balance of experts"].item() == pytest.approx(1.0, abs=1e-6)
    assert even["router z-loss"].item() == pytest.approx(math.log(5) ** 2, abs=0.1)
    with torch.no_grad():
        mine.router.weight[0] += 10.0
    mine(torch.eye(WIDTH)[:5][None])  # always the first
    assert mine.carried.take()["balance of experts"].item() > 4.5
    assert mine.carried.take() == {}


def test_the_channel_of_a_network() -> None:
    layout = Sequence(5)
    mixer = Attention(heads=2)
    config = Transformer(width=WIDTH * 2, depth=2, mixer=mixer, feedforward=Experts(3, 1, 1.0))
    network = config.build(4, layout, Visibility.CAUSAL)
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    ids = torch.randint(0, 5, (3, 5))
    network(ids, geometry)
    copied = copy.deepcopy(network)  # a graph that nobody took is no part of a copy
    assert copied.auxiliary_losses() == {}
    losses = network.auxiliary_losses()
    assert losses.keys() == {"balance of experts", "router z-loss"}
    assert losses["balance of experts"].item() == pytest.approx(0.02, rel=0.5)  # two blocks of about 0.01
    sum(losses.values()).backward()
    assert all(float(block.feedforward.router.weight.grad.abs().max()) > 0 for block in network.blocks)
    assert network.auxiliary_losses() == {}
    network.eval()(ids, geometry)
    assert network.auxiliary_losses() == {}
    quiet = Experts(3, 1, 1.0, balance=0.0, z_loss=0.0)
    without = Transformer(width=WIDTH * 2, depth=1, mixer=mixer, feedforward=quiet)
    shaken(silent := without.build(4, layout, Visibility.CAUSAL))(ids, geometry)
    assert silent.auxiliary_losses() == {}
