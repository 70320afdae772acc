"""Law 10: vocabularies of 1 to 12 ids, id 0, canvases of one cell, empty and non-ASCII texts work or are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from laws import distribution, legal, stepping, walk
from laws.predictors_walked import network, random_ids
from semagram.config import members
from semagram.errors import UserError
from semagram.layouts import Grid, Layout, Sequence, Streams
from semagram.mixers import Mixer
from semagram.objectives import Objective, weighted_nats
from semagram.predictors import Writing, predictor_of
from semagram.predictors.ngram import NgramConfig
from semagram.text.tokenizers import TokenizerConfig, tokenizer_from_json

SMALLEST = (Sequence(1), Sequence(2), Grid(1, 1), Grid(1, 3), Streams(1, 1), Streams(1, 2))


@pytest.mark.parametrize("vocabulary", range(1, 13))
@pytest.mark.parametrize("kind", members(Mixer), ids=lambda kind: kind.__name__)
def test_tiny_vocabularies_and_canvases(kind: type, vocabulary: int, count) -> None:
    mixer = walk.baseline(kind)
    layout = SMALLEST[vocabulary % len(SMALLEST)]
    for writing in (walk.baseline(way) for way in members(Writing)):
        if writing.visibility not in legal.visibilities(mixer):
            continue
        net = network(writing.visibility, layout, mixer, vocabulary)
        predictor, ids = predictor_of(net, layout, writing), random_ids(layout, 2, vocabulary=vocabulary)
        distribution.check_predictor(predictor, layout, ids)
        stepping.check_predictor(predictor, layout, ids)
        zeros = predictor.open(layout, 2).read(torch.zeros_like(ids))
        assert zeros.isfinite().all()
        count("tiny vocabularies and canvases")


@pytest.mark.parametrize("vocabulary", range(1, 13))
@pytest.mark.parametrize("layout", SMALLEST, ids=str)
def test_objectives_on_tiny_vocabularies_and_canvases(layout: Any, vocabulary: int) -> None:
    """The loss of a network that knows nothing is ln v, whatever is asked, to the weights' own mean."""
    for objective in walk.of_union(Objective):
        from semagram.layouts.geometry import Geometry

        geometry = Geometry.of(layout.positions(), objective.visibility)
        ids = random_ids(layout, 4, vocabulary=vocabulary)
        example = objective.example(ids, geometry, vocabulary, torch.Generator().manual_seed(0))
        nothing = torch.zeros(*example.targets.shape, vocabulary)
        assert float(weighted_nats(nothing, example)) == pytest.approx(math.log(vocabulary), abs=1e-5)
        assert example.inputs.max() <= vocabulary and example.targets.max() < vocabulary


@pytest.mark.parametrize("kind", members(Layout), ids=lambda kind: kind.__name__)
def test_layouts_say_what_they_are(kind: type, count) -> None:
    """Every cell once: coordinates differ, ranks differ, counts agree, streams stand in their order."""
    for layout in [*walk.variants(kind), *(s for s in SMALLEST if isinstance(s, kind))]:
        positions = layout.positions()
        n = layout.count
        assert positions.count == n and positions.axes == layout.axes
        assert len({tuple(c) for c in positions.coords.tolist()}) == n
        assert sorted(positions.rank.tolist()) == list(range(n)), f"{layout}: ranks are not 0..n-1, each once"
        assert sorted(positions.order().tolist()) == list(range(n))
        count("layouts")


def test_scans_of_a_page() -> None:
    """Written out by hand: a 2 x 3 page."""
    order = {scan: Grid(2, 3, scan).positions().order().tolist() for scan in ("rows", "snake", "diagonals")}
    assert order == {"rows": [0, 1, 2, 3, 4, 5], "snake": [0, 1, 2, 5, 4, 3], "diagonals": [0, 1, 3, 2, 4, 5]}


ODD_TEXTS = ["", "a", "\n", "\x00", "aaaa", "Grüße", "日本語のテキスト", "🦉 owl 🦉", "e\u0301", "\r\n\t", "ß" * 50]


@pytest.mark.parametrize("kind", members(TokenizerConfig), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_odd_texts_come_back(kind: type, text: str, count) -> None:
    config = walk.baseline(kind)
    try:
        tokenizer = config.train(text)
    except UserError as refusal:
        assert text == "" and "empty" in str(refusal)
        return
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert ids.size == 0 or 0 <= ids.min() <= ids.max() < tokenizer.vocabulary_size
    assert tokenizer_from_json(tokenizer.to_json()) == tokenizer
    count("odd texts through tokenizers")


def test_an_ngram_of_almost_nothing() -> None:
    for v in range(1, 13):
        for text in (np.zeros(1, dtype=np.int64), np.arange(v)):
            predictor = NgramConfig(2).fit(text, v)
            distribution.check_predictor(predictor, Sequence(3), random_ids(Sequence(3), 2, vocabulary=v))
    with pytest.raises(UserError):
        NgramConfig(2).fit(np.zeros(0, dtype=np.int64), 3)
