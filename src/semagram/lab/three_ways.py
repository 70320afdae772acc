"""A hybrid is always reported three ways: its n-gram alone, its network alone, both together.

One figure would hide which of the two has earned it. The network is asked without its n-grams here, which it was not
trained for: the fair third figure is that of the recipe ``hybrid_network_alone``, the same network trained by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from semagram.models import Hybrid
from semagram.predictors import CausalPredictor
from semagram.predictors.ngram import NgramConfig
from semagram.trained import TrainedModel
from semagram.verbs.score import score


@dataclass(frozen=True)
class ThreeWays:
    """Bits per character over one text."""

    order: int
    """Of the n-gram."""
    ngram: float
    """The n-gram of the main order, alone."""
    network: float
    """The hybrid's network without any n-gram; it was not trained for that."""
    hybrid: float
    """Both."""


def three_ways(model: TrainedModel, text: str, hybrid: float) -> ThreeWays | None:
    """The three figures of a trained hybrid on ``text``, whose own is ``hybrid``; None for any other model."""
    config = model.experiment.model
    if model.experts is None or not isinstance(config, Hybrid):
        return None
    ids = model.encode(text)
    ngram = NgramConfig(config.main_order).fit(model.experts.ids, model.experts.vocabulary_size)
    network = CausalPredictor(model.network, model.experiment.layout)  # type: ignore[arg-type]
    alone = [score(predictor, ids).bits_per_character(len(text)) for predictor in (ngram, network)]
    return ThreeWays(config.main_order, alone[0], alone[1], hybrid)


def lines(ways: ThreeWays) -> list[str]:
    """For a person, best first is not the point: always in the same order."""
    return [
        f"  {ways.ngram:.4f} bits a character: the n-gram of order {ways.order} alone",
        f"  {ways.network:.4f} its network without the n-grams (not trained for that)",
        f"  {ways.hybrid:.4f} both, the hybrid",
    ]
