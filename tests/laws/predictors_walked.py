"""Which predictors the laws ask: every way of writing on every layout, and the ones that are no networks.

``Writing`` is a union, so a new way of writing is walked; predictors that are fitted and not built (n-grams, suffix
look-up) are listed here, with the text they are fitted to.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from laws import legal, walk
from laws.cases import shaken
from semagram.layouts import Grid, Layout, Sequence, Streams, Visibility
from semagram.mixers import Mixer
from semagram.models import Transformer
from semagram.predictors import Predictor, Writing, predictor_of
from semagram.predictors.ngram import NgramConfig

VOCABULARY = 5
LAYOUTS = (Sequence(7), Sequence(1), Grid(3, 4, "snake"), Grid(2, 3, "diagonals"), Streams(3, 2))
FIT = np.random.default_rng(0).integers(0, VOCABULARY, 400)


def networks(visibility: Visibility) -> list[Any]:
    """The baseline of every mixer that keeps to the visibility."""
    mixers = [walk.baseline(kind) for kind in walk.members(Mixer)]
    return [m for m in mixers if visibility in legal.visibilities(m)]


def network(
    visibility: Visibility, layout: Layout, mixer: Any = None, vocabulary: int = VOCABULARY, seed: int = 0
) -> Any:
    """A tiny network with nothing at zero, in eval mode."""
    torch.manual_seed(seed)
    config = Transformer(width=legal.WIDTH, depth=2, mixer=mixer or networks(visibility)[0])
    return shaken(config.build(vocabulary, layout, visibility), seed).eval()


@cache
def ngram() -> Predictor:
    """Kneser-Ney on random ids."""
    return NgramConfig(3).fit(FIT, VOCABULARY)


def walked() -> list[tuple[str, Predictor, Layout]]:
    """(name, predictor, layout) of every way of writing with every mixer on every layout, and of the fitted ones."""
    found: list[tuple[str, Predictor, Layout]] = []
    for layout in LAYOUTS:
        for writing in walk.of_union(Writing):
            for mixer in networks(writing.visibility):
                name = f"{writing} with {type(mixer).__name__} on {layout}"
                found.append((name, predictor_of(network(writing.visibility, layout, mixer), layout, writing), layout))
        found.append((f"n-gram on {layout}", ngram(), layout))
    return found


def random_ids(layout: Layout, batch: int = 3, seed: int = 0, vocabulary: int = VOCABULARY) -> Tensor:
    """``(b, n)``."""
    return torch.randint(0, vocabulary, (batch, layout.count), generator=torch.Generator().manual_seed(seed))
