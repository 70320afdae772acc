"""A small decision tree on the last few characters of a text, that can be read: fitted, applied and written as code.

A question is "is the character at distance j one of these?". The best question of a node is sought for each distance:
characters are ordered along the first principal direction of what they say of the classes (for two classes this order
holds the best split, Breiman et al. 1984), and every cut of the order is tried; the gain is that of the entropy. The
tree grows where the gain is largest, until it has ``leaves`` leaves. Tested: the code says what the tree says.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError

BEFORE = "\0"
"""Stands where the text had not yet begun."""


@dataclass
class Node:
    """A question with two answers, or a leaf."""

    tag: int
    """The most frequent class here."""
    distance: int = 0
    """0: the newest character, 1: the one before it ..."""
    characters: str = ""
    """What is asked for; empty in a leaf."""
    yes: Node | None = None
    no: Node | None = None

    def answer(self, context: str) -> int:
        """The class after ``context``, whose last character is the newest."""
        if self.yes is None or self.no is None:
            return self.tag
        return (self.yes if context[-1 - self.distance] in self.characters else self.no).answer(context)

    def leaves(self) -> int:
        """How many there are below."""
        return 1 if self.yes is None or self.no is None else self.yes.leaves() + self.no.leaves()


def contexts_of(text: str, places: np.ndarray, context: int) -> np.ndarray:
    """The code points up to each of ``places (N,)``, the newest first: (N, context); 0 before the text began."""
    points = np.frombuffer((BEFORE * (context - 1) + text).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return np.stack([points[places + context - 1 - j] for j in range(context)], axis=1)


def grow(contexts: np.ndarray, classes: np.ndarray, *, leaves: int, least: int = 10) -> Node:
    """A tree for ``classes (N,)``, 0..k-1, given ``contexts (N, c)`` of code points; N >= 1.

    No leaf has fewer than ``least`` examples. ``UserError`` for settings out of range.
    """
    if leaves < 1 or least < 1:
        raise UserError(f"a tree needs at least 1 leaf and 1 example in it, got {leaves} and {least}.")
    k = int(classes.max()) + 1
    root = Node(_most(classes, k))
    waiting: list[tuple[float, int, Node, np.ndarray, tuple[int, np.ndarray]]] = []

    turns = itertools.count()  # of equal gains the node that was made first: a heap cannot compare nodes

    def consider(node: Node, rows: np.ndarray) -> None:
        gain, question = _best(contexts[rows], classes[rows], k, least)
        if question is not None:
            heapq.heappush(waiting, (-gain, next(turns), node, rows, question))

    consider(root, np.arange(len(classes)))
    for _ in range(leaves - 1):
        if not waiting:
            break
        _, _, node, rows, (distance, chosen) = heapq.heappop(waiting)
        answer = np.isin(contexts[rows, distance], chosen)
        node.distance, node.characters = distance, "".join(map(chr, sorted(chosen.tolist())))
        node.yes, node.no = (Node(_most(classes[rows[a]], k)) for a in (answer, ~answer))
        consider(node.yes, rows[answer])
        consider(node.no, rows[~answer])
    return root


def _most(classes: np.ndarray, k: int) -> int:
    return int(np.bincount(classes, minlength=k).argmax())


def _entropy(counts: np.ndarray) -> np.ndarray:
    """Nats times examples, of each row of ``counts (..., k)``."""
    total = counts.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(counts > 0, counts * np.log(counts / total), 0.0)
    return -parts.sum(axis=-1)


def _best(contexts: np.ndarray, classes: np.ndarray, k: int, least: int) -> tuple[float, tuple[int, np.ndarray] | None]:
    """The gain of the best question, in nats, and the question: distance and code points."""
    whole = float(_entropy(np.bincount(classes, minlength=k).astype(float)))
    best: tuple[float, tuple[int, np.ndarray] | None] = (1e-9, None)
    for distance in range(contexts.shape[1]):
        points, codes = np.unique(contexts[:, distance], return_inverse=True)
        if len(points) < 2:
            continue
        table = np.bincount(codes * k + classes, minlength=len(points) * k).reshape(len(points), k).astype(float)
        order = _along(table)
        left = table[order].cumsum(axis=0)[:-1]
        right = table.sum(axis=0) - left
        gains = whole - _entropy(left) - _entropy(right)
        gains[(left.sum(axis=1) < least) | (right.sum(axis=1) < least)] = -np.inf
        cut = int(gains.argmax())
        if gains[cut] > best[0]:
            sides = order[: cut + 1], order[cut + 1 :]
            best = float(gains[cut]), (distance, points[min(sides, key=len)])
    return best


def _along(table: np.ndarray) -> np.ndarray:
    """The order of the rows of ``table (p, k)`` along the first principal direction of their distributions."""
    weight = table.sum(axis=1, keepdims=True)
    shares = table / weight
    centred = (shares - table.sum(axis=0) / weight.sum()) * np.sqrt(weight)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return np.argsort(shares @ direction, kind="stable")


def code_of(tree: Node, names: tuple[str, ...], context: int, about: str) -> str:
    """A Python file that labels as the tree does: ``NAMES``, ``CONTEXT``, ``tag(last)`` and ``label(text)``.

    Tags are 1 + class; ``names`` are those of all tags, "none" first.
    """
    lines = [
        '"""' + about.replace("\\", "/").replace('"', "'") + '"""',  # a name in it must not end the docstring
        "",
        "from functools import lru_cache",
        "",
        "NAMES = (",
        *(f"    {name!r}," for name in names),
        ")",
        f"CONTEXT = {context}",
        "",
        "",
        "@lru_cache(maxsize=100_000)",
        "def tag(last: str) -> int:",
        f'    """The tag of the newest of the {context} characters ``last``; \\\\0 stands before the text."""',
        *_written(tree, names, "    "),
        "",
        "",
        "def label(text: str) -> list[int]:",
        '    """One tag per character."""',
        '    padded = "\\0" * (CONTEXT - 1) + text',
        "    return [tag(padded[i : i + CONTEXT]) for i in range(len(text))]",
    ]
    return "\n".join(lines) + "\n"


def _written(node: Node, names: tuple[str, ...], indent: str) -> list[str]:
    if node.yes is None or node.no is None:
        return [f"{indent}return {1 + node.tag}  # {names[1 + node.tag]}"]
    return [
        f"{indent}if last[{-1 - node.distance}] in {node.characters!r}:",
        *_written(node.yes, names, indent + "    "),
        *_written(node.no, names, indent),
    ]
