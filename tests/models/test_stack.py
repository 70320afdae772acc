"""The stack by itself: cross slot, prefix, conditions, depth; residual forms that no peer has, by their formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laws.cases import shaken
from laws.stepping import close, gap
from semagram.errors import UserError
from semagram.feedforward import MLP, AdaptiveRMSNorm, RMSNorm
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import Transformer
from semagram.models.depth_attention import DepthAttention
from semagram.models.embedding import Embedding, LearnedPositions
from semagram.models.hyper_connections import HyperConnections, doubly_stochastic
from semagram.models.joins import Highway
from semagram.models.layers import Layers, Letters, SandwichOrder
from semagram.models.residual import Residual
from semagram.models.scales import Gate, ReZero
from semagram.models.skips import UNetSkips
from semagram.models.stack import Blocks

WIDTH, LENGTH = 16, 7
GEOMETRY = Geometry.of(Sequence(LENGTH).positions(), Visibility.CAUSAL)


class MeanOfContext(nn.Module):
    """A cross-attention of the simplest kind: the mean of the context through a linear map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.outward = nn.Linear(width, width, bias=False)

    def output_projections(self) -> list[nn.Linear]:
        return [self.outward]

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.outward(x * context.mean(dim=1, keepdim=True))

    def new_state(self, context: Tensor) -> Tensor:
        return context.mean(dim=1, keepdim=True)

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        return self.outward(x * state)


class Crossing:
    """Its config."""

    def build(self, width: int) -> nn.Module:
        return MeanOfContext(width)


def stack(cross: Any = None, **fields: Any) -> Any:
    torch.manual_seed(0)
    return shaken(Blocks(**{"width": WIDTH, "depth": 2, **fields}).build(cross)).eval()


@pytest.mark.parametrize("residual", [Residual(), Residual("after"), Residual(join=HyperConnections(2))], ids=str)
def test_a_cross_slot_steps_as_it_runs(residual: Residual) -> None:
    net = stack(Crossing(), residual=residual)
    x, context = torch.randn(3, LENGTH, WIDTH), torch.randn(3, 4, WIDTH)
    with torch.no_grad():
        whole = net(x, GEOMETRY, context)
        for chunks in ([1] * LENGTH, [2, 4, 1]):
            state = net.new_state(3, GEOMETRY, context)
            stepped = torch.cat([net.step(part, state) for part in x.split(chunks, dim=1)], dim=1)
            assert close(stepped, whole), gap(stepped, whole)
        assert not torch.equal(net(x, GEOMETRY, context + 1.0), whole)


def test_a_cross_slot_has_no_place_beside_parallel_branches() -> None:
    with pytest.raises(UserError, match="no place for cross-attention"):
        Blocks(width=WIDTH, residual=Residual(parallel="own_norms")).build(Crossing())


def test_a_prefix_is_seen_and_leaves_places_alone() -> None:
    net = stack()
    x, prefix = torch.randn(2, LENGTH, WIDTH), torch.randn(2, 3, WIDTH)
    answers = [net(torch.cat([p, x], dim=1), GEOMETRY.preceded(3))[:, 3:] for p in (prefix, prefix + 1.0)]
    assert (answers[0] != answers[1]).any(-1).all()
    assert GEOMETRY.preceded(3) is GEOMETRY.preceded(3) and GEOMETRY.preceded(3).coords[:, 0].tolist()[:4] == [
        -3,
        -2,
        -1,
        0,
    ]


def test_a_condition_must_be_there_exactly_when_needed() -> None:
    layout, ids = Sequence(LENGTH), torch.zeros(2, LENGTH, dtype=torch.long)
    plain = Transformer(WIDTH, 1).build(5, layout, Visibility.CAUSAL)
    steered = Transformer(WIDTH, 1, norm=AdaptiveRMSNorm(3)).build(5, layout, Visibility.CAUSAL)
    with pytest.raises(ValueError, match="no part of the network uses one"):
        plain(ids, GEOMETRY, torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"needs a condition \(b, 3\)"):
        steered(ids, GEOMETRY)
    with pytest.raises(ValueError, match=r"3 features, got \(2, 4\)"):
        steered(ids, GEOMETRY, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="has none"):
        plain(ids, GEOMETRY, categories=torch.zeros(2, LENGTH, 1, dtype=torch.long))
    with pytest.raises(UserError, match=r"widths \[2, 3\]"):
        residual = Residual(scale=Gate(2))
        Transformer(WIDTH, 1, norm=AdaptiveRMSNorm(3), residual=residual).build(5, layout, Visibility.CAUSAL)


def test_a_condition_of_a_row_is_that_of_all_its_positions() -> None:
    net = stack(norm=AdaptiveRMSNorm(3), residual=Residual(scale=Gate(3)), registers=2)
    x, condition = torch.randn(2, LENGTH, WIDTH), torch.randn(2, 3)
    everywhere = condition[:, None].expand(-1, LENGTH, -1)
    one, other = net(x, GEOMETRY, None, condition), net(x, GEOMETRY, None, everywhere)
    assert not close(one, other, 1e-5)  # registers have a row's condition, but none of a position's
    bare = stack(norm=AdaptiveRMSNorm(3), residual=Residual(scale=Gate(3)))
    assert close(bare(x, GEOMETRY, None, condition), bare(x, GEOMETRY, None, everywhere), 1e-6)


def test_widths_taper_and_blocks_are_shared() -> None:
    tapered = stack(depth=3, layers=Layers(taper=0.5), feedforward=MLP(4.0))
    assert [block.feedforward.up.out_features for block in tapered] == [64, 48, 32]
    exact = stack(depth=3, layers=Layers(taper=2.0), feedforward=MLP(hidden=10))
    assert [block.feedforward.up.out_features for block in exact] == [10, 15, 20]
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert count(stack(depth=6, layers=Layers(distinct=2))) == count(stack(depth=2))
    assert stack(depth=5, layers=Layers(distinct=2, loops=2)).order == [0, 1, 0, 1, 0] * 2


def test_what_does_not_fit_is_refused() -> None:
    for fields, word in (
        ({"layers": Layers(distinct=2)}, "below the 2 blocks"),
        ({"layers": Layers(SandwichOrder(3))}, "at most model.depth"),
        ({"layers": Layers(Letters("f"), alternate=(Transformer().mixer,))}, "more than the mixer slots"),
        ({"depth": 1, "layers": Layers(skips=UNetSkips())}, "at least 2 blocks"),
        ({"layers": Layers(skips=UNetSkips()), "residual": Residual(join=HyperConnections())}, "keeps several"),
        ({"layers": Layers(loops=2, fewest_loops=1), "residual": Residual(join=DepthAttention())}, "keeps several"),
    ):
        with pytest.raises(UserError, match=word):
            Transformer(**{"width": WIDTH, "depth": 2, **fields})
    far = Transformer(WIDTH, 1, embedding=Embedding(LearnedPositions(3)))
    with pytest.raises(UserError, match="at least 4 for"):
        far.build(5, Grid(2, 4), Visibility.CAUSAL)
    network = far.build(5, Sequence(3), Visibility.CAUSAL)
    with pytest.raises(ValueError, match="beyond the 3 learned positions"):
        network(torch.zeros(1, LENGTH, dtype=torch.long), GEOMETRY)


def by_hand(net: Any, x: Tensor, join: Any) -> Tensor:
    """Branch after branch, ``join(h, index, f)``, and the final norm."""
    h, index = x, 0
    for block in net:
        for norm, part in (
            (block.mixer_norm, lambda y, b=block: b.mixer(y, GEOMETRY)),
            (block.feedforward_norm, block.feedforward),
        ):
            h = join(h, index, block, lambda y, n=norm, p=part: p(y if n is None else n(y)))
            index += 1
    return net.norm(h)


def test_highway_and_rezero() -> None:
    x = torch.randn(2, LENGTH, WIDTH)

    def highway(h: Tensor, index: int, block: Any, f: Any) -> Tensor:
        gate = (block.mixer_way, block.feedforward_way)[index % 2].join.gate
        t = torch.sigmoid(gate(h))
        return (1 - t) * h + t * f(h)

    def rezero(h: Tensor, index: int, block: Any, f: Any) -> Tensor:
        return h + (block.mixer_way, block.feedforward_way)[index % 2].scale.factor * f(h)

    for residual, join in ((Residual(join=Highway()), highway), (Residual("none", scale=ReZero()), rezero)):
        net = stack(residual=residual)
        assert close(net(x, GEOMETRY), by_hand(net, x, join), 1e-5)
    fresh = Blocks(WIDTH, 2, residual=Residual("none", scale=ReZero())).build()
    assert torch.equal(fresh(x, GEOMETRY), fresh.norm(x)), "ReZero begins as nothing"
    assert all(bool(part.output_projections()[0].weight.any()) for b in fresh for part in b.branches())


def test_attention_over_depth_with_a_learned_query() -> None:
    net, x = stack(residual=Residual(join=DepthAttention())), torch.randn(2, LENGTH, WIDTH)
    states = [x]

    def join(h: Tensor, index: int, block: Any, f: Any) -> Tensor:
        way = (block.mixer_way, block.feedforward_way)[index % 2]
        read = h
        if index:
            norms = torch.stack(
                [s * s.square().mean(-1, keepdim=True).add(torch.finfo(s.dtype).eps).rsqrt() for s in states]
            )
            scores = (norms * way.join.key_norm.weight) @ way.join.query * WIDTH**-0.5
            read = (torch.softmax(scores, dim=0)[..., None] * torch.stack(states)).sum(0)
        states.append(h + f(read))
        return states[-1]

    assert close(net(x, GEOMETRY), by_hand(net, x, join), 1e-5)


def test_unconstrained_hyper_connections() -> None:
    config = HyperConnections(3, sinkhorn=None)
    net, x = stack(residual=Residual(join=config)), torch.randn(2, LENGTH, WIDTH)
    streams = [x.clone() for _ in range(3)]
    for block in net:
        for slot in ("mixer", "feedforward"):
            join = getattr(block, f"{slot}_way").join
            seen = [nn.functional.layer_norm(s, (WIDTH,), join.norm.weight) for s in streams]
            alpha = [
                join.static_mixing[i] + join.mixing_scale * torch.tanh(s @ join.mixing) for i, s in enumerate(seen)
            ]
            beta = [
                join.static_writing[i] + join.writing_scale * torch.tanh(s @ join.writing) for i, s in enumerate(seen)
            ]
            read = getattr(block, f"{slot}_norm")(sum(a[..., :1] * s for a, s in zip(alpha, streams, strict=True)))
            y = block.mixer(read, GEOMETRY) if slot == "mixer" else block.feedforward(read)
            streams = [
                sum(a[..., t + 1, None] * s for a, s in zip(alpha, streams, strict=True)) + beta[t][..., None] * y
                for t in range(3)
            ]
    assert close(net(x, GEOMETRY), net.norm(sum(streams)), 1e-5)


def test_sinkhorn_makes_rows_and_columns_sum_to_one() -> None:
    matrix = doubly_stochastic(torch.randn(5, 4, 4), rounds=30)
    assert (matrix >= 0).all()
    for axis in (-1, -2):
        assert close(matrix.sum(axis), torch.ones(5, 4), 1e-4)


def test_hyper_connections_begin_as_pre_norm() -> None:
    """Unconstrained and unlearned they read one stream each and write to all: the sum of pre-norm."""
    x = torch.randn(2, LENGTH, WIDTH)
    plain = stack(norm=RMSNorm(epsilon=1e-12))
    torch.manual_seed(0)
    join = HyperConnections(2, dynamic=False, sinkhorn=None)
    hyper = Blocks(WIDTH, 2, norm=RMSNorm(epsilon=1e-12), residual=Residual(join=join)).build().eval()
    hyper.load_state_dict({**hyper.state_dict(), **plain.state_dict()})
    assert close(hyper(x, GEOMETRY), plain(x, GEOMETRY), 1e-5)


def test_loops_drawn_in_training() -> None:
    net = stack(layers=Layers(loops=3, fewest_loops=1))
    all_loops = replace(Blocks(WIDTH, 2), layers=Layers(loops=3)).build().eval()
    all_loops.load_state_dict(net.state_dict())
    x = torch.randn(64, LENGTH, WIDTH)
    assert torch.equal(net(x, GEOMETRY), all_loops(x, GEOMETRY))
    ends = []
    for loops in (1, 2, 3):
        fewer = Blocks(WIDTH, 2, layers=Layers(loops=loops)).build().eval()
        fewer.load_state_dict(net.state_dict())
        ends.append(fewer(x, GEOMETRY))
    drawn = net.train()(x, GEOMETRY)
    counts = [sum(bool(torch.equal(drawn[row], end[row])) for row in range(64)) for end in ends]
    assert sum(counts) == 64 and all(count > 8 for count in counts), counts


def test_stochastic_depth_keeps_the_mean() -> None:
    net = stack(depth=1, residual=Residual("none", drop=0.5))
    block = net[0]
    y = torch.ones(4000, 1, WIDTH)
    block.train()
    shares = [
        float((getattr(block, f"{slot}_way").shaped(y, None)[:, 0, 0] > 0).float().mean()) for slot in block.slots
    ]
    assert shares[0] == pytest.approx(0.75, abs=0.03) and shares[1] == pytest.approx(0.5, abs=0.03)
    assert float(block.feedforward_way.shaped(y, None).mean()) == pytest.approx(1.0, abs=0.06)
