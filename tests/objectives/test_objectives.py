"""Objectives against their formulas: what is trained beside the loss, and that the loss stays what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Grid, Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Convolution
from semagram.models import Electra, MultiToken, Transformer
from semagram.models.electra import detection_loss, filled_in
from semagram.objectives import Bert, Masked, NextToken, PrefixLM, auxiliary_of, weighted_nats
from semagram.objectives.next_token import shifted
from semagram.predictors import CausalPredictor, Unmasking
from semagram.predictors.contract import read_step_by_step
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.evaluate import HeldOut
from semagram.training.settings import Training
from semagram.training.step import losses, split_rows

V, LAYOUT = 7, Sequence(20)
SMALL = Transformer(width=16, depth=1, mixer=Attention(heads=2))


def geometry(visibility: Visibility = Visibility.CAUSAL) -> Geometry:
    return Geometry.of(LAYOUT.positions(), visibility)


def asked(objective: Any, seed: int = 0, rows: int = 6) -> Any:
    ids = torch.randint(0, V, (rows, LAYOUT.count), generator=torch.Generator().manual_seed(seed))
    return objective.example(ids, geometry(objective.visibility), V, torch.Generator().manual_seed(seed))


def logits(rows: int = 6) -> torch.Tensor:
    made = 2 * torch.randn(rows, LAYOUT.count, V, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return made.requires_grad_()


def test_smoothing_is_torchs_and_is_told_apart_from_the_loss() -> None:
    objective, said = NextToken(smoothing=0.2), logits()
    example = asked(objective)
    beside = auxiliary_of(objective, said, example)
    theirs = F.cross_entropy(said.flatten(0, 1), example.targets.flatten(), label_smoothing=0.2)
    ours = weighted_nats(said, example) + beside["smoothing"]
    assert torch.allclose(ours, theirs)
    gradients = [torch.autograd.grad(x, said, retain_graph=True)[0] for x in (ours, theirs)]
    assert torch.allclose(*gradients) and set(beside) == {"smoothing"}
    plain = weighted_nats(said, asked(NextToken()))
    assert torch.equal(weighted_nats(said, example), plain) and auxiliary_of(NextToken(), said, example) == {}


def test_z_loss_is_its_formula() -> None:
    said = logits()
    beside = auxiliary_of(NextToken(z_loss=0.01), said, asked(NextToken()))
    assert torch.allclose(beside["z_loss"], 0.01 * said.exp().sum(-1).log().square().mean())
    shifted = auxiliary_of(NextToken(z_loss=0.01), said + 3.0, asked(NextToken()))
    assert shifted["z_loss"] > beside["z_loss"], "it is the one thing that feels a constant added to all logits"


def test_forgetting_hides_a_share_and_never_the_first_slot() -> None:
    example = asked(NextToken(forget=0.6), rows=400)
    assert example.keep is not None and bool(example.keep[:, 0].all())
    hidden = 1 - example.keep[:, 1:].float().mean(dim=1)
    assert float(hidden.mean()) == pytest.approx(0.3, abs=0.03) and float(hidden.max()) < 0.95
    assert float(hidden.std()) > 0.1, "each row draws its own share"
    assert torch.equal(example.inputs, asked(NextToken(), rows=400).inputs)


def test_forgetting_changes_what_is_trained_and_nothing_that_is_scored() -> None:
    torch.manual_seed(0)
    network = SMALL.build(V, LAYOUT, Visibility.CAUSAL)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    plain, _ = losses(network, NextToken(), asked(NextToken()), geometry())
    forgetful, _ = losses(network, NextToken(forget=0.6), asked(NextToken(forget=0.6)), geometry())
    assert float(plain.detach()) != float(forgetful.detach())
    ids = torch.randint(0, V, (60,)).numpy()
    scores = [HeldOut(ids, LAYOUT, objective)(network) for objective in (NextToken(), NextToken(forget=0.6))]
    assert scores[0] == scores[1]


def test_bert_chooses_exact_shares_and_trains_on_all_of_them() -> None:
    objective, said = Bert(share=0.5, randomised=0.2, shown=0.2), logits()
    example = asked(objective)
    masked, chosen = example.weights > 0, example.trained > 0
    assert bool((chosen.sum(1) == 10).all()) and bool((masked.sum(1) == 6).all())
    assert bool((example.inputs[masked] == V).all()) and not bool((example.inputs[~masked] == V).any())
    assert bool((example.inputs[~chosen] == example.targets[~chosen]).all())
    theirs = F.cross_entropy(said[chosen], example.targets[chosen])
    ours = weighted_nats(said, example) + auxiliary_of(objective, said, example)["shown"]
    assert torch.allclose(ours, theirs)
    assert torch.allclose(weighted_nats(said, example), F.cross_entropy(said[masked], example.targets[masked]))
    assert objective.loss_kind == "pseudo_nll" and auxiliary_of(Bert(randomised=0, shown=0), said, example) == {}


@pytest.mark.parametrize("objective", [NextToken(z_loss=0.1, smoothing=0.1, forget=0.5), Bert(share=0.5), Masked()])
def test_parts_of_a_batch_add_up_to_the_whole(objective: Any) -> None:
    torch.manual_seed(0)
    network = SMALL.build(V, LAYOUT, objective.visibility)
    whole = asked(objective)
    told = []
    for parts in (1, 3):
        total: Any = 0.0
        for part in split_rows(whole, 1, 0, parts):
            loss, beside = losses(network, objective, part, geometry(objective.visibility))
            total = total + (loss + sum(beside.values())) / parts
        told.append(total)
    assert torch.allclose(*told, atol=1e-6)


def test_the_first_head_is_the_bare_transformer_and_the_others_their_formula() -> None:
    torch.manual_seed(0)
    network = MultiToken(SMALL, ahead=2, weight=0.5).build(V, LAYOUT, Visibility.CAUSAL)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn_like(p))
    example = asked(NextToken())
    with torch.no_grad():
        assert torch.equal(network(example.inputs, geometry()), network.trunk(example.inputs, geometry()))
        loss, beside = losses(network.train(), NextToken(), example, geometry())
        hidden = network.trunk.hidden(example.inputs, geometry())
        parts = []
        for j, said in enumerate(network.further_logits(hidden), start=1):
            # Slot i predicts the token j after its own; what stands last in the canvas is in no input.
            answers, targets = said[:, : 20 - 1 - j], example.targets[:, j:-1]
            parts.append(F.cross_entropy(answers.flatten(0, 1), targets.flatten()))
    assert float(beside["multi_token"]) == pytest.approx(0.5 * float(sum(parts)) / 2, abs=1e-5)
    assert torch.equal(loss, losses(network.trunk, NextToken(), example, geometry())[0])
    assert losses(network.eval(), NextToken(), example, geometry())[1] == {}
    short = Geometry.of(Sequence(2).positions(), Visibility.CAUSAL)
    two = NextToken().example(example.targets[:, :2], short, V, torch.Generator())
    assert float(losses(network.train(), NextToken(), two, short)[1]["multi_token"].detach()) == 0.0


def test_the_discriminators_loss_is_its_formula() -> None:
    torch.manual_seed(0)
    network = Electra(SMALL, Transformer(width=24, depth=1), share=0.5, weight=3.0).build(V, LAYOUT, Visibility.FULL)
    example, full = asked(Bert(share=0.3)), geometry(Visibility.FULL)
    with torch.no_grad():
        torch.manual_seed(3)
        _, beside = losses(network.train(), Bert(share=0.3), example, full)
        torch.manual_seed(3)
        shown = example.inputs != V
        chosen = shown & (torch.rand(example.inputs.shape) < 0.5)
        filled = filled_in(network.generator, example.inputs, chosen, full)
        p = torch.sigmoid(network.detect(filled, full))
        truth = (filled != example.inputs).float()
        by_hand = -(truth * p.log() + (1 - truth) * (1 - p).log())[shown].mean()
    assert float(beside["replaced"]) == pytest.approx(3.0 * float(by_hand), abs=1e-5)
    assert bool((filled[~chosen] == example.inputs[~chosen]).all()) and bool((filled != example.inputs).any())
    assert float(detection_loss(p, truth > 0, torch.zeros_like(shown))) == 0.0, "a page of which nothing is shown"


TEXT = "the ring of ink and the ink of time " * 40


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({"objective": NextToken(z_loss=1e-3, smoothing=0.1, forget=0.2)}, {"train_z_loss", "train_smoothing"}),
        ({"model": MultiToken(SMALL)}, {"train_multi_token"}),
        (
            {"model": Electra(SMALL, SMALL), "objective": Bert(), "writing": Unmasking()},
            {"train_replaced", "train_shown"},
        ),
    ],
    ids=["next token", "multi-token", "electra"],
)
def test_a_run_reports_them_beside_the_loss(told: dict[str, Any], names: set[str], tmp_path: Path) -> None:
    base = Experiment(
        layout=Sequence(16), model=SMALL, training=Training(budget=Budget(6, "steps"), batch=4, threads=1)
    )
    result = train(replace(base, **told), TEXT, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "train_nats" in line]
    assert trained and all(names <= set(line) for line in trained)
    assert result.held_out_nats is not None and result.held_out_nats < 4.0


def test_what_does_not_fit_is_refused() -> None:
    for told, reason in (
        ({"model": MultiToken(), "objective": Masked(), "writing": Unmasking()}, "a MultiToken with mixer Attention"),
        ({"model": Electra()}, "an? Electra with mixer Attention"),
        ({"objective": Bert()}, "Masked or Bert with Unmasking"),
        (
            {"model": Electra(Transformer(mixer=Convolution())), "objective": Bert(), "writing": Unmasking()},
            "Convolution",
        ),
    ):
        with pytest.raises(UserError, match=reason):
            Experiment(**told)
    with pytest.raises(UserError, match="cannot be FULL"):
        MultiToken().build(V, Grid(2, 2), Visibility.FULL)
    with pytest.raises(UserError, match="cannot be CAUSAL"):
        Electra().build(V, Grid(2, 2), Visibility.CAUSAL)


def test_a_prefix_is_seen_from_both_sides_and_what_is_asked_by_nobody_before_it() -> None:
    torch.manual_seed(0)
    network = SMALL.build(V, LAYOUT, Visibility.CAUSAL).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn_like(p))
    example = asked(PrefixLM(0.5, 0.5))
    known = 10
    assert example.prefix == known + 1 and example.weights is not None
    assert example.weights[0].tolist() == [0.0] * known + [1.0] * (20 - known) and example.count == 6 * 10
    plain = geometry()
    whole = Geometry(plain.coords, plain.order, plain.visibility, prefix=example.prefix)
    predictor = CausalPredictor(network, LAYOUT, whole_prefix=True)

    def said(ids: torch.Tensor, where: Geometry) -> torch.Tensor:
        with torch.no_grad():
            return torch.log_softmax(network(shifted(ids, V), where), -1)

    before = said(example.targets, whole)
    for place in (0, 4, known - 1, known, 15, 19):
        changed = example.targets.clone()
        changed[:, place] = (changed[:, place] + 1) % V
        moved = (said(changed, whole) != before).any(-1).any(0)
        # Some key or value of the prefix changed: all see it. Later tokens move later slots only.
        assert moved[known:].any() == (place < 19)
        assert not moved[: place + 1].any() if place >= known else bool(moved[: known + 1].all())
    given = torch.where(torch.arange(20) < known, example.targets, -1)
    state = predictor.open(LAYOUT, 6, given)
    assert torch.allclose(state.log_probs()[:, 0], before[:, known], atol=1e-5)
    rows = state.read(example.targets[:, known:])
    assert torch.allclose(rows, before[:, known:], atol=1e-5)
    stepped = read_step_by_step(predictor.open(LAYOUT, 6, given), example.targets[:, known:])
    assert torch.allclose(stepped, before[:, known:], atol=1e-5)
    turned = predictor.open(LAYOUT, 6, given)
    turned.select(torch.arange(6).flip(0))
    assert torch.allclose(turned.log_probs(), stepped[:, :1].flip(0), atol=1e-5)
    written = predictor.open(LAYOUT, 6)
    assert torch.allclose(written.read(example.targets), said(example.targets, plain), atol=1e-5)


def test_a_prefix_model_is_judged_as_a_plain_one(tmp_path: Path) -> None:
    settings = Training(budget=Budget(4, "steps"), batch=4, threads=1)
    told = Experiment(layout=Sequence(16), model=SMALL, objective=PrefixLM(), training=settings)
    result = train(told, TEXT, tmp_path / "run")
    ids = torch.randint(0, V, (60,)).numpy()
    scores = [HeldOut(ids, LAYOUT, objective)(result.network) for objective in (NextToken(), PrefixLM())]
    assert scores[0] == scores[1] and result.loss_kind == "nll"
    with pytest.raises(UserError, match="PrefixLM needs attention"):
        Experiment(model=Transformer(mixer=Convolution()), objective=PrefixLM())


def test_noise_exchanges_what_is_shown_and_nothing_else() -> None:
    ids = torch.randint(0, 9, (40, 50), generator=torch.Generator().manual_seed(0))
    geometry = Geometry.of(Sequence(50).positions(), Visibility.CAUSAL)
    clean = NextToken().example(ids, geometry, 9, torch.Generator().manual_seed(1))
    noisy = NextToken(noise=0.3).example(ids, geometry, 9, torch.Generator().manual_seed(1))
    assert torch.equal(noisy.targets, clean.targets) and int(noisy.inputs.max()) == 9
    assert torch.equal(noisy.inputs[:, 0], clean.inputs[:, 0]), "the reserved id stays"
    # Of those exchanged a ninth is drawn as it was.
    assert float((noisy.inputs != clean.inputs)[:, 1:].float().mean()) == pytest.approx(0.3 * 8 / 9, abs=0.03)
    judged = NextToken(noise=0.3, forget=0.2).judged.example(ids, geometry, 9, torch.Generator())
    assert torch.equal(judged.inputs, clean.inputs) and judged.keep is None
