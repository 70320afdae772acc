"""Tail focus by dilations is the strided network of every window, right-aligned; lags, histories and their reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import SparseConvolution, TailFocus, Tree
from semagram.mixers.lagged import Histories, Whole

WIDTH = 4


def strided(mixer: Any, config: TailFocus, window: Tensor) -> Tensor:
    """The network of one window ``(n, d)`` as the seed means it: strided convolutions, the last columns of each level.

    Right-aligned: the first columns that do not fill a stride are cut.
    """
    columns, parts = window, [window[len(window) - config.focus[0] :].flip(0).flatten()]
    for layer, kernel, stride, focus in zip(
        mixer.levels, config.kernels, config.strides, config.focus[1:], strict=True
    ):
        starts = range((len(columns) - kernel) % stride, len(columns) - kernel + 1, stride)
        joined = torch.stack([columns[s : s + kernel].flip(0).flatten() for s in starts])
        columns = normalise(F.silu(layer.map(joined)))
        parts.append(columns[len(columns) - focus :].flip(0).flatten())
    return mixer.outward(torch.cat(parts))


@pytest.mark.parametrize(
    "config",
    [
        TailFocus((3, 2), (2, 3), (2, 1, 2)),
        TailFocus((2,), (2,), (0, 3)),
        TailFocus((4, 2, 2), (2, 1, 2), (1, 0, 0, 2)),
        TailFocus((2, 2), (3, 1), (5, 2, 1)),
        TailFocus((), (), (3,)),
    ],
    ids=str,
)
def test_every_slot_is_a_strided_network_of_its_own_window(config: TailFocus, count) -> None:
    torch.manual_seed(0)
    mixer = config.build(WIDTH)
    n = config.reach + 6
    x = torch.randn(1, n, WIDTH)
    told = mixer(x, Geometry.of(Sequence(n).positions(), Visibility.CAUSAL))
    for slot in range(config.reach, n):
        window = x[0, slot - config.reach : slot + 1]
        assert torch.allclose(told[0, slot], strided(mixer, config, window), atol=1e-5)
        count("windows of tail focus as strided networks")


@pytest.mark.parametrize(
    ("config", "context"),
    [
        (TailFocus((3, 2), (2, 3), (2, 1, 2)), TailFocus((3, 2), (2, 3), (2, 1, 2)).reach + 1),
        (Tree(levels=3), 8),
        (SparseConvolution(kernel=3, levels=2), 9),
    ],
    ids=lambda c: str(c),
)
def test_a_slot_sees_exactly_its_context(config: Any, context: int) -> None:
    torch.manual_seed(0)
    mixer = config.build(WIDTH)
    n = context + 3
    x = torch.randn(1, n, WIDTH, requires_grad=True)
    mixer(x, Geometry.of(Sequence(n).positions(), Visibility.CAUSAL))[0, -1].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(-1) > 0
    assert not seen[: n - context].any() and bool(seen[n - context])


def test_histories_are_shifted_copies() -> None:
    x = torch.randn(2, 9, 3)
    whole, kept = Whole(None), Histories(2, 9, [(4, 3)], x)
    whole.put(0, x)
    found = []
    for part in x.split([1, 3, 5], dim=1):
        kept.put(0, part)
        found.append(kept.get(0, (0, 4, 2)))
        kept.advance()
    assert torch.equal(torch.cat(found, dim=1), whole.get(0, (0, 4, 2)))
    assert torch.equal(whole.get(0, (100,)), torch.zeros(2, 9, 3))


def test_levels_beyond_all_sense_are_refused() -> None:
    with pytest.raises(UserError, match="reach back"):
        Tree(levels=40)
    with pytest.raises(UserError, match="reach back"):
        SparseConvolution(kernel=1000, levels=3)
