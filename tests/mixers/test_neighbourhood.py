"""Neighbourhood attention: windows enumerated by hand, tiles against the dense mask, agreement with full attention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.stepping import close, gap
from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, MixedRotary, Neighbourhood, NoPositions, Rotary, attention, neighbourhood
from semagram.mixers.mixed_rotary import MixedFrequencies
from semagram.mixers.rotary import rotary_tables, rotate
from semagram.mixers.tiles import Tiling, tiled_attention
from semagram.mixers.windows import Window, visible

FULL, CAUSAL = Visibility.FULL, Visibility.CAUSAL


def seen_by_hand(at: int, length: int, size: int, dilation: int, causal: bool, slide: bool) -> set[int]:
    """The cells that ``at`` sees on an axis, said in other words than the code: the nearest of its own line."""
    line = [i for i in range(length) if i % dilation == at % dilation]
    place = line.index(at)
    if causal:
        return set(line[max(0, place - size + 1) : place + 1])
    first = place - size // 2
    if slide:
        while first + size > len(line):
            first -= 1
        first = max(first, 0)
    return {line[i] for i in range(first, first + size) if 0 <= i < len(line)}


WINDOWS = [
    Window((3, 3), 1, (False, False), True),
    Window((3, 5), 1, (False, False), False),
    Window((2, 4), 1, (False, False), True),
    Window((3, 3), 2, (False, False), True),
    Window((5, 3), 1, (True, False), True),
    Window((3, 4), 3, (True, True), False),
    Window((1, 1), 1, (False, False), True),
    Window((99, 99), 1, (False, False), True),
]
PAGES = [Grid(5, 7), Grid(11, 17), Grid(9, 8, "snake", "spiral"), Grid(1, 13), Sequence(130), Streams(6, 2), Grid(1, 1)]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("layout", [Grid(5, 7), Grid(4, 3, "diagonals", "hilbert"), Sequence(9)], ids=str)
def test_windows_are_those_enumerated_by_hand(window: Window, layout: Any) -> None:
    for visibility in (FULL, CAUSAL):
        geometry = Geometry.of(layout.positions(), visibility)
        mask = visible(geometry, window)
        coords = geometry.coords.tolist()
        sizes = [high - low + 1 for low, high in geometry.extent]
        axes = (0, 1) if len(sizes) == 2 else (1,)
        for i, one in enumerate(coords):
            sets = [
                seen_by_hand(one[k], sizes[k], window.sizes[axis], window.dilation, window.causal[axis], window.slide)
                for k, axis in enumerate(axes)
            ]
            expected = {
                j
                for j, other in enumerate(coords)
                if all(c in s for c, s in zip(other, sets, strict=True)) and (visibility is FULL or j <= i)
            }
            assert set(mask[i].nonzero()[:, 0].tolist()) == expected


def test_sliding_gives_every_cell_as_many_neighbours() -> None:
    mask = visible(Geometry.of(Grid(9, 6).positions(), FULL), Window((5, 3), 1, (False, False), True))
    assert (mask.sum(dim=1) == 15).all()


def compared(layout: Any, window: Window, visibility: Visibility, cells: Tensor | None = None) -> None:
    """Tiles against the dense mask, values and gradients. ``cells``: of a page with holes, those that are there."""
    torch.manual_seed(0)
    geometry = Geometry.of(layout.positions(), visibility)
    if cells is not None:
        geometry = Geometry(geometry.coords[cells], geometry.order[cells], visibility)
    n = geometry.count
    told = []
    for tiled in (True, False):
        torch.manual_seed(1)
        queries, keys, values = (torch.randn(2, n, 3, 4, requires_grad=True) for _ in range(3))
        if tiled:
            out = tiled_attention(queries, keys, values, Tiling.of(geometry, window, queries.dtype), 0.7)
        else:
            mask = visible(geometry, window)
            turned = [t.transpose(1, 2) for t in (queries, keys, values)]
            out = neighbourhood.reference(*turned, mask, 0.7).transpose(1, 2)
        cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
        told.append([out.detach(), *torch.autograd.grad(out, [queries, keys, values], cotangent)])
    for a, b in zip(*told, strict=True):
        assert close(a, b, 1e-5), gap(a, b)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("layout", PAGES, ids=str)
def test_tiles_are_the_dense_mask(layout: Any, window: Window, count) -> None:
    for visibility in (FULL, CAUSAL):
        compared(layout, window, visibility)
        count("fast paths against their references, values and gradients")


@pytest.mark.parametrize("window", WINDOWS[:5], ids=str)
def test_a_page_with_holes(window: Window) -> None:
    kept = torch.randperm(88, generator=torch.Generator().manual_seed(0))[:60].sort().values
    for visibility in (FULL, CAUSAL):
        compared(Grid(8, 11), window, visibility, kept)


@pytest.mark.parametrize("visibility", [FULL, CAUSAL])
@pytest.mark.parametrize("global_heads", [0, 2, 3])
def test_a_window_of_the_whole_page_is_full_attention(visibility: Visibility, global_heads: int) -> None:
    torch.manual_seed(0)
    wide: Any = Neighbourhood(heads=4, rows=9, columns=9, global_heads=global_heads).build(16)
    full: Any = Attention(heads=4).build(16)
    full.load_state_dict(wide.state_dict())
    geometry, x = Geometry.of(Grid(4, 5, "snake").positions(), visibility), torch.randn(2, 20, 16)
    assert close(wide(x, geometry), full(x, geometry), 1e-5)


def test_radius_nothing_sees_itself_alone() -> None:
    torch.manual_seed(0)
    mixer: Any = Neighbourhood(rows=1, columns=1).build(16)
    geometry, x = Geometry.of(Grid(3, 4).positions(), FULL), torch.randn(1, 12, 16)
    other = x.clone()
    other[:, 5] = 0
    moved = (mixer(x, geometry) != mixer(other, geometry)).any(-1)[0]
    assert moved.nonzero()[:, 0].tolist() == [5]


def test_memory_is_linear_in_cells() -> None:
    """Numbers kept a cell do not grow with the page."""
    window = WINDOWS[0]
    sizes = {}
    for side in (16, 64):
        tiling = Tiling.of(Geometry.of(Grid(side, side).positions(), FULL), window, torch.float32)
        sizes[side] = sum(part.mask.numel() for part in tiling.parts) / side**2
    assert sizes[64] == sizes[16] == (8 + 2) ** 2


@pytest.mark.parametrize("head_width", [4, 10])
def test_mixed_rotary_contains_the_axial_one(head_width: int) -> None:
    layout = Grid(4, 5)
    coords, planes = layout.positions().coords, head_width // 2
    mixed = MixedFrequencies(MixedRotary(), 3, head_width)
    share = planes - planes // 2
    with torch.no_grad():
        mixed.frequencies.zero_()
        mixed.frequencies[:, 0, :share] = 50.0 ** -(torch.arange(share) / share)
        mixed.frequencies[:, 1, share:] = 50.0 ** -(torch.arange(planes - share) / max(planes - share, 1))
    x = torch.randn(2, layout.count, 3, head_width)
    expected = rotary_tables(coords, head_width, 50.0)
    assert close(rotate(x, *mixed.tables(coords)), rotate(x, expected[0][:, None], expected[1][:, None]), 1e-5)


def test_mixed_rotary_knows_differences_alone_and_diagonals() -> None:
    torch.manual_seed(0)
    mixed = MixedFrequencies(MixedRotary(), 2, 8)
    a, b = torch.randn(2, 8), torch.randn(2, 8)

    def product(p: list[int], q: list[int]) -> Tensor:
        tables = mixed.tables(torch.tensor([p, q]))
        return (rotate(a, tables[0][0], tables[1][0]) * rotate(b, tables[0][1], tables[1][1])).sum(-1)

    assert close(product([2, 3], [5, 1]), product([12, 8], [15, 6]), 1e-4)
    assert not close(product([2, 3], [5, 1]), product([2, 3], [5, 5]), 1e-2)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="not divisible by 3 heads"):
        Neighbourhood(heads=3).build(16)
    for positions in (Rotary(), MixedRotary()):
        with pytest.raises(UserError, match="even head width, got 5"):
            Neighbourhood(heads=2, positions=positions).build(10)
    assert Neighbourhood(heads=2, positions=NoPositions()).build(10) is not None


def test_the_reference_is_attentions() -> None:
    assert neighbourhood.reference is attention.reference


@pytest.mark.parametrize("layout", [Grid(5, 6), Sequence(11)], ids=str)
def test_a_reach_is_a_gaussian_window_of_each_head(layout: Any) -> None:
    """The augmented product equals the plain score minus the squared distance over twice the squared radius."""
    torch.manual_seed(0)
    mixer: Any = Neighbourhood(heads=2, rows=5, columns=5, reach=1.5, positions=NoPositions()).build(8)
    with torch.no_grad():
        mixer.log_reach.copy_(torch.tensor([0.2, 1.3]))
    geometry, x = Geometry.of(layout.positions(), FULL), torch.randn(2, layout.count, 8)
    queries, keys, values = (t.transpose(1, 2)[..., :4] for t in mixer._project(x, geometry))
    coords = geometry.coords.float()
    distance = (coords[:, None] - coords[None]).square().sum(-1)
    scores = queries @ keys.transpose(2, 3) * mixer.scale - distance / (2 * (2 * mixer.log_reach).exp())[:, None, None]
    hidden = ~visible(geometry, mixer.window)
    expected = torch.softmax(scores.masked_fill(hidden, float("-inf")), -1) @ values
    assert close(mixer(x, geometry), mixer.outward(expected.transpose(1, 2).flatten(2)), 1e-5)
