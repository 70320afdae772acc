"""The window network against one window at a time, written out; on lines, pages and streams."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from laws.cases import shaken
from semagram.errors import UserError
from semagram.feedforward import basis as bases
from semagram.feedforward.piecewise_linear import reference
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Window

V = 6


def slow(network: Any, window: list[int]) -> Tensor:
    """The logits of one window of tokens, layer by layer."""
    table = network.embedding.weight
    rows = [table[token + (0 if network.pooled else place * (V + 1))] for place, token in enumerate(window)]
    x = torch.stack(rows).sum(0) / (len(rows) if network.pooled else 1)
    for layer in network.layers:
        x = linear(layer, network.domain(x))
        if network.rectified:
            x = x.clamp(min=0.0)
    return linear(network.head, network.domain(x))


def linear(layer: Any, x: Tensor) -> Tensor:
    return layer(x) if isinstance(layer, torch.nn.Linear) else reference(x[None], layer.weight, layer.basis)[0]


@pytest.mark.parametrize("hidden", [0, 1, 3])
@pytest.mark.parametrize("links", [None, bases.Continuous(2, 2), bases.Discontinuous(1, 3)], ids=str)
@pytest.mark.parametrize("pooled", [False, True])
def test_the_last_tokens(hidden: int, links: Any, pooled: bool, count) -> None:
    torch.manual_seed(0)
    config = Window(context=4, width=7, hidden=hidden, links=links, pooled=pooled)
    network = shaken(config.build(V, Sequence(9), Visibility.CAUSAL)).eval()
    inputs = torch.randint(0, V + 1, (2, 9))
    told = network(inputs, Geometry.of(Sequence(9).positions(), Visibility.CAUSAL))
    for row, slot in product(range(2), range(9)):
        window = ([V] * 3 + inputs[row].tolist())[slot : slot + 4]
        assert torch.allclose(told[row, slot], slow(network, window), atol=1e-5)
        count("windows written out")


def test_a_centred_window_in_one_line() -> None:
    """The oracle: text[i - 2 : i] + text[i + 1 : i + 3], the target never inside."""
    torch.manual_seed(0)
    network = shaken(Window(context=2, width=9).build(V, Sequence(8), Visibility.OTHERS)).eval()
    text = torch.randint(0, V, (8,)).tolist()
    told = network(torch.tensor([text]), Geometry.of(Sequence(8).positions(), Visibility.OTHERS))[0]
    padded = [V, V, *text, V, V]
    for i in range(8):
        assert torch.allclose(told[i], slow(network, padded[i : i + 2] + padded[i + 3 : i + 5]), atol=1e-5)


@pytest.mark.parametrize("layout", [Grid(3, 5), Grid(3, 4, "snake"), Streams(5, 2)], ids=str)
@pytest.mark.parametrize("reach", [1, 2])
def test_a_stencil_on_a_page(layout: Any, reach: int, count) -> None:
    """All cells of the square around a cell, by their coordinates."""
    torch.manual_seed(0)
    network = shaken(Window(context=reach, width=5, hidden=0).build(V, layout, Visibility.OTHERS)).eval()
    ids = torch.randint(0, V, (1, layout.count))
    coords = [tuple(c) for c in layout.positions().coords.tolist()]
    held = dict(zip(coords, ids[0].tolist(), strict=True))
    told = network(ids, Geometry.of(layout.positions(), Visibility.OTHERS))[0]
    steps = [o for o in product(range(-reach, reach + 1), repeat=2) if any(o)]
    for cell, (y, x) in enumerate(coords):
        window = [held.get((y + dy, x + dx), V) for dy, dx in steps]
        assert torch.allclose(told[cell], slow(network, window), atol=1e-5)
        count("windows written out")


def test_a_bag_of_letters_does_not_see_order_and_a_window_does() -> None:
    torch.manual_seed(0)
    geometry = Geometry.of(Sequence(4).positions(), Visibility.CAUSAL)
    ids = torch.tensor([[0, 1, 2, 3], [2, 0, 1, 3]])
    for pooled in (True, False):
        network = shaken(Window(context=4, width=8, pooled=pooled).build(V, Sequence(4), Visibility.CAUSAL)).eval()
        last = network(ids, geometry)[:, -1]
        assert torch.allclose(last[0], last[1], atol=1e-6) == pooled


def test_a_short_text_is_learnt_by_heart() -> None:
    """No hidden layer: tables and one readout know what follows eight characters."""
    from semagram.training.optimisers import AdamW

    torch.manual_seed(0)
    text = torch.randint(0, 12, (400,), generator=torch.Generator().manual_seed(0))
    network = Window(context=8, width=64, hidden=0).build(12, Sequence(400), Visibility.CAUSAL)
    stepper = AdamW(rate=0.02, weight_decay=0.0).build(network)
    geometry = Geometry.of(Sequence(400).positions(), Visibility.CAUSAL)
    inputs = torch.cat([torch.tensor([12]), text[:-1]])[None]
    for _ in range(60):
        loss = F.cross_entropy(network(inputs, geometry)[0], text)
        loss.backward()
        stepper.step(1.0)
        stepper.forget_gradients()
    assert (network(inputs, geometry)[0].argmax(-1) == text).double().mean() > 0.97


def test_what_a_window_cannot_be() -> None:
    with pytest.raises(UserError, match="cannot be FULL"):
        Window().build(V, Sequence(4), Visibility.FULL)
    with pytest.raises(ValueError, match="only a CAUSAL network"):
        Window().build(V, Sequence(4), Visibility.OTHERS).new_state(1, Geometry.of(Sequence(4).positions(),
                                                                                  Visibility.OTHERS))  # fmt: skip
