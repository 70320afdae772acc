"""Between: Kneser-Ney for what stands *between* its neighbours, counted on both sides at once.

The context of a token is read outwards from it, left and right in turn: l1, r1, l2, r2, ... With c_k the first k of
these and n(c w) the number of times w stood in such a surrounding,

    p_k(w) = (n(c_k w) - D(n(c_k w))) / n(c_k)  +  g(c_k) p_{k-1}(w),     p_{-1} = 1 / v

as in ``kneser_ney`` (Chen & Goodman 1998), with neighbours exchanged for places in the order of reading: at the
context an order asks for, occurrences are counted; at all shorter ones, the different k + 1-st tokens that were seen
with c_k w. It is the n-gram's answer to a cloze, normalised, and a pseudo-likelihood: no product of such answers is the
probability of a text. What lies outside the text is a token of its own, v.

Shapes: surroundings ``(m, K)``, nearest first; rows ``(m, orders, v)``. Tested against dictionaries of tuples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.predictors.gram_trie import checked_ids
from semagram.predictors.kneser_ney import discounts

_CELLS_AT_ONCE = 2**22


def surroundings(ids: np.ndarray, places: np.ndarray, count: int, outside: int) -> np.ndarray:
    """``(m, count)``: l1, r1, l2, r2, ... of each of ``places (m,)`` in ``ids (n,)``; ``outside`` beyond the text."""
    reach = (count + 1) // 2
    padded = np.concatenate([np.full(reach, outside), ids, np.full(reach, outside)])
    steps = np.array([-(k // 2 + 1) if k % 2 == 0 else k // 2 + 1 for k in range(count)], dtype=np.int64)
    return padded[np.asarray(places)[:, None] + reach + steps]


@dataclass(frozen=True, eq=False)
class Level:
    """Contexts of k tokens. Of every gram (context, w), sorted: its code, and what it adds; of every context: where its
    grams begin, and what is left to the shorter one. ``kind`` 0 counts occurrences, 1 different further tokens."""

    contexts: np.ndarray
    """``(C,)`` sorted codes: context of k - 1 tokens, times (v + 1), plus the k-th."""
    symbols: np.ndarray
    """``(G,)``: w of each gram."""
    starts: np.ndarray
    """``(C + 1,)``: the grams of context c are ``starts[c]`` to ``starts[c + 1] - 1``."""
    own: np.ndarray
    """``(2, G)``: what a gram adds."""
    rest: np.ndarray
    """``(2, C)``: the share of the shorter context."""


class Between:
    """A fitted model; build it with ``fit``."""

    def __init__(self, vocabulary_size: int, orders: tuple[int, ...], levels: list[Level]) -> None:
        self.vocabulary_size, self.orders, self._levels = vocabulary_size, orders, levels

    @staticmethod
    def fit(ids: np.ndarray, vocabulary_size: int, orders: Sequence[int]) -> Between:
        """Count ``ids (n,)``, n >= 1, values 0..v-1; ``orders`` ascending, how many tokens around one are read at most.
        Raises ``UserError`` for anything else."""
        if not orders or min(orders) < 0 or list(orders) != sorted(set(orders)):
            raise UserError(f"orders must be whole numbers of at least 0, ascending; got {tuple(orders)}.")
        v, most = vocabulary_size, orders[-1]
        ids = checked_ids(ids, v)
        if ids.size == 0:
            raise UserError("a model of surroundings needs at least 1 token of training text, got 0.")
        around = surroundings(ids, np.arange(ids.size), most, v)
        node, grams, contexts = np.zeros(ids.size, dtype=np.int64), [], [np.zeros(1, dtype=np.int64)]
        for k in range(most + 1):
            if k:
                found, node = np.unique(node * (v + 1) + around[:, k - 1], return_inverse=True)
                contexts.append(found)
            grams.append(np.unique(node * v + ids, return_inverse=True, return_counts=True))
        levels = []
        for k, (codes, place, occurrences) in enumerate(grams):
            further = occurrences
            if k < most:  # the different longer grams that a gram is the beginning of
                first = np.unique(grams[k + 1][1], return_index=True)[1]
                further = np.bincount(place[first], minlength=codes.size)
            levels.append(_level(contexts[k], codes, (occurrences, further), v))
        return Between(v, tuple(orders), levels)

    def rows(self, around: np.ndarray) -> np.ndarray:
        """Log-probabilities ``(m, orders, v)`` float32 between surroundings ``(m, K)``, K at least the last order."""
        m, v = around.shape[0], self.vocabulary_size
        result = np.empty((m, len(self.orders), v), dtype=np.float32)
        step = max(_CELLS_AT_ONCE // (v * len(self.orders)), 1)
        for begin in range(0, m, step):
            self._fill(result[begin : begin + step], around[begin : begin + step])
        return np.log(result, out=result)

    def _fill(self, out: np.ndarray, around: np.ndarray) -> None:
        m, v = around.shape[0], self.vocabulary_size
        p, node, alive = np.full((m, v), 1.0 / v), np.zeros(m, dtype=np.int64), np.arange(m)
        for k, level in enumerate(self._levels):
            if k:
                wanted = node * (v + 1) + around[alive, k - 1]
                at = np.minimum(np.searchsorted(level.contexts, wanted), level.contexts.size - 1)
                known = level.contexts[at] == wanted
                alive, node = alive[known], at[known]
            first, many = level.starts[node], level.starts[node + 1] - level.starts[node]
            row = np.repeat(np.arange(node.size), many)
            gram = np.arange(row.size) + np.repeat(first - (np.cumsum(many) - many), many)
            cell = alive[row] * v + level.symbols[gram]
            if k in self.orders:
                there = p.copy()
                there[alive] *= level.rest[0, node][:, None]
                there.reshape(-1)[cell] += level.own[0, gram]
                out[:, self.orders.index(k)] = there
            p[alive] *= level.rest[1, node][:, None]
            p.reshape(-1)[cell] += level.own[1, gram]


def _level(contexts: np.ndarray, codes: np.ndarray, counts: tuple[np.ndarray, np.ndarray], v: int) -> Level:
    of, own, rest = codes // v, [], []
    for count in counts:
        taken = discounts(count)[np.minimum(count, 3)]
        total = np.bincount(of, weights=count, minlength=contexts.size)
        own.append((count - taken) / total[of])
        rest.append(np.bincount(of, weights=taken, minlength=contexts.size) / total)
    starts = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=contexts.size))])
    return Level(contexts, codes % v, starts, np.stack(own), np.stack(rest))
