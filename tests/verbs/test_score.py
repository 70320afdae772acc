"""Reading in parallel costs what stepping costs, and both cost what the definition says."""

import numpy as np
import pytest
import torch

from semagram.errors import UserError
from semagram.layouts import Sequence
from semagram.mixers import Attention
from semagram.predictors import RankByRank
from semagram.verbs.score import score, table
from verbs.verbs_toys import LINE, ZOO, network, sample


@pytest.mark.parametrize("name", ["attention", "grouped query", "convolution", "causal page", "streams", "n-gram"])
@pytest.mark.parametrize("cells", [1, 100, 10_000])
def test_parallel_equals_steps(name, cells):
    predictor, ids = ZOO[name](), sample(333, 11)
    assert predictor.fixed_order
    fast = score(predictor, ids, stretches=3, cells=cells)
    slow = score(predictor, ids, stretches=3, parallel=False)
    np.testing.assert_allclose(fast.nats, slow.nats, atol=2e-5)
    assert (fast.ranks == slow.ranks).mean() > 0.99


def test_it_is_the_definition():
    """A text of one canvas: the network's own log-softmax in one pass."""
    predictor, ids = network(LINE, RankByRank(), Attention(heads=2)), sample(24, 11)
    found = score(predictor, ids)
    shifted = torch.tensor([[11, *ids[:-1]]])
    from semagram.layouts.geometry import Geometry

    logits = predictor.network(shifted, Geometry.of(Sequence(24).positions(), RankByRank().visibility))  # type: ignore[attr-defined]
    expected = torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(ids), reduction="none")
    np.testing.assert_allclose(found.nats, expected.detach().numpy(), atol=1e-5)
    assert found.total_nats == pytest.approx(found.nats.sum())
    assert found.nats_per_token == pytest.approx(found.nats.mean())
    assert found.bits_per_character(12) == pytest.approx(found.nats.sum() / np.log(2) / 12)


def test_long_canvases_are_read_in_runs(monkeypatch):
    predictor, ids = ZOO["n-gram"](), sample(500, 11)
    whole = score(predictor, ids, stretches=2)
    monkeypatch.setattr("semagram.verbs.score._NUMBERS_AT_ONCE", 200)
    assert (score(predictor, ids, stretches=2).nats == whole.nats).all()


def test_the_table():
    predictor, ids = ZOO["bigram"](), sample(40, 11)
    found = score(predictor, ids)
    lines = table(found, ids, [f"<{i}>" for i in range(11)])
    assert [line.text for line in lines] == [f"<{i}>" for i in ids]
    assert all(line.probability == pytest.approx(np.exp(-line.nats)) for line in lines)
    assert lines[0].rank == 1 and lines[0].probability == pytest.approx(1 / 11)
    assert {line.rank for line in lines} != {1}


def test_empty_and_wrong_input():
    found = score(ZOO["attention"](), np.zeros(0, dtype=int))
    assert (found.tokens, found.total_nats) == (0, 0.0)
    with pytest.raises(UserError, match="empty text"):
        _ = found.nats_per_token
    with pytest.raises(UserError, match="at least one character, got 0"):
        found.bits_per_character(0)
    with pytest.raises(UserError, match=r"knows ids 0\.\.10, but the text has 3\.\.11"):
        score(ZOO["attention"](), np.array([3, 11]))
    with pytest.raises(UserError, match="one row of whole numbers"):
        score(ZOO["attention"](), np.array([[3.0]]))
    with pytest.raises(UserError, match="cells must be at least 1, got 0"):
        score(ZOO["attention"](), np.array([3]), cells=0)
