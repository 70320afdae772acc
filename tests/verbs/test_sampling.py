"""Sampling against Hugging Face's processors, ``choose`` against ``distribution``, bans and penalties by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.verbs.sampling import Sampling


def rows(count: int = 20, v: int = 13) -> Tensor:
    torch.manual_seed(0)
    return torch.log_softmax(2.5 * torch.randn(count, 1, v), dim=-1)


def peers() -> list[tuple[str, Sampling, Any]]:
    process = pytest.importorskip("transformers.generation.logits_process")
    return [
        ("top_k", Sampling(top_k=4), process.TopKLogitsWarper(4)),
        ("top_p", Sampling(top_p=0.7), process.TopPLogitsWarper(0.7)),
        ("min_p", Sampling(min_p=0.1), process.MinPLogitsWarper(0.1)),
        ("typical_p", Sampling(typical_p=0.6), process.TypicalLogitsWarper(0.6)),
        ("eta", Sampling(eta=0.2), process.EtaLogitsWarper(0.2)),
        ("temperature", Sampling(temperature=0.6), process.TemperatureLogitsWarper(0.6)),
    ]


@pytest.mark.parametrize("index", range(6))
def test_filters_are_hugging_faces(index: int) -> None:
    name, sampling, peer = peers()[index]
    log_probs = rows()
    ours = sampling.distribution(log_probs)[:, 0]
    theirs = torch.softmax(peer(torch.zeros(len(log_probs), 1, dtype=torch.int64), log_probs[:, 0].clone()), -1)
    assert torch.allclose(ours.float(), theirs, atol=1e-6), name
    if name != "temperature":
        assert bool((ours == 0).any()) and bool(((ours > 0).sum(-1) > 1).any())


def test_top_a_by_its_formula() -> None:
    log_probs = rows()
    p = log_probs.exp()
    kept = p >= 0.5 * p.amax(-1, keepdim=True) ** 2
    expected = (p * kept) / (p * kept).sum(-1, keepdim=True)
    assert torch.allclose(Sampling(top_a=0.5).distribution(log_probs).float(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(top_k=3, temperature=0.5), Sampling(top_p=0.8, top_k=6), Sampling(eta=0.1, banned=(1, 2))],
    ids=str,
)
def test_choose_draws_from_distribution(sampling: Sampling) -> None:
    """The share of a fine grid of uniform numbers at which each token is chosen is its probability."""
    log_probs = rows(1)
    grid = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    chosen = sampling.choose(log_probs.expand(1, 4000, -1), None, grid[None])[0]
    share = torch.bincount(chosen, minlength=13) / 4000
    assert torch.allclose(share.double(), sampling.distribution(log_probs)[0, 0], atol=1e-3)
    assert torch.equal(
        Sampling(temperature=0.0).choose(log_probs, None, grid[None, :1])[0],
        Sampling(temperature=0.0).distribution(log_probs).argmax(-1)[0],
    )


def test_penalties_biases_and_bans_by_hand() -> None:
    log_probs, seen = rows(2), torch.zeros(2, 13)
    seen[0, 3], seen[1, 5] = 2.0, 1.0
    adjusted = Sampling(frequency_penalty=0.5, presence_penalty=0.25)._adjusted(log_probs, seen, None)
    difference = (log_probs - adjusted)[:, 0]
    assert float(difference[0, 3]) == pytest.approx(1.25) and float(difference[1, 5]) == pytest.approx(0.75)
    assert int((difference != 0).sum()) == 2
    told = Sampling(bias=((2, 1.5), (2, 0.5)), banned=(4,))._adjusted(log_probs, None, None) - log_probs
    assert told[0, 0, 2] == pytest.approx(2.0) and told[1, 0, 4] == float("-inf")
    only = torch.zeros(2, 13, dtype=torch.bool)
    only[:, 7] = True
    assert Sampling().choose(log_probs, None, torch.full((2, 1), 0.99), only).tolist() == [[7], [7]]
    with pytest.raises(UserError, match="no token is left"):
        Sampling(banned=(7,)).choose(log_probs, None, torch.zeros(2, 1), only)
    with pytest.raises(UserError, match=r"in 0\.\.12, got 13"):
        Sampling(banned=(13,)).distribution(log_probs)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"typical_p": 0.0}, "typical_p must be above 0"),
        ({"eta": 1.5}, "eta must be above 0"),
        ({"top_a": -1.0}, "top_a must be above 0"),
        ({"frequency_penalty": 1000.0}, "from -100 to 100"),
        ({"presence_penalty": float("nan")}, "from -100 to 100"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Sampling(**given)
