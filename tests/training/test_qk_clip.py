"""QK-clip: what is too large becomes exactly the limit, and nothing else moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution, ValueResidual, Window
from semagram.models import Transformer
from semagram.training.qk_clip import clip, largest_scores

CASES = [
    Attention(4, sharpness=None),
    Attention(4, None, 2, sharpness=None, input_bias=True, reach=Window(3)),
    Attention(4, None, 4, sharpness=None, input_bias=True, value_residual=ValueResidual()),
]


@pytest.mark.parametrize("mixer", CASES, ids=["plain", "grouped", "sharing values"])
def test_heads_above_the_limit_come_down_to_it(mixer: Attention) -> None:
    torch.manual_seed(0)
    network: Any = Transformer(16, 2, mixer=mixer).build(7, Sequence(9), Visibility.CAUSAL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))
    ids, geometry = torch.randint(0, 7, (3, 9)), Geometry.line(9, Visibility.CAUSAL)
    told = network(ids, geometry)
    before = largest_scores(network, lambda: network(ids, geometry))
    assert len(before) == 2 and torch.equal(network(ids, geometry), told)
    first, large = next(iter(before.items()))
    limit = float(large.sort().values[1:3].mean())
    weights = first.inward.weight.clone()
    assert clip({first: large}, limit) == 2
    after = largest_scores(network, lambda: network(ids, geometry))[first]
    assert torch.allclose(after, large.clamp(max=limit), rtol=1e-4)
    moved = (first.inward.weight != weights).any(dim=1).unflatten(0, (-1, first.head_width)).any(dim=1)
    assert moved[: first.heads].tolist() == (large > limit).tolist()
    assert not moved[first.heads + first.key_value_heads :].any()
    assert clip({first: after}, limit * 1.01) == 0


def test_what_cannot_grow_is_refused() -> None:
    geometry, ids = Geometry.line(4, Visibility.CAUSAL), torch.zeros(1, 4, dtype=torch.long)
    for mixer in (Attention(), Convolution()):
        network = Transformer(16, 1, mixer=mixer).build(7, Sequence(4), Visibility.CAUSAL)
        with pytest.raises(UserError, match="sharpness=None"):
            largest_scores(network, lambda net=network: net(ids, geometry))
    with pytest.raises(UserError, match="above 0"):
        clip({}, 0.0)
