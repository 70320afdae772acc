"""The score: of every held-out token exactly once, with context, the same each time."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.objectives import NextToken
from semagram.training.evaluate import HeldOut, Windows
from training.tiny_runs import experiment, page_experiment


@pytest.mark.parametrize("tokens", [16, 17, 23, 24, 25, 100])
@pytest.mark.parametrize("stride", [1, 8, 16])
def test_windows_count_every_token_once(tokens, stride):
    windows = Windows.over(tokens, 16, stride)
    counted = np.concatenate([s + np.arange(n, 16) for s, n in zip(windows.starts, windows.new, strict=True)])
    assert sorted(counted.tolist()) == list(range(tokens))
    assert all(16 - stride <= new < 16 for new in windows.new[1:])


def network_of(e, v=7):
    torch.manual_seed(0)
    network = e.model.build(v, e.layout, e.objective.visibility)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network.eval()


@pytest.mark.parametrize("layout", [Sequence(16), Grid(4, 4, scan="snake"), Grid(4, 4, scan="diagonals")], ids=str)
def test_causal_score_equals_the_plain_sum(layout):
    ids = np.random.default_rng(0).integers(7, size=75).astype(np.uint8)
    e = experiment()
    network = network_of(e)
    got = HeldOut(ids, layout, NextToken())(network)
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    total, done, start = 0.0, 0, 0
    while done < len(ids):
        start = min(start, len(ids) - 16)
        window = torch.from_numpy(ids[start : start + 16].astype(np.int64))[None]
        example = NextToken().example(window, geometry, 7, torch.Generator())
        log_probs = torch.log_softmax(network(example.inputs, geometry).double(), -1)[0]
        for slot, cell in enumerate(geometry.order.tolist()):
            if start + cell >= done:
                total -= log_probs[slot, ids[start + cell]].item()
        done, start = start + 16, start + 8
    assert got == pytest.approx(total / len(ids), rel=1e-6)


def test_a_text_shorter_than_the_line_is_scored_and_one_shorter_than_a_page_refused():
    ids = np.array([1, 2, 3], dtype=np.uint8)
    assert HeldOut(ids, Sequence(16), NextToken())(network_of(experiment())) > 0
    assert HeldOut(ids[:1], Sequence(16), NextToken())(network_of(experiment())) > 0
    with pytest.raises(UserError, match=r"3 tokens.*holds 16"):
        HeldOut(ids, Grid(4, 4), NextToken())
    with pytest.raises(UserError, match="empty"):
        HeldOut(ids[:0], Sequence(16), NextToken())


class Uniform(nn.Module):
    vocabulary_size = 7

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(7))

    def forward(self, inputs, geometry):
        return self.nothing.expand(*inputs.shape, 7)


@pytest.mark.parametrize("make", [experiment, page_experiment])
def test_knowing_nothing_scores_log_v_and_the_score_repeats(make):
    e = make()
    ids = np.random.default_rng(0).integers(7, size=400).astype(np.uint8)
    held_out = HeldOut(ids, e.layout, e.objective)
    # The share of hidden cells varies, so the masked bound of a constant is met on average only.
    assert held_out(Uniform()) == pytest.approx(
        math.log(7), rel=1e-6 if e.objective.visibility is Visibility.CAUSAL else 0.02
    )
    network = network_of(e)
    torch.manual_seed(1)
    first = held_out(network)
    torch.manual_seed(2)
    assert held_out(network) == first


def test_the_fixed_masks_are_near_the_mean_of_many():
    e = page_experiment()
    ids = np.random.default_rng(0).integers(7, size=400).astype(np.uint8)
    network = network_of(e)
    got = HeldOut(ids, e.layout, e.objective)(network)
    geometry = Geometry.of(e.layout.positions(), Visibility.FULL)
    canvases = torch.from_numpy(ids.astype(np.int64)).view(-1, 20).repeat(40, 1)
    from semagram.objectives import weighted_nats

    with torch.no_grad():
        many = []
        for seed in range(5):
            example = e.objective.example(canvases, geometry, 7, torch.Generator().manual_seed(seed))
            many.append(weighted_nats(network(example.inputs, geometry), example).item())
    assert got == pytest.approx(sum(many) / len(many), rel=0.03)
