"""Pooling heads: padding does not matter, and attention pooling is torch's multi-head attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from laws.stepping import close, gap
from semagram.config import members
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models.pooling import AttentionPool, FirstPool, MeanPool, Pooling

WIDTH, LENGTH = 8, 5
WHOLE = Geometry.of(Sequence(LENGTH).positions(), Visibility.FULL)


@pytest.mark.parametrize("config", [MeanPool(), FirstPool(), AttentionPool(3, 2)], ids=lambda c: type(c).__name__)
def test_padding_does_not_matter(config: Any) -> None:
    torch.manual_seed(0)
    layer, x = config.build(WIDTH), torch.randn(2, LENGTH, WIDTH)
    for kept in (slice(1, None), slice(0, 3)):
        keep = torch.zeros(2, LENGTH, dtype=torch.bool)
        keep[:, kept] = True
        padded = Geometry(WHOLE.coords, WHOLE.order, WHOLE.visibility, keep)
        bare = Geometry(WHOLE.coords[kept], WHOLE.order[kept], WHOLE.visibility)
        told, short = layer(torch.where(keep[:, :, None], x, 1e6), padded), layer(x[:, kept], bare)
        assert told.shape == (2, getattr(config, "queries", 1), WIDTH)
        assert close(told, short, 1e-5), gap(told, short)


def test_every_kind_is_tested_above() -> None:
    assert set(members(Pooling)) == {MeanPool, FirstPool, AttentionPool}


def test_attention_pooling_is_multi_head_attention() -> None:
    torch.manual_seed(0)
    layer, x = AttentionPool(3, 2).build(WIDTH), torch.randn(2, LENGTH, WIDTH)
    peer = nn.MultiheadAttention(WIDTH, 2, bias=False, batch_first=True)
    with torch.no_grad():
        peer.in_proj_weight.copy_(torch.cat([torch.eye(WIDTH), layer.inward.weight]))
        peer.out_proj.weight.copy_(layer.outward.weight)
    keep = torch.tensor([[True] * LENGTH, [True, True, False, True, False]])
    queries = layer.queries.expand(2, -1, -1)
    theirs = peer(queries, x, x, key_padding_mask=~keep)[0]
    mine = layer(x, Geometry(WHOLE.coords, WHOLE.order, WHOLE.visibility, keep))
    assert close(mine, theirs, 1e-5), gap(mine, theirs)
    gradients = [torch.autograd.grad(y.square().sum(), layer.queries)[0] for y in (mine, theirs)]
    assert close(*gradients, 1e-5), gap(*gradients)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="must divide the width 8, got 3"):
        AttentionPool(heads=3).build(8)
    with pytest.raises(UserError, match="at least 1, got 0"):
        AttentionPool(queries=0)
