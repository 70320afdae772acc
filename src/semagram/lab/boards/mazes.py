"""Mazes: walls, ways, and the one way from the top left to the bottom right. A local rule and a global answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.lab.boards.contract import UNKNOWN

WALL, OPEN, WAY = 0, 1, 2


@dataclass(frozen=True)
class Maze:
    """A tree of ``rooms`` x ``rooms`` rooms; between two rooms there is exactly one way."""

    rooms: int = 4
    """Rooms a side; the page has 2 * rooms - 1 cells a side."""

    def __post_init__(self) -> None:
        if self.rooms < 2:
            raise UserError(f"a maze has at least 2 rooms a side, got {self.rooms}.")

    @property
    def height(self) -> int:
        """Rows."""
        return 2 * self.rooms - 1

    @property
    def width(self) -> int:
        """Columns."""
        return 2 * self.rooms - 1

    @property
    def symbols(self) -> str:
        """Wall, open, way."""
        return "# *"

    def boards(self, count: int, seed: int) -> np.ndarray:
        """Solved mazes: random depth-first trees."""
        random = np.random.default_rng((seed, 0))
        return np.stack([self._one(random).reshape(-1) for _ in range(count)])

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The walls are known; which open cells are on the way is not."""
        boards = self.boards(count, seed)
        return np.where(boards == WALL, WALL, UNKNOWN), boards

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """The open cells are a tree with every room in it, and those marked are its way from corner to corner."""
        return np.array([self._fits(b.reshape(self.height, self.width)) for b in boards])

    def _one(self, random: np.random.Generator) -> np.ndarray:
        page = np.full((self.height, self.width), WALL)
        page[0, 0] = OPEN
        way: list[tuple[int, int]] = [(0, 0)]
        while way:
            y, x = way[-1]
            ahead = [
                (y + dy, x + dx)
                for dy, dx in ((0, 2), (2, 0), (0, -2), (-2, 0))
                if 0 <= y + dy < self.height and 0 <= x + dx < self.width and page[y + dy, x + dx] == WALL
            ]
            if not ahead:
                way.pop()
                continue
            to = ahead[random.integers(len(ahead))]
            page[to] = page[(y + to[0]) // 2, (x + to[1]) // 2] = OPEN
            way.append(to)
        found = _way(page)
        assert found is not None
        for cell in found:
            page[cell] = WAY
        return page

    def _fits(self, page: np.ndarray) -> bool:
        rooms = page[::2, ::2]
        tree = bool((rooms != WALL).all()) and int((page != WALL).sum()) == 2 * self.rooms**2 - 1
        tree = tree and bool((page[1::2, 1::2] == WALL).all())
        found = _way(page)
        return tree and found is not None and set(found) == set(map(tuple, np.argwhere(page == WAY).tolist()))


def _way(page: np.ndarray) -> list[tuple[int, int]] | None:
    """The cells from the top left to the bottom right corner, walls apart; none if there is no way."""
    goal = (page.shape[0] - 1, page.shape[1] - 1)
    if page[0, 0] == WALL:
        return None
    before: dict[tuple[int, int], tuple[int, int] | None] = {(0, 0): None}
    queue = [(0, 0)]
    for y, x in queue:
        for to in ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x)):
            if 0 <= to[0] <= goal[0] and 0 <= to[1] <= goal[1] and page[to] != WALL and to not in before:
                before[to] = (y, x)
                queue.append(to)
    if goal not in before:
        return None
    found, at = [], goal
    while at is not None:
        found.append(at)
        at = before[at]  # type: ignore[assignment]
    return found[::-1]
