"""Predictors small enough for tests: an adaptive bigram, one that wanders over the page, and random networks."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from semagram.layouts import Grid, Layout, Sequence, Streams
from semagram.mixers import Attention, Convolution, Mixer
from semagram.models import Transformer
from semagram.models.contract import Network
from semagram.predictors import Predictor, RankByRank, Unmasking, Writing, predictor_of
from semagram.predictors.contract import read_step_by_step
from semagram.predictors.ngram import NgramConfig

IDENTITY = "0123456789abcdef" * 4


@dataclass(frozen=True)
class AdaptiveBigram:
    """Counts the pairs of its own canvas as it goes; any length."""

    vocabulary_size: int
    context: int | None = None
    fixed_order: bool = True

    def canvas(self, length: int) -> Sequence:
        return Sequence(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> "AdaptiveBigramState":
        state = AdaptiveBigramState(self.vocabulary_size, layout.count, batch)
        for column in () if given is None else given.T:
            if int(column[0]) >= 0:
                state.write(column[:, None])
        return state


class AdaptiveBigramState:
    def __init__(self, v: int, n: int, batch: int) -> None:
        self.counts = np.ones((batch, v + 1, v), dtype=np.float32)
        self.last = np.full(batch, v)
        self.rows, self.n, self.at = np.arange(batch), n, 0

    @property
    def next_positions(self) -> Tensor:
        return torch.full((len(self.rows), int(self.at < self.n)), self.at)

    def log_probs(self) -> Tensor:
        row = self.counts[self.rows, self.last]
        return torch.from_numpy(np.log(row / row.sum(1, keepdims=True)))[:, None]

    def write(self, ids: Tensor) -> None:
        new = ids[:, 0].numpy()
        self.counts[self.rows, self.last, new] += 8
        self.last = new
        self.at += 1

    def read(self, ids: Tensor) -> Tensor:
        return read_step_by_step(self, ids)


@dataclass(frozen=True)
class Wanderer:
    """Where it writes next depends on what it wrote last, row by row; two cells at a time."""

    vocabulary_size: int = 7
    context: int | None = 12
    fixed_order: bool = False

    def canvas(self, length: int) -> Sequence:
        if length > 12:
            raise ValueError(f"a canvas holds 12, got {length}")
        return Sequence(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> "WandererState":
        page = torch.full((batch, layout.count), -1) if given is None else given.clone()
        return WandererState(self.vocabulary_size, page)


class WandererState:
    def __init__(self, v: int, page: Tensor) -> None:
        self.v, self.page = v, page
        self.last = page.max(dim=1).values + 1
        self.table = torch.log_softmax(3 * torch.randn(v + 1, v, generator=torch.Generator().manual_seed(1)), dim=-1)

    @property
    def next_positions(self) -> Tensor:
        unknown = [(row < 0).nonzero()[:, 0] for row in self.page]
        rolled = [cells.roll(int(k)) for cells, k in zip(unknown, self.last, strict=True)]
        return torch.stack([cells[:2] for cells in rolled])

    def log_probs(self) -> Tensor:
        left = self.page.roll(1, dims=1).gather(1, self.next_positions)
        return self.table[torch.where(left < 0, self.v, left)]

    def write(self, ids: Tensor) -> None:
        self.page = self.page.scatter(1, self.next_positions, ids)
        self.last = ids.sum(dim=1)

    def read(self, ids: Tensor) -> Tensor:
        raise AssertionError("its order depends on the ids")


def network(layout: Layout, writing: Writing, mixer: Mixer, v: int = 11) -> Predictor:
    """A small transformer with random weights of some size."""
    torch.manual_seed(0)
    built = Transformer(width=16, depth=2, mixer=mixer).build(v, layout, writing.visibility)
    for weight in built.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return predictor_of(cast(Network, built.eval()), layout, writing)


def ngram(v: int = 11) -> Predictor:
    return NgramConfig(order=3).fit(sample(4000, v), v)


def sample(count: int, v: int, seed: int = 0) -> np.ndarray:
    """Ids with some regularity."""
    generator = np.random.default_rng(seed)
    steps = generator.geometric(0.5, size=count)
    return np.cumsum(steps) % v


LINE, PAGE = Sequence(24), Grid(4, 6)
ZOO = {
    "attention": lambda: network(LINE, RankByRank(), Attention(heads=2)),
    "grouped query": lambda: network(LINE, RankByRank(), Attention(heads=4, key_value_heads=2)),
    "convolution": lambda: network(LINE, RankByRank(), Convolution()),
    "causal page": lambda: network(Grid(4, 6, scan="snake"), RankByRank(), Attention(heads=2)),
    "streams": lambda: network(Streams(12, 2), RankByRank(), Attention(heads=2)),
    "any order, 1 cell": lambda: network(LINE, Unmasking(), Attention(heads=2)),
    "any order, 3 cells": lambda: network(LINE, Unmasking(cells=3), Attention(heads=2)),
    "any order page, 1 cell": lambda: network(PAGE, Unmasking(choice="random"), Attention(heads=2)),
    "any order page, 3 cells": lambda: network(PAGE, Unmasking(cells=3), Attention(heads=2)),
    "context of one": lambda: network(Sequence(1), RankByRank(), Attention(heads=2)),
    "bigram": lambda: AdaptiveBigram(11),
    "bigram in windows": lambda: AdaptiveBigram(11, context=10),
    "wanderer": lambda: Wanderer(11),
    "n-gram": ngram,
}
