"""Law 1 on the whole pipeline, text -> tokenizer -> layout -> objective -> prediction, and what a loss means.

A character of the held-out text is changed. Of the ids, only those from the first one that differs on may move, and of
the predictions only those of later ranks: to the bit, through whatever stands between.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laws import legal, walk
from laws.cases import shaken
from semagram.config import members
from semagram.layouts import Grid, Sequence, Streams, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Mixer
from semagram.models import Transformer
from semagram.objectives import Masked, NextToken, weighted_nats
from semagram.text.tokenizers import TokenizerConfig

TRAIN = "the cat sat on the mat and the rat sat on the hat; that is that. " * 8
HELD_OUT = "that cat and that rat sat at the hat; that is the mat and that is on."


def pipeline(text: str, tokenizer: Any, layout: Any, network: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids ``(n,)`` of the first canvas in order of writing, and the log-probabilities ``(n, v)`` of each."""
    ids = torch.from_numpy(tokenizer.encode(text))[: layout.count]
    if len(ids) < layout.count:
        ids = torch.nn.functional.pad(ids, (0, layout.count - len(ids)))
    geometry = Geometry.of(layout.positions(), Visibility.CAUSAL)
    example = NextToken().example(ids[None], geometry, tokenizer.mask_id, torch.Generator())
    with torch.no_grad():
        return example.targets[0], torch.log_softmax(network(example.inputs, geometry)[0], dim=-1)


@pytest.mark.parametrize("kind", members(TokenizerConfig), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("layout", [Sequence(16), Grid(4, 4, "snake"), Grid(4, 4, "diagonals"), Streams(8, 2)], ids=str)
def test_a_change_of_the_text_moves_nothing_written_before_it(kind: type, layout: Any, count) -> None:
    tokenizer = walk.baseline(kind).train(TRAIN)
    mixers = [walk.baseline(m) for m in members(Mixer)]
    for mixer in (m for m in mixers if Visibility.CAUSAL in legal.visibilities(m)):
        torch.manual_seed(0)
        config = Transformer(width=legal.WIDTH, depth=1, mixer=mixer)
        network = shaken(config.build(tokenizer.vocabulary_size, layout, Visibility.CAUSAL)).eval()
        targets, answers = pipeline(HELD_OUT, tokenizer, layout, network)
        for place in (0, 1, 7, 14):
            text = HELD_OUT[:place] + ("m" if HELD_OUT[place] != "m" else "e") + HELD_OUT[place + 1 :]
            other, moved = pipeline(text, tokenizer, layout, network)
            first = int((other != targets).nonzero()[0]) if (other != targets).any() else layout.count
            assert torch.equal(moved[: first + 1], answers[: first + 1]), f"character {place}, first id {first}"
            if first + 1 < layout.count:
                assert not torch.equal(moved[first + 1 :], answers[first + 1 :]), "the change was never seen"
            count("changes of a text through the whole pipeline")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 20), st.integers(1, 9), st.integers(0, 10**6))
def test_the_masked_loss_is_a_mean_over_orders(rows: int, n: int, vocabulary: int, seed: int) -> None:
    """Hidden cells carry the mask id and weights n / m; all else is shown, is not asked, and weighs nothing."""
    ids = torch.randint(0, vocabulary, (rows, n), generator=torch.Generator().manual_seed(seed))
    geometry = Geometry.of(Sequence(n).positions(), Visibility.FULL)
    example = Masked().example(ids, geometry, vocabulary, torch.Generator().manual_seed(seed))
    assert example.weights is not None and torch.equal(example.targets, ids) and example.count == rows * n
    hidden = example.inputs == vocabulary
    m = hidden.sum(dim=1)
    assert (m >= 1).all() and torch.equal(example.inputs[~hidden], ids[~hidden])
    assert torch.allclose(example.weights, hidden * (n / m)[:, None])


def test_hidden_counts_and_places_are_uniform() -> None:
    """Every number of hidden cells is as likely as any other, and so is every cell: else the bound is no bound."""
    n, rounds, rows = 5, 1500, 4
    ids = torch.zeros(rows, n, dtype=torch.int64)
    geometry, generator = Geometry.of(Sequence(n).positions(), Visibility.FULL), torch.Generator().manual_seed(0)
    counts, places = torch.zeros(n), torch.zeros(n)
    for _ in range(rounds):
        hidden = Masked().example(ids, geometry, 2, generator).inputs == 2
        counts += torch.bincount(hidden.sum(dim=1) - 1, minlength=n)
        places += hidden.sum(dim=0)
    total = rounds * rows
    assert (counts / total - 1 / n).abs().max() < 0.02, counts / total
    assert (places / total - (n + 1) / (2 * n)).abs().max() < 0.02, places / total


def test_the_masked_loss_bounds_the_likelihood_of_every_order_together() -> None:
    """On a network small enough to enumerate: the mean over masks equals the mean nats over all orders of writing."""
    from itertools import permutations, product

    n, v = 3, 2
    torch.manual_seed(0)
    layout = Sequence(n)
    network = shaken(Transformer(width=16, depth=1).build(v, layout, Visibility.FULL)).eval()
    geometry = Geometry.of(layout.positions(), Visibility.FULL)

    def log_p(page: tuple[int, ...], shown: frozenset[int], cell: int) -> float:
        inputs = torch.tensor([[page[i] if i in shown else v for i in range(n)]])
        with torch.no_grad():
            return float(torch.log_softmax(network(inputs, geometry).double(), -1)[0, cell, page[cell]])

    for page in product(range(v), repeat=n):
        orders = [
            -sum(log_p(page, frozenset(order[:k]), order[k]) for k in range(n)) / n for order in permutations(range(n))
        ]
        ids, generator = torch.tensor([page] * 8), torch.Generator().manual_seed(1)
        with torch.no_grad():
            told = []
            for _ in range(150):
                example = Masked().example(ids, geometry, v, generator)
                told.append(float(weighted_nats(network(example.inputs, geometry), example)))
        spread = torch.tensor(told).std() / len(told) ** 0.5
        assert abs(sum(told) / len(told) - sum(orders) / len(orders)) < 5 * float(spread) + 1e-3
