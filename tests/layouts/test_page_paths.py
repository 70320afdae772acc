"""Paths over the page: permutations that step as they promise; layings and scans that go there and back."""

from __future__ import annotations

import itertools
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.layouts import Grid
from semagram.layouts.grid import Laying, Scan
from semagram.layouts.paths import PathName, path

NAMES = typing.get_args(PathName)
STEPS_TO_A_NEIGHBOUR = {"snake", "spiral", "spiral_outwards"}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))
def test_a_path_goes_everywhere_once(name: PathName, height: int, width: int, seed: int) -> None:
    cells = path(name, height, width, seed)
    assert sorted(cells) == list(range(height * width))
    if name in STEPS_TO_A_NEIGHBOUR:
        assert all(_apart(a, b, width) == 1 for a, b in itertools.pairwise(cells))


@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
def test_hilberts_curve_steps_to_a_neighbour_and_stays_near(side: int) -> None:
    cells = path("hilbert", side, side)
    assert all(_apart(a, b, side) == 1 for a, b in itertools.pairwise(cells))
    for start in range(0, side * side, 16):  # each run of 16 is a square of 4 x 4
        rows = {cell // side for cell in cells[start : start + 16]}
        assert len(rows) <= 4


def test_small_paths_by_hand() -> None:
    assert path("right_to_left", 2, 3) == [2, 1, 0, 5, 4, 3]
    assert path("columns", 2, 3) == [0, 3, 1, 4, 2, 5]
    assert path("spiral", 3, 3) == [0, 1, 2, 5, 8, 7, 6, 3, 4]
    assert path("spiral_outwards", 2, 3) == [3, 4, 5, 2, 1, 0]
    assert path("spiral", 3, 1) == [0, 1, 2]
    assert path("hilbert", 2, 2) == [0, 2, 3, 1]
    assert path("random", 4, 4, 1) != path("random", 4, 4, 2)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(typing.get_args(Laying)), st.integers(1, 7), st.integers(1, 7))
def test_a_text_comes_back_from_the_page(laying: Laying, height: int, width: int) -> None:
    layout = Grid(height, width, laying=laying)
    tokens = [str(i) for i in range(layout.count)]
    page = layout.rows_of(tokens)
    coords = layout.positions().coords.tolist()
    assert [page[y][x] for y, x in coords] == tokens


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(typing.get_args(Laying)),
    st.sampled_from(typing.get_args(Scan)),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_scan_and_laying_have_nothing_to_do_with_each_other(
    laying: Laying, scan: Scan, height: int, width: int
) -> None:
    """The places come in the order of the scan, whatever the laying; the text's scan is the laying."""
    order = tuple(reversed(range(height * width))) if scan == "given" else ()
    layout = Grid(height, width, scan, laying, order=order)
    positions = layout.positions()
    visited = [y * width + x for y, x in positions.coords[positions.order()].tolist()]
    expected = {"text": path(laying, height, width), "given": list(order)}
    assert visited == (expected[scan] if scan in expected else path(scan, height, width))  # type: ignore[index, arg-type]


def test_what_cannot_act_is_refused() -> None:
    with pytest.raises(UserError, match="seed 1 cannot act"):
        Grid(2, 2, seed=1)
    with pytest.raises(UserError, match="cannot act"):
        Grid(2, 2, order=(0, 1, 2, 3))
    with pytest.raises(UserError, match="each of the 4 places"):
        Grid(2, 2, "given", order=(0, 1, 2))


def _apart(a: int, b: int, width: int) -> int:
    return abs(a // width - b // width) + abs(a % width - b % width)
