"""Laws 1 to 4 on every way of writing, on every layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from laws import company, distribution, future, rewinding, stepping
from laws.predictors_walked import LAYOUTS, VOCABULARY, network, networks, random_ids, walked
from semagram.layouts import Sequence, Visibility
from semagram.predictors import CausalPredictor, DecodingState, Predictor, RankByRank, Unmasking, predictor_of
from semagram.predictors.any_order import AnyOrderPredictor

WALKED = walked()


@pytest.mark.parametrize(("name", "predictor", "layout"), WALKED, ids=[f"{i}" for i in range(len(WALKED))])
def test_a_predictor_keeps_the_laws(name: str, predictor: Predictor, layout: Any, count) -> None:
    ids = random_ids(layout)
    assert isinstance(predictor, Predictor) and isinstance(predictor.open(layout, 2), DecodingState)
    try:
        distribution.check_predictor(predictor, layout, ids)
        future.check_predictor(predictor, layout, ids)
        future.check_order(predictor, layout, ids)
        stepping.check_predictor(predictor, layout, ids)
        company.check_predictor(predictor, layout, ids)
        rewinding.check_predictor(predictor, layout, ids)
    except AssertionError as error:
        error.add_note(f"in {name}")
        raise
    count("predictors x layouts under laws 1 to 4")


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("writing", [RankByRank(), Unmasking(), Unmasking(choice="random", cells=2)], ids=str)
def test_a_network_left_in_training_mode_still_answers_twice_alike(writing: Any, layout: Any) -> None:
    """Dropout must not reach a prediction, and asking must not change the mode that training is in."""
    torch.manual_seed(0)
    net = network(writing.visibility, layout)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    predictor, ids = predictor_of(net, layout, writing), random_ids(layout)
    expected = predictor.open(layout, 3).log_probs()
    net.train()
    state = predictor.open(layout, 3)
    assert torch.equal(state.log_probs(), expected)
    assert torch.equal(predictor.open(layout, 3).read(ids), predictor.open(layout, 3).read(ids))
    assert net.training and all(module.training for module in net.modules())


def test_what_does_not_fit_is_refused_with_a_reason() -> None:
    causal, full = network(Visibility.CAUSAL, Sequence(5)), network(Visibility.FULL, Sequence(5))
    with pytest.raises(ValueError, match="CAUSAL"):
        CausalPredictor(full, Sequence(5))
    with pytest.raises(ValueError, match="FULL"):
        AnyOrderPredictor(causal, Sequence(5), Unmasking())
    with pytest.raises(ValueError, match="only a CAUSAL network"):
        full.new_state(1, None)
    predictor = CausalPredictor(causal, Sequence(5))
    with pytest.raises(ValueError, match="1 to 5 tokens, got 6"):
        predictor.canvas(6)
    with pytest.raises(ValueError, match="fixed order"):
        predictor.open(Sequence(5), 1, torch.tensor([[-1, 2, -1, -1, -1]]))
    with pytest.raises(ValueError, match="fixed order"):
        predictor.open(Sequence(5), 2, torch.tensor([[1, 2, -1, -1, -1], [1, -1, -1, -1, -1]]))
    with pytest.raises(ValueError, match="as many known cells"):
        AnyOrderPredictor(full, Sequence(3), Unmasking()).open(Sequence(3), 2, torch.tensor([[1, 2, -1], [1, -1, -1]]))


@pytest.mark.parametrize("choice", ["confidence", "random", "ranks"])
def test_given_cells_stay_and_are_never_asked(choice: Any) -> None:
    """Filling: what is known is not asked for again, wherever it stands."""
    layout = Sequence(6)
    predictor = AnyOrderPredictor(network(Visibility.FULL, layout), layout, Unmasking(choice=choice, cells=2))
    given = torch.tensor([[-1, 0, -1, 3, -1, -1], [4, -1, -1, -1, -1, 1]])
    state = predictor.open(layout, 2, given)
    asked = [[], []]
    while state.next_positions.shape[1] > 0:
        for row in (0, 1):
            asked[row] += state.next_positions[row].tolist()
        state.write(torch.zeros_like(state.next_positions))
    assert sorted(asked[0]) == [0, 2, 4, 5] and sorted(asked[1]) == [1, 2, 3, 4]


@pytest.mark.parametrize("mixer", networks(Visibility.CAUSAL), ids=lambda m: type(m).__name__)
def test_the_reserved_id_cannot_be_emitted_or_written(mixer: Any) -> None:
    """There are v entries; id v is for inputs only."""
    layout = Sequence(4)
    for writing in (RankByRank(), Unmasking()):
        if writing.visibility not in {v for m in [mixer] for v in m.visibilities()}:
            continue
        predictor = predictor_of(network(writing.visibility, layout, mixer), layout, writing)
        state = predictor.open(layout, 1)
        assert state.log_probs().shape[-1] == VOCABULARY
        for wrong in (VOCABULARY, -1):
            with pytest.raises(ValueError, match=r"0\.\.4"):
                state.write(torch.tensor([[wrong]]))
