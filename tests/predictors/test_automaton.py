"""The cellular automaton: against one cell at a time, its fields, its refusals, and a run from text to page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from laws.cases import shaken
from semagram.cli import main
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Grid, Sequence, Visibility
from semagram.models import Transformer, Window
from semagram.objectives import Centred, NextToken
from semagram.predictors import AutomatonPredictor, CellularAutomaton, RankByRank, predictor_of

V = 5
LINE = Sequence(6)


def predictor(layout: Any = LINE, **fields: Any) -> AutomatonPredictor:
    torch.manual_seed(0)
    network = shaken(Window(context=2, width=9).build(V, layout, Visibility.OTHERS)).eval()
    found = predictor_of(network, layout, CellularAutomaton(**fields))
    assert isinstance(found, AutomatonPredictor)
    return found


def page(n: int, rows: int = 2) -> Tensor:
    return torch.randint(0, V, (rows, n), generator=torch.Generator().manual_seed(3))


def test_a_step_asks_every_cell_of_the_page_as_it_was() -> None:
    """Cell by cell on a copy: what is written in a step is not seen in the same step."""
    told = predictor(steps=1)
    before = page(9)
    after = told.pages(before)[1]
    for row in range(2):
        for cell in range(9):
            changed = before.clone()
            changed[row, cell] = (changed[row, cell] + 1) % V  # its own token does not matter
            alone = told.log_probs(changed)[row, cell]
            assert torch.equal(alone, told.log_probs(before)[row, cell])
            assert int(alone.argmax()) == int(after[row, cell])


def test_every_cell_of_the_law_of_the_others() -> None:
    log_probs = predictor().log_probs(page(7))
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(2, 7), atol=1e-6)


def test_a_line_of_any_length_and_a_page_of_its_own() -> None:
    told = predictor(Sequence(6))
    assert told.pages(page(31))[-1].shape == (2, 31)
    assert told.pages(page(1))[-1].shape == (2, 1)
    grid = predictor(Grid(2, 3))
    assert grid.pages(page(6))[-1].shape == (2, 6)
    with pytest.raises(UserError, match="takes 6 tokens, got 5"):
        grid.pages(page(5))
    with pytest.raises(UserError, match=r"0\.\.4, got 0\.\.5"):
        told.pages(torch.tensor([[0, 5]]))


def test_steps_share_and_temperature_act() -> None:
    start = page(40, 1)
    pages = predictor(steps=3, temperature=1.0).pages(start)
    assert len(pages) == 4
    assert len(predictor(steps=0).pages(start)) == 1
    some = predictor(steps=1, share=0.3, temperature=1.0).pages(start)[1]
    every = predictor(steps=1, temperature=1.0).pages(start)[1]
    assert 0 < int((some != start).sum()) < int((every != start).sum())
    assert not torch.equal(every, predictor(steps=1).pages(start)[1])
    assert torch.equal(every, predictor(steps=1, temperature=1.0).pages(start)[1])
    assert not torch.equal(every, predictor(steps=1, temperature=1.0).pages(start, seed=1)[1])


def test_it_stops_where_nothing_changes() -> None:
    told = predictor(steps=500)
    pages = told.pages(page(12, 1))
    if len(pages) < 501:
        assert torch.equal(pages[-1], pages[-2])
    torch.nn.init.zeros_(told.network.head.weight)  # type: ignore[attr-defined]
    assert len(told.pages(page(12, 1))) == 3


def test_a_learnt_rule_repairs_a_page() -> None:
    """Of a text that repeats abc, a centred network learns to mend what is broken."""
    from semagram.layouts.geometry import Geometry
    from semagram.objectives import weighted_nats
    from semagram.training.optimisers import AdamW

    torch.manual_seed(0)
    layout = Sequence(30)
    network = Window(context=3, width=24).build(3, layout, Visibility.OTHERS)
    stepper = AdamW(rate=0.02).build(network)
    geometry = Geometry.of(layout.positions(), Visibility.OTHERS)
    sound = (torch.arange(30) + torch.randint(0, 3, (16, 1))) % 3
    noise = torch.rand(16, 30) < 0.1
    for _ in range(40):
        shown = torch.where(noise, torch.randint(0, 3, (16, 30)), sound)
        example = replace(Centred().example(sound, geometry, 3, torch.Generator()), inputs=shown)
        weighted_nats(network(example.inputs, geometry), example).backward()
        stepper.step(1.0)
        stepper.forget_gradients()
    broken = sound[:1].clone()
    broken[0, 11] = (broken[0, 11] + 1) % 3
    told = predictor_of(network.eval(), layout, CellularAutomaton(steps=10))
    assert isinstance(told, AutomatonPredictor)
    assert torch.equal(told.pages(broken)[-1], sound[:1])


def test_what_has_no_likelihood_is_refused_with_the_reason() -> None:
    told = predictor()
    for refused in (lambda: told.open(Sequence(6), 1), lambda: told.canvas(6)):
        with pytest.raises(UserError, match="do not multiply to the probability of a text"):
            refused()
    with pytest.raises(ValueError, match="needs an OTHERS network, got CAUSAL"):
        AutomatonPredictor(Window().build(V, Sequence(4), Visibility.CAUSAL), Sequence(4), CellularAutomaton())  # type: ignore[arg-type]


def test_triples_that_do_not_fit_are_refused_when_built() -> None:
    with pytest.raises(UserError, match=r"Centred trains for OTHERS.*RankByRank needs CAUSAL.*CellularAutomaton"):
        Experiment(objective=Centred(), writing=RankByRank())
    with pytest.raises(UserError, match=r"NextToken trains for CAUSAL.*CellularAutomaton needs OTHERS"):
        Experiment(objective=NextToken(), writing=CellularAutomaton(), model=Window())
    with pytest.raises(UserError, match=r"needs OTHERS visibility, but a Transformer with mixer Attention"):
        Experiment(objective=Centred(), writing=CellularAutomaton(), model=Transformer())
    Experiment(objective=Centred(), writing=CellularAutomaton(), model=Window())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A centred model, trained for a few steps from the command line."""
    folder = tmp_path_factory.mktemp("centred")
    (folder / "book.txt").write_text("the monster awakes and the monster sleeps. " * 60)
    words = ["train", str(folder / "book.txt"), "--recipe", "automaton", "--budget", "12steps", "--out",
             str(folder / "run"), "--quiet", "--training.batch", "4"]  # fmt: skip
    assert main(words) == 0
    return folder / "run"


def test_a_run_from_text_to_page(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["automaton", str(run), "--text", "the monstar awakes", "--steps", "4", "--every"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("--- 0 ---\nthe monstar awakes\n--- 1 ---\n")
    assert main(["automaton", str(run), "--length", "20", "--share", "0.5", "--temperature", "1", "--json"]) == 0
    pages = json.loads(capsys.readouterr().out)["pages"]
    assert all(len(p) == 20 for p in pages)


@pytest.mark.parametrize("words", [["score"], ["compress", "-o", "x"], ["generate"], ["audit"]], ids=lambda w: w[0])
def test_verbs_that_need_a_likelihood_refuse(
    run: Path, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert main([words[0], str(run), *words[1:]]) == 2
    told = capsys.readouterr()
    assert "do not multiply to the probability of a text" in told.err and told.err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_the_command_refuses_what_cannot_be(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, reason in (
        (["--text", "a", "--length", "3"], "for a random page"),
        (["--length", "0"], "at least 1, got 0"),
        (["--steps", "-2"], "at least 0, got -2"),
        (["--text", "\u03a9"], ""),
    ):
        capsys.readouterr()
        assert main(["automaton", str(run), *words]) == 2
        assert reason in capsys.readouterr().err
