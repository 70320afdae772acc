"""A hybrid is always reported three ways: its counted model alone, its network alone, both together.

One figure would hide which of the two has earned it. The network is asked without its n-grams here, which it was not
trained for: the fair third figure is that of the recipe ``hybrid_network_alone``, the same network trained by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semagram.models import Hybrid
from semagram.predictors import CausalPredictor
from semagram.predictors.experts import Experts
from semagram.predictors.ngram import NgramConfig, NgramPredictor
from semagram.predictors.suffix import SuffixConfig, SuffixModel, SuffixPredictor
from semagram.trained import TrainedModel
from semagram.verbs.score import score


@dataclass(frozen=True)
class ThreeWays:
    """Bits per character over one text."""

    prior: str
    """The counted model that the network begins with: the n-gram of the main order, or the suffix model upon it."""
    counted: float
    """That model alone."""
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
    name, counted = _prior(model.experts, config)
    network = CausalPredictor(model.network, model.experiment.layout)  # type: ignore[arg-type]
    alone = [score(predictor, ids).bits_per_character(len(text)) for predictor in (counted, network)]
    return ThreeWays(name, alone[0], alone[1], hybrid)


def _prior(experts: Experts, config: Hybrid) -> tuple[str, NgramPredictor | SuffixPredictor]:
    """Its name, and a predictor."""
    if experts.upon is None:
        return f"n-gram of order {config.main_order}", NgramConfig(config.main_order).fit(
            experts.ids, experts.vocabulary_size
        )
    upon = experts.upon
    settings = SuffixConfig(upon.order, upon.matches.lengths)
    model = SuffixModel(settings, experts.ids.astype(np.int64), experts.vocabulary_size, upon.matches.weights)
    return f"suffix model over order {upon.order}", SuffixPredictor(model)


def lines(ways: ThreeWays) -> list[str]:
    """For a person, best first is not the point: always in the same order."""
    return [
        f"  {ways.counted:.4f} bits a character: the {ways.prior} alone",
        f"  {ways.network:.4f} its network without counts (not trained for that)",
        f"  {ways.hybrid:.4f} both, the hybrid",
    ]
