"""Direct preference optimisation against its formula, row by row, in float64; and that it moves a preference."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from semagram.cli import main
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.preferences import prefer as prefer_texts
from semagram.lab.preferences import read_pairs
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Transformer
from semagram.text.tokenizers import Characters
from semagram.trained import TrainedModel, load
from semagram.training.preference import Pair, PreferenceTraining, dpo_loss, prefer, response_log_probs

V = 6
CONFIG = Transformer(width=16, depth=1, mixer=Attention(heads=2))


def network(seed: int = 0):
    torch.manual_seed(seed)
    built = CONFIG.build(V, Sequence(12), Visibility.CAUSAL)
    with torch.no_grad():
        for p in built.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return built.double().eval()


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


PAIRS = [
    Pair(ids(1, 2, 3), ids(4, 5), ids(0)),
    Pair(ids(), ids(1), ids(2, 2, 2, 2, 2)),
    Pair(ids(5, 5, 5, 5, 5, 5), ids(0, 1, 2, 3), ids(3, 2)),
]


def by_hand(net, prompt: np.ndarray, response: np.ndarray) -> torch.Tensor:
    """One row, without padding, token by token."""
    whole = [*prompt.tolist(), *response.tolist()]
    total = torch.zeros((), dtype=torch.float64)
    for place in range(len(prompt), len(whole)):
        inputs = torch.tensor([[V, *whole[:place]]])
        said = net(inputs, Geometry.of(Sequence(place + 1).positions(), Visibility.CAUSAL))
        total = total + torch.log_softmax(said[0, -1], dim=-1)[whole[place]]
    return total


def test_log_probabilities_are_sums_over_all_response_tokens_whatever_the_padding() -> None:
    net = network()
    prompts, responses = [p.prompt for p in PAIRS], [p.chosen for p in PAIRS]
    found = response_log_probs(net, prompts, responses, 12)
    for row, pair in enumerate(PAIRS):
        assert torch.allclose(found[row], by_hand(net, pair.prompt, pair.chosen), atol=1e-12)
    assert torch.allclose(found[:1], response_log_probs(net, prompts[:1], responses[:1], 12), atol=1e-12)


def test_loss_and_gradient_are_the_formulas() -> None:
    policy, reference, beta = network(0), network(1), 0.3
    told = []
    for exact in (True, False):
        policy.zero_grad()
        if exact:
            losses = []
            for pair in PAIRS:
                now = [by_hand(policy, pair.prompt, r) for r in (pair.chosen, pair.rejected)]
                before = [by_hand(reference, pair.prompt, r).detach() for r in (pair.chosen, pair.rejected)]
                z = beta * ((now[0] - before[0]) - (now[1] - before[1]))
                losses.append(torch.log1p(torch.exp(-z)))
            loss = torch.stack(losses).mean()
        else:
            prompts = [p.prompt for p in PAIRS]
            now = [
                response_log_probs(policy, prompts, [getattr(p, n) for p in PAIRS], 12) for n in ("chosen", "rejected")
            ]
            with torch.no_grad():
                before = [
                    response_log_probs(reference, prompts, [getattr(p, n) for p in PAIRS], 12)
                    for n in ("chosen", "rejected")
                ]
            loss, _ = dpo_loss(*now, *before, beta)
        loss.backward()
        told.append((loss.detach(), [p.grad.clone() for p in policy.parameters()]))
    assert torch.allclose(told[0][0], told[1][0], atol=1e-12)
    for a, b in zip(told[0][1], told[1][1], strict=True):
        assert torch.allclose(a, b, atol=1e-10)


def test_the_first_response_token_is_scored() -> None:
    """A response of one token moves the weights (off by one, it would not)."""
    net = network()
    loss = -response_log_probs(net, [ids(1, 2)], [ids(3)], 12).sum()
    loss.backward()
    assert float(net.head.weight.grad.abs().max()) > 1e-3


def test_a_preference_is_learnt_and_the_reference_stays_as_it_was() -> None:
    net = network().float()
    before = copy.deepcopy(net.state_dict())
    seen = []
    student = prefer(net, PAIRS, 12, PreferenceTraining(steps=30, batch=2, rate=3e-3), seen.append)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), before.values(), strict=True))
    assert seen[0].loss == pytest.approx(float(np.log(2)), abs=1e-6) and seen[-1].loss < 0.6
    for pair in PAIRS:

        def margin(model):
            with torch.no_grad():
                both = response_log_probs(model, [pair.prompt] * 2, [pair.chosen, pair.rejected], 12)  # noqa: B023
            return float(both[0] - both[1])

        assert margin(student) > margin(net) + 0.5
    again = prefer(net, PAIRS, 12, PreferenceTraining(steps=30, batch=2, rate=3e-3))
    assert all(
        torch.equal(a, b) for a, b in zip(student.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_from_texts_and_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = Characters().train("abc yes no")
    torch.manual_seed(0)
    told = Experiment(model=CONFIG, layout=Sequence(12))
    built = CONFIG.build(tokenizer.vocabulary_size, Sequence(12), Visibility.CAUSAL)
    model = TrainedModel(told, tokenizer, built)
    pairs = [("a", " yes", " no"), ("b", " yes", " no"), ("", "yes", "no")]
    better = prefer_texts(model, pairs, PreferenceTraining(steps=40, rate=1e-2))
    assert better.score(" yes").total_nats < model.score(" yes").total_nats
    model.save(tmp_path / "run")
    lines = [json.dumps({"prompt": p, "chosen": c, "rejected": r}) for p, c, r in pairs]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines) + "\n\n")
    words = ["prefer", str(tmp_path / "run"), str(tmp_path / "pairs.jsonl"), "-o", str(tmp_path / "new")]
    assert main([*words, "--steps", "40", "--rate", "0.01"]) == 0
    assert "100% of the last pairs" in capsys.readouterr().out
    assert load(tmp_path / "new").identity == better.identity != model.identity
    assert main(words) == 2
    (tmp_path / "wrong.jsonl").write_text('{"prompt": "a"}\n')
    with pytest.raises(UserError, match="line 1"):
        read_pairs(tmp_path / "wrong.jsonl")


def test_what_cannot_be_is_refused() -> None:
    net = network()
    for pairs, reason in (
        ([], "no pairs"),
        ([Pair(ids(1), ids(), ids(2))], "empty"),
        ([Pair(ids(*[1] * 12), ids(2), ids(2))], "13 tokens together, but a canvas holds 12"),
    ):
        with pytest.raises(UserError, match=reason):
            prefer(net, pairs, 12)
    with pytest.raises(UserError, match="CAUSAL"):
        prefer(CONFIG.build(V, Sequence(4), Visibility.FULL), PAIRS, 12)
    for given in ({"beta": 0.0}, {"steps": 0}, {"rate": -1.0}, {"batch": 0}):
        with pytest.raises(UserError, match=f"{next(iter(given))} must be"):
            PreferenceTraining(**given)
