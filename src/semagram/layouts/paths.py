"""Paths over a page: every cell of a rectangle once, in a telling order.

One set of paths serves two purposes: how a text is *laid* on the page (``Grid.laying``) and in which order a causal
model *writes* it (``Grid.scan``). A path is a list of cells ``y * width + x``. Tested: each is a permutation, those
that claim so step from neighbour to neighbour, and small ones are written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

PathName = Literal[
    "rows", "right_to_left", "snake", "columns", "diagonals", "spiral", "spiral_outwards", "hilbert", "random"
]


def path(name: PathName, height: int, width: int, seed: int = 0) -> list[int]:
    """The cells of a ``height`` x ``width`` page in the order of ``name``; ``seed`` is of the random one."""
    if name == "random":
        return _random(height, width, seed)
    return _PATHS[name](height, width)


def _rows(height: int, width: int) -> list[int]:
    """Row by row from the left."""
    return list(range(height * width))


def _right_to_left(height: int, width: int) -> list[int]:
    """Row by row from the right."""
    return [y * width + x for y in range(height) for x in reversed(range(width))]


def _snake(height: int, width: int) -> list[int]:
    """Row by row, back and forth (boustrophedon)."""
    return [y * width + (x if y % 2 == 0 else width - 1 - x) for y in range(height) for x in range(width)]


def _columns(height: int, width: int) -> list[int]:
    """Column by column from the top."""
    return [y * width + x for x in range(width) for y in range(height)]


def _diagonals(height: int, width: int) -> list[int]:
    """Anti-diagonal by anti-diagonal, each from its top."""
    return sorted(range(height * width), key=lambda cell: (sum(divmod(cell, width)), cell // width))


def _spiral(height: int, width: int) -> list[int]:
    """From the top left corner clockwise inwards."""
    top, bottom, left, right = 0, height, 0, width
    found: list[int] = []
    while top < bottom and left < right:
        found += [top * width + x for x in range(left, right)]
        found += [y * width + right - 1 for y in range(top + 1, bottom)]
        if bottom - top > 1:
            found += [(bottom - 1) * width + x for x in reversed(range(left, right - 1))]
        if right - left > 1:
            found += [y * width + left for y in reversed(range(top + 1, bottom - 1))]
        top, bottom, left, right = top + 1, bottom - 1, left + 1, right - 1
    return found


def _spiral_outwards(height: int, width: int) -> list[int]:
    """From the middle to the top left corner: the spiral backwards."""
    return _spiral(height, width)[::-1]


def _hilbert(height: int, width: int) -> list[int]:
    """Along Hilbert's curve through the smallest square of 2^k cells a side that covers the page.

    Cells outside the page are left out, so steps are between neighbours on square pages of 2^k, and short elsewhere.
    """
    side = 1
    while side < max(height, width):
        side *= 2
    places = (_hilbert_place(side, index) for index in range(side * side))
    return [y * width + x for y, x in places if y < height and x < width]


def _hilbert_place(side: int, index: int) -> tuple[int, int]:
    """Row and column of the ``index``-th cell of the curve through a square of ``side`` cells: from the smallest square
    of four upwards, each level saying into which quarter the cell falls and how that quarter is turned."""
    x = y = 0
    size = 1
    while size < side:
        index, quarter = divmod(index, 4)
        if quarter == 0:
            x, y = y, x
        elif quarter == 3:
            x, y = size - 1 - y, size - 1 - x
        if quarter in (2, 3):
            x += size
        if quarter in (1, 2):
            y += size
        size *= 2
    return y, x


def _random(height: int, width: int, seed: int) -> list[int]:
    """A random order that is the same on every machine."""
    from random import Random

    cells = list(range(height * width))
    Random(seed).shuffle(cells)
    return cells


_PATHS: dict[str, Callable[[int, int], list[int]]] = {
    "rows": _rows,
    "right_to_left": _right_to_left,
    "snake": _snake,
    "columns": _columns,
    "diagonals": _diagonals,
    "spiral": _spiral,
    "spiral_outwards": _spiral_outwards,
    "hilbert": _hilbert,
}
