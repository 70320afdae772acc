"""Choosing where to look, merging what is alike, windows of a learnt size: each against its definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.stepping import close
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import AdaptiveSpan, Alike, Attention, NoPositions, Routed, alike, routed
from semagram.mixers.attention_parts.distances import distances

FULL = Visibility.FULL


def filled(module: Any, seed: int = 0) -> Any:
    """The module with random weights everywhere."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def holes(n: int) -> Tensor:
    """Two rows with padding in other places."""
    return torch.stack([torch.arange(n) < n - 3, torch.arange(n) % 5 != 2])


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("layout", [Grid(7, 5), Grid(4, 4), Sequence(11), Grid(1, 1)], ids=str)
def test_routed_blocks_are_the_dense_mask(layout: Any, padded: bool) -> None:
    n = layout.count
    geometry = Geometry.of(layout.positions(), FULL, holes(n) if padded else None)
    cut = routed.Cut.of(geometry, 2)
    torch.manual_seed(1)
    found = []
    for way in (routed.routed, routed.reference):
        torch.manual_seed(1)
        parts = [torch.randn(2, 3, n, 4, requires_grad=True) for _ in range(3)]
        kept = torch.ones(2, n, dtype=torch.bool) if geometry.keep is None else geometry.keep
        told = way(*parts, cut, 3, 0.7) * kept[:, None, :, None]
        told.square().sum().backward()
        found.append((told.detach(), *(p.grad for p in parts)))
    for fast, slow in zip(*found, strict=True):
        close(fast, slow)


def test_routed_to_everything_is_attention_and_to_little_is_not() -> None:
    geometry = Geometry.of(Grid(6, 6).positions(), FULL)
    x = torch.randn(2, 36, 16, generator=torch.Generator().manual_seed(0))
    whole = filled(Attention(heads=4).build(16))
    for blocks, same in ((9, True), (99, True), (2, False)):
        mixer = Routed(heads=4, side=2, blocks=blocks).build(16)
        mixer.load_state_dict(whole.state_dict())
        assert torch.allclose(mixer(x, geometry), whole(x, geometry), atol=1e-5) == same


def test_a_block_finds_what_it_asks_for_wherever_it_stands() -> None:
    """Every block's queries are one block's keys: that block is read, and its own."""
    cut = routed.Cut.of(Geometry.of(Grid(8, 8).positions(), FULL), 4)
    names = torch.eye(4)[torch.tensor([2, 0, 3, 1])]
    of = cut.home // cut.size
    queries, keys = names[of][None, None], torch.eye(4)[of][None, None]
    blocks = routed.chosen(cut.laid(queries), cut.laid(keys), cut, 2)
    assert blocks[0, 0].tolist() == [[0, 2], [1, 0], [2, 3], [3, 1]]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_equal_cells_merged_and_handed_back_are_attention(share: float) -> None:
    """Pairs of equal cells: merging them changes nothing, exactly."""
    x = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0)).repeat_interleave(2, dim=1)
    geometry = Geometry.of(Sequence(12).positions(), FULL)
    whole = filled(Attention(heads=4, positions=NoPositions()).build(16))
    mixer = Alike(heads=4, share=share, positions=NoPositions()).build(16)
    mixer.load_state_dict(whole.state_dict())
    close(mixer(x, geometry), whole(x, geometry))


@pytest.mark.parametrize("padded", [False, True])
def test_merged_cells_against_the_definition(padded: bool) -> None:
    n = 13
    found = []
    group, sizes = alike.groups(torch.randn(2, n, 4, generator=torch.Generator().manual_seed(3)), 0.4, None)
    assert sizes.sum(dim=1).tolist() == [n, n]
    assert sizes.shape[1] == n - int(0.4 * n)
    for way in (lambda s: alike.among(s, group, sizes, 0.7), lambda s: alike.reference(s, group, 0.7)):
        torch.manual_seed(1)
        stacked = torch.randn(2, n, 3, 2, 4, requires_grad=True)
        told = way(stacked)
        told.square().sum().backward()
        found.append((told.detach(), stacked.grad))
    for fast, slow in zip(*found, strict=True):
        close(fast, slow)
    if padded:  # the kept cells are grouped as if they stood alone
        keep = holes(n)
        names = torch.randn(2, n, 4, generator=torch.Generator().manual_seed(3))
        group, _ = alike.groups(names, 0.4, keep)
        for row in range(2):
            alone, _ = alike.groups(names[row, keep[row]][None], 0.4, None)
            mine = group[row, keep[row]]
            assert torch.equal(mine[:, None] == mine, alone[0][:, None] == alone[0])


def test_the_pairs_that_are_most_alike_are_merged() -> None:
    names = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [1.0, 0.1], [-1.0, 0.5], [-1.0, -1.0]]])
    group, sizes = alike.groups(names, 0.34, None)  # two of six: cells 0 (like 3) and 2 (like 1)
    assert group.tolist() == [[1, 0, 0, 1, 2, 3]]
    assert sizes.tolist() == [[2.0, 2.0, 1.0, 1.0]]


def test_adaptive_span_is_the_papers_formula() -> None:
    bias = AdaptiveSpan(start=2.0, softness=3.0, penalty=0.5).build(2)
    with torch.no_grad():
        bias.log_span += torch.tensor([0.0, 0.4])
    coords = Grid(4, 6).positions().coords
    scores = torch.randn(2, 24, 24, generator=torch.Generator().manual_seed(0))
    apart = distances(coords, coords)
    weights = torch.softmax(scores + bias(apart, False), dim=-1)
    for head, span in enumerate(bias.log_span.exp().tolist()):
        for i in range(24):
            m = [min(max((3.0 + span - max(abs(a) for a in d)) / 3.0, 0.0), 1.0) for d in apart[i].tolist()]
            raw = [w * float(s.exp()) for w, s in zip(m, scores[head, i], strict=True)]
            assert weights[head, i].tolist() == pytest.approx([r / sum(raw) for r in raw], abs=1e-5)
    assert bias.carried.take()["span"].item() == pytest.approx(0.5 * bias.log_span.exp().mean().item())
    assert not bias.eval()(apart, False).isnan().any() and bias.carried.take() == {}


def test_a_head_learns_how_far_to_look() -> None:
    """What is asked stands 5 cells back: the window grows until it reaches it. With a penalty alone it shrinks."""
    distance = distances(torch.arange(12)[:, None], torch.arange(12)[:, None])
    for wanted, grows in ((True, True), (False, False)):
        bias = AdaptiveSpan(start=3.0, softness=4.0, penalty=0.05).build(1)
        stepper = torch.optim.Adam(bias.parameters(), 0.1)
        for _ in range(20):
            weights = torch.softmax(bias(distance, True)[0].masked_fill(distance[..., 0] < 0, -1e9), dim=-1)
            loss = bias.carried.take()["span"]
            if wanted:
                loss = loss - weights[torch.arange(5, 12), torch.arange(7)].log().mean()
            stepper.zero_grad()
            loss.backward()
            stepper.step()
        assert (bias.log_span.exp().item() > 3.0) == grows
