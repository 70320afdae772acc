"""Sweeps: what cannot be is refused at once; no cell is lost or repeated, whatever dies; validation is opened once."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from semagram.cli import main
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.feedforward import MLP
from semagram.lab import sweep_work
from semagram.lab.sweep import QUESTION, TEXT, Sweep, sweep
from semagram.lab.sweep_importance import importance
from semagram.lab.sweep_space import Choice, Range, applied, axes_of
from semagram.lab.sweep_study import MOST_DEATHS, Book, Trial
from semagram.layouts import Sequence
from semagram.mixers import Attention, Convolution, StateSpace
from semagram.models import Transformer
from semagram.training.budget import Budget
from semagram.training.settings import Training

pytest.importorskip("optuna")

TINY = Experiment(
    layout=Sequence(16),
    model=Transformer(width=16, depth=1, mixer=Attention(heads=2), feedforward=MLP(multiple=1.0)),
    training=Training(budget=Budget(4, "steps"), batch=4, threads=1),
)
WORDS = ("training.optimiser.rate=log:1e-3..1e-1", "model.depth=1,2,3", "model.width=16..32")


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text("the ring of ink and the ink of time is a ring that ends where it began. " * 20)
    return path


def landscape(experiment: Experiment) -> float:
    """A score that is known: best at rate 0.01, depth 2."""
    model: Any = experiment.model
    optimiser: Any = experiment.training.optimiser
    return 2.0 + abs(math.log10(optimiser.rate) + 2) + abs(model.depth - 2) + 0.001 * model.width


class Cells:
    """A stub objective that writes down every call; some cells crash, some are NaN, some kill their process."""

    def __init__(self, record: Path, deadly: tuple[int, ...] = ()) -> None:
        self.record, self.deadly = record, deadly

    def __call__(self, experiment: Experiment, folder: Path) -> float:
        number = int(folder.name)
        with self.record.open("a") as file:
            file.write(f"{number}\n")
        if number in self.deadly and self.calls().count(number) == 1:
            os._exit(9)
        if number % 20 == 3:
            raise RuntimeError("injected crash")
        return math.nan if number % 20 == 7 else landscape(experiment)

    def calls(self) -> list[int]:
        return [int(n) for n in self.record.read_text().split()]


def in_a_child(folder: Path, cells: Cells, trials: int) -> int:
    """Exit status of a forked process that works on the sweep."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sweep("book.txt", over=WORDS, recipe=TINY, trials=trials, sampler="random", out=folder, objective=cells)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_hundred_cells_with_crashes_and_kills(tmp_path: Path) -> None:
    cells, folder = Cells(tmp_path / "calls", deadly=(31, 60)), tmp_path / "sweep"
    assert [in_a_child(folder, cells, 100) for _ in range(2)] == [9, 9]  # killed in the middle of a cell, twice
    found = sweep("book.txt", over=WORDS, recipe=TINY, trials=100, sampler="random", out=folder, objective=cells)
    calls = cells.calls()
    assert {n: calls.count(n) for n in range(100)} == {n: 2 if n in (31, 60) else 1 for n in range(100)}
    assert [t.number for t in found.trials] == list(range(100)) and all(t.finished for t in found.trials)
    failed = {t.number: t.failed for t in found.trials if t.bits is None}
    assert set(failed) == {n for n in range(100) if n % 20 in (3, 7)} and len(failed) == 10
    assert "injected crash" in str(failed[3]) and "nan" in str(failed[7])
    # What was drawn depends on the trial's number alone: an undisturbed sweep draws the same.
    calm = Cells(tmp_path / "calm")
    other = sweep("book.txt", over=WORDS, recipe=TINY, trials=36, sampler="random", out=tmp_path / "o", objective=calm)
    assert [t.values for t in other.trials] == [t.values for t in found.trials[:36]]
    assert len({str(t.values) for t in found.trials}) == 100
    # Again: nothing is done; more trials: only those.
    sweep("book.txt", over=WORDS, recipe=TINY, trials=100, sampler="random", out=folder, objective=cells)
    assert cells.calls() == calls
    told = json.loads((folder / "result.json").read_text())
    assert len(told["trials"]) == 100 and told["best"]["dev_bits_per_character"] == found.best.bits
    assert found.best.bits == min(t.bits for t in found.trials if t.bits is not None)
    model: Any = found.best_experiment.model
    assert model.depth == found.best.values["model.depth"]
    page = (folder / "report.html").read_text()
    assert "injected crash" in page and "<script" not in page and "training.optimiser.rate" in page


def test_a_cell_that_kills_every_process_is_given_up(tmp_path: Path) -> None:
    book = Book(tmp_path / "s", (), "random", 0)
    for _ in range(MOST_DEATHS):
        turn = book.take(2)
        assert turn is not None and turn.number == 0
        turn.let_go()  # as when its process dies: the lock goes, nothing was told
    turn = book.take(2)
    assert turn is not None and turn.number == 1, "the culprit is written down, the next cell is begun"
    assert book.take(2) is None, "a cell in hand is not given to another"
    turn.tell(1.0)
    turn.let_go()
    assert "processes ended" in str(book.trials()[0].failed)


def test_half_a_line_in_the_journal_is_cut_off(tmp_path: Path) -> None:
    first = Book(tmp_path / "s", (), "random", 0)
    turn = first.take(1)
    assert turn is not None
    turn.tell(1.5)
    turn.let_go()
    with (tmp_path / "s" / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 4, "worker')
    assert Book(tmp_path / "s", (), "random", 0).trials()[0].bits == 1.5


@pytest.mark.parametrize("sampler", ["tpe", "evolution"])
def test_a_sampler_finds_what_is_better(sampler: Any, tmp_path: Path) -> None:
    over = WORDS if sampler == "tpe" else ("training.optimiser.rate=log:1e-3..1e-1", "model.width=16..32")
    cells = Cells(tmp_path / "calls")
    found = sweep("book.txt", over=over, recipe=TINY, trials=30, sampler=sampler, out=tmp_path / "s", objective=cells)
    scored = [t.bits for t in found.trials if t.bits is not None]
    assert sum(scored[-8:]) / 8 < sum(scored[:8]) / 8


def test_trials_are_trained_alike_and_the_validation_text_is_opened_once(tmp_path: Path, book: Path) -> None:
    held_out = "#@#@#@#@" * 20  # letters that are nowhere else: whoever has read them has them in its alphabet
    book.write_text(book.read_text()[: 9 * len(held_out)] + held_out)
    over = ["training.optimiser.rate=log:1e-3..1e-1", "model.mixer=Attention,Convolution", "model.mixer.heads=2,4"]
    tiny = TINY
    found = sweep("book.txt", over=over, recipe=tiny, trials=3, out="s", sampler="random")
    assert "#" not in Path("s", TEXT).read_text()
    for trial in sorted(Path("s/trials").glob("0*")):
        assert "#" not in (trial / "tokenizer.json").read_text()
        result = json.loads((trial / "result.json").read_text())
        assert result["step"] == 4
    has_heads = [("model.mixer.heads" in t.values, t.values["model.mixer"] == "Attention") for t in found.trials]
    assert all(a == b for a, b in has_heads) and len({a for a, _ in has_heads}) == 2
    assert found.held_out_bits is not None
    assert "#" in Path("s/best/tokenizer.json").read_text()
    before = sorted((p, p.stat().st_mtime_ns) for p in Path("s").rglob("model.safetensors"))
    again = sweep("book.txt", over=over, recipe=tiny, trials=3, out="s", sampler="random")
    assert again.held_out_bits == found.held_out_bits and again.best == found.best
    assert sorted((p, p.stat().st_mtime_ns) for p in Path("s").rglob("model.safetensors")) == before
    with pytest.raises(UserError, match=r"another sweep: dev: 0\.1 there, 0\.2 here"):
        sweep("book.txt", over=over, recipe=tiny, trials=3, out="s", sampler="random", dev=0.2)


def test_processes_share_the_trials_and_one_that_dies_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start, started = sweep_work._start, []

    def first_one_dies(folder: Path, trials: int, number: int, workers: int) -> Any:
        process = start(folder, trials, number, workers)
        if not started:
            turn = Book(folder, (), "random", 0).take(1)  # a cell that was begun when its process ended
            assert turn is not None
            turn.let_go()
            process.kill()
        started.append(number)
        return process

    monkeypatch.setattr(sweep_work, "_start", first_one_dies)
    command = ["sweep", "book.txt", "--over", WORDS[0], "--trials", "4", "--workers", "2", "--out", "s", "--json"]
    small = ["--layout.length", "16", "--training.batch", "4", "--model.width", "16", "--model.depth", "1"]
    assert main([*command, *small, "--budget", "3steps", "--no-final", "--sampler", "random"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(started) == 3 and [t["trial"] for t in told["trials"]] == [0, 1, 2, 3]
    assert all(t["failed"] is None for t in told["trials"]) and told["held_out_bits_per_character"] is None
    assert {json.loads((p / "result.json").read_text())["step"] for p in Path("s/trials").glob("0*")} == {3}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.widht=16,32", r"no field 'widht'.*\"width\""),
        ("model.width", "written PATH=VALUES"),
        ("model.width=16..", "LOW..HIGH"),
        ("model.width=32..16", "must rise"),
        ("model.width=16.5..20", "whole number"),
        ("training.optimiser.rate=log:0..1", "above 0"),
        ("training.optimiser.rate=-1..1", r"must be above 0, got -1\.0"),
        ("training.optimiser.rate=fast,slow", "must be a number"),
        ("model.mixer=Attention,Attnetion", 'mean "Attention"'),
        ("model.mixer=1..2", "a range is for numbers"),
        ("model.mixer.state=16,32", "no field 'state'"),
        ("model.depth=1,1", "twice"),
        ("training.budget.amount=1..2", "one budget"),
        ("seed=0,1,2", "luck"),
        ("text=a,b", "one text"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(word: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "book.txt", "--over", word, "--out", "s"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    with pytest.raises(UserError, match=said):
        axes_of([word], TINY)
    assert not Path("s").exists()


def test_axes_act_and_parts_come_before_what_is_in_them() -> None:
    axes = axes_of(["model.mixer.state=8,16", "model.mixer=StateSpace,Attention", "model.width=16..32"], TINY)
    assert [type(a) for a in axes] == [Choice, Range, Choice]
    values: dict[str, Any] = {"model.mixer": "StateSpace", "model.mixer.state": 16, "model.width": 24}
    made: Any = applied(TINY, axes, lambda axis: values[axis.path]).model
    assert made.mixer == StateSpace(state=16) and made.width == 24
    values = {"model.mixer": "Attention", "model.width": 24}
    made = applied(TINY, axes, lambda axis: values[axis.path]).model
    assert made.mixer == Attention()
    assert isinstance(axes_of(["model.mixer=Convolution"], TINY)[0], Choice) and Convolution()


def test_importance_is_that_of_a_known_score() -> None:
    axes = (Range("a", 0.0, 1.0, False, False), Choice("b", ("x", "y")), Range("c", 1e-3, 1.0, True, False))
    random = torch.Generator().manual_seed(0)
    trials = []
    for n in range(64):
        a, c = torch.rand(2, generator=random).tolist()
        values = {"a": a, "b": "xy"[n % 2], "c": 10 ** (3 * c - 3)}
        trials.append(Trial(n, values, 10 * a + (2.0 if n % 2 else 0.0), None, True))
    shares = importance(axes, trials)
    assert shares["a"] is not None and shares["b"] is not None and shares["c"] is not None
    assert shares["a"] > 0.8 and 0.0 < shares["b"] < 0.2 and shares["c"] < 0.15
    assert importance(axes, trials[:3]) == {"a": None, "b": None, "c": None}


def test_a_sweep_without_any_score_says_why(tmp_path: Path) -> None:
    def broken(experiment: Experiment, folder: Path) -> float:
        raise ValueError("no such luck")

    with pytest.raises(UserError, match="no such luck"):
        sweep("book.txt", over=WORDS, recipe=TINY, trials=2, objective=broken, out=tmp_path / "s")
    assert (tmp_path / "s" / QUESTION).is_file() and Sweep
