"""Which predictors the laws ask: every way of writing on every layout, and the ones that are no networks.

``Writing`` is a union, so a new way of writing is walked; predictors that are fitted and not built (n-grams, suffix
look-up) are listed here, with the text they are fitted to.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laws import legal, walk
from laws.cases import shaken
from semagram.layouts import Grid, Layout, Sequence, Streams, Visibility
from semagram.mixers import Mixer
from semagram.models import Hybrid, MultiToken, Transformer
from semagram.predictors import CausalPredictor, Predictor, Writing, predictor_of
from semagram.predictors.contrastive import Contrastive
from semagram.predictors.count_sheets import Counted
from semagram.predictors.ensemble import Ensemble
from semagram.predictors.experts import Experts, Upon
from semagram.predictors.hybrid import hybrid_predictor
from semagram.predictors.ngram import NgramConfig
from semagram.predictors.suffix import SuffixConfig

VOCABULARY = 5
LAYOUTS = (Sequence(7), Grid(2, 4, "snake"), Sequence(1), Grid(2, 3, "diagonals"), Streams(3, 2))
FIT = np.random.default_rng(0).integers(0, VOCABULARY, 400)


def networks(visibility: Visibility) -> list[Any]:
    """The baseline of every mixer that keeps to the visibility."""
    mixers = [walk.baseline(kind) for kind in walk.members(Mixer)]
    return [m for m in mixers if visibility in legal.visibilities(m)]


def network(
    visibility: Visibility, layout: Layout, mixer: Any = None, vocabulary: int = VOCABULARY, seed: int = 0
) -> Any:
    """A tiny network of one block with nothing at zero, in eval mode; deeper ones are walked in ``cases``."""
    torch.manual_seed(seed)
    config = Transformer(width=legal.WIDTH, depth=1, mixer=mixer or networks(visibility)[0])
    return shaken(config.build(vocabulary, layout, visibility), seed).eval()


@cache
def ngram() -> Predictor:
    """Kneser-Ney on random ids."""
    return NgramConfig(3).fit(FIT, VOCABULARY)


@cache
def suffix() -> Predictor:
    """The longest suffix in the same random ids."""
    return SuffixConfig().fit(FIT, VOCABULARY)


@cache
def hybrid(layout: Layout) -> Predictor:
    """A network that gates n-grams and long matches."""
    config = replace(walk.baseline(Hybrid), matches=(2, 3))
    torch.manual_seed(0)
    net = shaken(config.build(VOCABULARY, layout, Visibility.CAUSAL)).eval()
    counted = Counted.of(FIT, VOCABULARY, config.orders)
    experts = Experts(counted, Upon.learn(counted, config.matches, config.main_order))
    return hybrid_predictor(net, experts, layout)


def multi_token(layout: Layout) -> Predictor:
    """A network with further heads."""
    torch.manual_seed(0)
    net = shaken(walk.baseline(MultiToken).build(VOCABULARY, layout, Visibility.CAUSAL)).eval()
    return CausalPredictor(net, layout)


def of_predictors(layout: Layout) -> list[tuple[str, Predictor]]:
    """Predictors made of predictors."""
    net = CausalPredictor(network(Visibility.CAUSAL, layout), layout)
    return [
        ("a Bayesian mixture", Ensemble((ngram(), net), bayesian=True, memory=0.9)),
        ("a product", Ensemble((ngram(), suffix(), net), "product", (1.0, 2.0, 3.0))),
        ("a contrast", Contrastive(net, ngram(), plausible=1e-6)),
    ]


def walked() -> list[tuple[str, Predictor, Layout]]:
    """(name, predictor, layout): every way of writing on a line and on a page, every mixer and layout with the baseline
    of every way, and the fitted predictors on every layout."""
    found: list[tuple[str, Predictor, Layout]] = []
    for layout in LAYOUTS:
        for writing in walk.of_union(Writing):
            plain = writing == walk.baseline(type(writing))
            for mixer in networks(writing.visibility):
                if plain or (layout in LAYOUTS[:2] and mixer == networks(writing.visibility)[0]):
                    name = f"{writing} with {type(mixer).__name__} on {layout}"
                    net = network(writing.visibility, layout, mixer)
                    found.append((name, predictor_of(net, layout, writing), layout))
        found += [(f"{type(p).__name__} on {layout}", p, layout) for p in (ngram(), suffix(), hybrid(layout))]
        found.append((f"multi-token on {layout}", multi_token(layout), layout))
        found += [(f"{name} on {layout}", p, layout) for name, p in of_predictors(layout)]
    return found


def random_ids(layout: Layout, batch: int = 3, seed: int = 0, vocabulary: int = VOCABULARY) -> Tensor:
    """``(b, n)``."""
    return torch.randint(0, vocabulary, (batch, layout.count), generator=torch.Generator().manual_seed(seed))
