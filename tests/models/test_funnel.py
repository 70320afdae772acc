"""The funnel beside its formula: the pooling pair by pair, and a whole funnel written out."""

from __future__ import annotations

import pytest
import torch

from laws.stepping import close
from laws.test_fast_and_slow import compared
from semagram.layouts import Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Context, CrossAttention
from semagram.models import Blocks, Encoder, Funnel
from semagram.models import funnel as funnels

WIDTH = 16


def built(**changed: object) -> funnels.FunnelNetwork:
    torch.manual_seed(0)
    blocks = Blocks(WIDTH, 1)
    network = Funnel(**{"encoder": Encoder(7, blocks), "stages": (1, 2), "blocks": blocks, **changed}).build()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return network.eval()


@pytest.mark.parametrize("n", [1, 2, 5, 8, 13])
@pytest.mark.parametrize("padded", [False, True])
def test_pairs_are_pooled(n: int, padded: bool) -> None:
    keep = torch.rand(3, n, generator=torch.Generator().manual_seed(n)) > 0.4 if padded else None
    compared(
        lambda x: funnels.halved(Context(x, keep)).features,
        lambda x: funnels.reference(x, keep),
        torch.randn(3, n, 4),
    )


@pytest.mark.parametrize("n", [1, 3, 9])
def test_a_whole_funnel_is_the_formula(n: int) -> None:
    """The pooled attention without its library kernel: softmax(q k) v of pooled queries and unpooled keys."""
    look = CrossAttention(heads=2, sharpness=None)
    network = built(look=look)
    ids = torch.randint(0, 7, (2, n), generator=torch.Generator().manual_seed(n))
    first = network.encoder(ids).features
    row, count = first, n
    for number, stage in enumerate(network.stages):
        short = funnels.reference(row, None)
        heads = (2, WIDTH // 2)
        queries = stage.look.queries(stage.query_norm(short)).unflatten(-1, heads).transpose(1, 2)
        both = stage.look.keys_values(stage.look_norm(row)).unflatten(-1, (4, WIDTH // 2)).transpose(1, 2)
        weights = (queries @ both[:, :2].transpose(-1, -2) / (WIDTH // 2) ** 0.5).softmax(-1)
        row = short + stage.look.outward((weights @ both[:, 2:]).transpose(1, 2).flatten(2))
        row = row + stage.feedforward(stage.feedforward_norm(row))
        count = (count + 1) // 2
        if stage.blocks is not None:
            places = torch.arange(count)[:, None] * 2 ** (number + 1)
            row = stage.blocks(row, Geometry(places, torch.arange(count), Visibility.FULL))
    assert row.shape == (2, count, WIDTH)
    long = torch.stack([row[:, i // 4] + first[:, i] for i in range(n)], dim=1)
    wanted = network.last(long, Geometry.line(n, Visibility.FULL))
    assert close(network(ids).features, wanted, 1e-5)
    short_one = built(look=look, restore=False)
    short_one.load_state_dict(network.state_dict(), strict=False)
    assert close(short_one(ids).features, row, 1e-5)


def test_a_row_is_the_same_however_much_padding_follows_it() -> None:
    network = built()
    ids = torch.randint(1, 7, (2, 5))
    longer = torch.nn.functional.pad(ids, (0, 6))
    keep = torch.arange(11)[None] < torch.tensor([[5], [5]])
    assert close(network(longer, keep).features[:, :5], network(ids).features, 1e-5)
