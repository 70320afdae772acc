"""WHO answers the contract: every contestant is a ``Predictor``."""

from semagram.layouts import Layout
from semagram.models.contract import Network
from semagram.predictors.any_order import AnyOrderPredictor, Unmasking
from semagram.predictors.automaton import AutomatonPredictor, CellularAutomaton
from semagram.predictors.causal import CausalPredictor, RankByRank
from semagram.predictors.contract import DecodingState, Predictor, read_step_by_step

Writing = (
    RankByRank
    | Unmasking
    | CellularAutomaton
)  # fmt: skip


def predictor_of(network: Network, layout: Layout, writing: Writing) -> Predictor:
    """The predictor that writes canvases of up to ``layout`` with ``network`` in the chosen way."""
    if isinstance(writing, Unmasking):
        return AnyOrderPredictor(network, layout, writing)
    if isinstance(writing, CellularAutomaton):
        return AutomatonPredictor(network, layout, writing)
    return CausalPredictor(network, layout)


__all__ = [
    "AnyOrderPredictor",
    "AutomatonPredictor",
    "CausalPredictor",
    "CellularAutomaton",
    "DecodingState",
    "Predictor",
    "RankByRank",
    "Unmasking",
    "Writing",
    "predictor_of",
    "read_step_by_step",
]
