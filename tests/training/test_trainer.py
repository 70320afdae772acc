"""The loop: what a run leaves behind, what it refuses, and that equal runs give equal bits."""

import json
import math
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from semagram.errors import UserError
from semagram.trained import load
from semagram.training import SaveEvery, TokenisedText, train
from semagram.training import run as run_module
from semagram.training.budget import Budget
from semagram.training.checkpoint import read
from semagram.training.device import fabric_of
from semagram.training.evaluate import HeldOut
from semagram.training.optimisers import AdamW
from semagram.training.progress import Silent
from semagram.training.records import RunFolder
from semagram.training.run import Run
from training.tiny_runs import At, experiment, page_experiment, sha256, words

TEXT = words()


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_all_that_repeats_it(tmp_path):
    e = experiment(steps=40, optimiser=AdamW(rate=1e-2))
    result = train(e, TEXT, tmp_path / "run", sample=lambda network: "a sample", save=SaveEvery(steps=7))
    names = {str(p.relative_to(result.run)) for p in result.run.rglob("*") if p.is_file()}
    assert names == {
        "config.json", "tokenizer.json", "environment.json", "metrics.jsonl", "samples.txt", "result.json",
        "model.safetensors", "checkpoints/last.safetensors", "checkpoints/best.safetensors",
    }  # fmt: skip
    assert result.ended == "budget" and result.step == 40 and result.tokens == 40 * 4 * 16
    trained = [line for line in lines(result.run) if "train_nats" in line]
    scored = [line for line in lines(result.run) if "held_out_nats" in line]
    assert [line["step"] for line in trained] == list(range(1, 41))
    assert [line["step"] for line in scored] == [10, 20, 30, 40]
    assert set(trained[0]) == {"step", "tokens", "seconds", "cpu_seconds", "train_nats", "rate", "tokens_per_second"}
    assert scored[-1]["held_out_nats"] == result.held_out_nats < math.log(16)
    assert scored[-1]["held_out_bits_per_character"] == result.held_out_bits_per_character
    assert trained[-1]["train_nats"] < trained[0]["train_nats"] - 0.2
    assert (result.run / "samples.txt").read_text().count("a sample") == 4
    assert json.loads((result.run / "environment.json").read_text())["starts"][0]["threads"] == 1
    loaded = load(result.run)
    assert loaded.experiment == e and loaded.tokenizer == result.tokenizer
    for (name, mine), (_, theirs) in zip(
        loaded.network.state_dict().items(), result.network.state_dict().items(), strict=True
    ):
        assert torch.equal(mine, theirs), name
    text = TokenisedText.of(TEXT, e.tokenizer, e.training.held_out)
    assert HeldOut(text.held_out, e.layout, e.objective)(loaded.network) == pytest.approx(
        result.held_out_nats, rel=1e-6
    )


@pytest.mark.parametrize("make", [experiment, page_experiment])
def test_equal_runs_give_equal_bits_however_often_they_are_saved_or_watched(tmp_path, make):
    torch.manual_seed(1)
    first = train(make(), TEXT, tmp_path / "a", save=SaveEvery(seconds=None))
    torch.manual_seed(2)
    second = train(
        make(), TEXT, tmp_path / "b", save=SaveEvery(seconds=0.0, steps=1),
        sample=lambda network: str(torch.rand(3)), watch=At(3, lambda: torch.rand(100)),
    )  # fmt: skip
    assert sha256(first.run / "model.safetensors") == sha256(second.run / "model.safetensors")
    assert first.held_out_nats == second.held_out_nats
    third = train(replace(make(), seed=1), TEXT, tmp_path / "c")
    assert first.train_nats != third.train_nats


def test_the_callers_torch_is_left_as_it_was(tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(experiment(2), TEXT, tmp_path / "a")
    assert torch.equal(before, torch.get_rng_state())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("make", [experiment, page_experiment])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, make, number):
    whole = train(make(), TEXT, tmp_path / "whole")
    stopped = train(make(), TEXT, tmp_path / "cut", watch=At(5, lambda: signal.raise_signal(number)))
    assert stopped.interrupted and stopped.step == 5 and stopped.held_out_nats is None
    assert (stopped.run / "model.safetensors").exists()
    with (stopped.run / "metrics.jsonl").open("a") as log:
        log.write('{"step": 6, "to be": "cut off"}\n')
    resumed = train(make(), TEXT, stopped.run, resume=True)
    assert resumed.ended == "budget" and resumed.tokens == whole.tokens
    assert sha256(resumed.run / "model.safetensors") == sha256(whole.run / "model.safetensors")
    drop = ("seconds", "cpu_seconds", "tokens_per_second")
    kept = [[{k: x for k, x in line.items() if k not in drop} for line in lines(r.run)] for r in (whole, resumed)]
    assert kept[0] == kept[1]
    assert len(json.loads((resumed.run / "environment.json").read_text())["starts"]) == 2


def test_resuming_an_ended_run_changes_nothing_and_resuming_nothing_begins(tmp_path):
    begun = train(experiment(), TEXT, tmp_path / "run", resume=True)
    model, log = sha256(begun.run / "model.safetensors"), sha256(begun.run / "metrics.jsonl")
    again = train(experiment(), TEXT, begun.run, resume=True)
    assert (sha256(begun.run / "model.safetensors"), sha256(begun.run / "metrics.jsonl")) == (model, log)
    assert again.held_out_nats == begun.held_out_nats and again.ended == "budget"


def test_refusals(tmp_path):
    run = train(experiment(), TEXT, tmp_path / "run").run
    before = sha256(run / "checkpoints/last.safetensors")
    with pytest.raises(UserError, match=r"already holds a run: use --resume .* or another --out"):
        train(experiment(), TEXT, run)
    changed = experiment(steps=13, clip=None)
    with pytest.raises(
        UserError, match=r"another experiment: training.budget.amount: 12 there, 13 here; training.clip"
    ):
        train(replace(changed, training=replace(changed.training)), TEXT, run, resume=True)
    with pytest.raises(UserError, match="another text"):
        train(experiment(), words(1501), run, resume=True)
    assert sha256(run / "checkpoints/last.safetensors") == before
    with pytest.raises(UserError, match=r"has 14 tokens, but one canvas of the layout holds 16"):
        train(experiment(), "a short text 123", tmp_path / "short")
    assert not (tmp_path / "short").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        train(experiment(), TEXT, tmp_path / "file")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"training.device is 'cuda'.*auto, cpu"):
            train(experiment(device="cuda"), TEXT, tmp_path / "cuda")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, damage):
    run = train(experiment(), TEXT, tmp_path / "run").run
    path = run / "checkpoints/last.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-100] ^= 4
    path.write_bytes({"cut": bytes(data[:-50]), "flip": bytes(data), "empty": b"", "other": b"not safetensors"}[damage])
    with pytest.raises(UserError, match=r"last\.safetensors is damaged.*best\.safetensors") as raised:
        train(experiment(), TEXT, run, resume=True)
    assert "\n" not in str(raised.value)


def test_the_best_checkpoint_can_stand_in_for_the_last(tmp_path):
    whole = train(experiment(), TEXT, tmp_path / "whole")
    run = train(experiment(), TEXT, tmp_path / "cut", watch=At(5, lambda: signal.raise_signal(signal.SIGINT))).run
    (run / "checkpoints/best.safetensors").replace(run / "checkpoints/last.safetensors")
    train(experiment(), TEXT, run, resume=True)
    assert sha256(run / "model.safetensors") == sha256(whole.run / "model.safetensors")


def poison(network_of_run, value):
    with torch.no_grad():
        next(network_of_run.network.parameters()).fill_(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_weights_stop_the_run_and_spare_the_checkpoint(tmp_path, monkeypatch, value):
    lives = []
    original = Run.open
    monkeypatch.setattr(Run, "open", lambda self, loggers: (lives.append(self), original(self, loggers))[1])
    watch = At(8, lambda: poison(lives[0], value))
    with pytest.raises(
        UserError, match=r"diverged at step 8: the training loss is nan.*tokens \d+, \d+.*step 6 stands"
    ):
        train(experiment(), TEXT, tmp_path / "run", watch=watch)
    kept = read(tmp_path / "run/checkpoints/last.safetensors")
    assert kept.progress.step == 6 and all(torch.isfinite(t).all() for t in kept.weights.values())
    result = train(experiment(), TEXT, tmp_path / "run", resume=True)
    assert sha256(result.run / "model.safetensors") == sha256(
        train(experiment(), TEXT, tmp_path / "whole").run / "model.safetensors"
    )


def test_bad_weights_are_never_saved(tmp_path, monkeypatch):
    lives = []
    original = Run.open
    monkeypatch.setattr(Run, "open", lambda self, loggers: (lives.append(self), original(self, loggers))[1])
    watch = At(8, lambda: poison(lives[0], float("nan")))
    with pytest.raises(UserError, match=r"weights are not finite numbers after step 8.*step 7 stands"):
        train(experiment(), TEXT, tmp_path / "run", watch=watch, save=SaveEvery(steps=1))
    assert read(tmp_path / "run/checkpoints/last.safetensors").progress.step == 7


def test_an_exploding_loss_stops_the_run(tmp_path):
    e = experiment(steps=200, optimiser=AdamW(rate=1e3), warmup=0.0, clip=None)
    e = replace(e, model=replace(e.model, logit_cap=None))
    with pytest.raises(UserError, match=r"diverged at step \d+: the training loss is .* no checkpoint yet"):
        train(e, TEXT, tmp_path / "run")


def scripted(scores):
    """An evaluation that gives the next of ``scores`` each time."""
    left = iter(scores)
    return lambda network: next(left)


def test_early_stopping_keeps_the_best(tmp_path):
    e = experiment(steps=40, evaluate_every=0.1, patience=2)
    result = train(e, TEXT, tmp_path / "a", evaluate=scripted([2.0, 1.5, 1.8, 1.9, 1.0]))
    assert (result.ended, result.step, result.weights_step, result.held_out_nats) == ("patience", 16, 8, 1.5)
    best = read(result.run / "checkpoints/best.safetensors")
    model = load_file(result.run / "model.safetensors")
    assert best.progress.step == 8 and all(torch.equal(best.weights[n], t) for n, t in model.items())
    assert any(
        not torch.equal(read(result.run / "checkpoints/last.safetensors").weights[n], t) for n, t in model.items()
    )
    # Patience survives a break between the two bad scores.
    scores, run = [2.0, 1.5, 1.8], tmp_path / "b"
    train(e, TEXT, run, evaluate=scripted(scores), watch=At(13, lambda: signal.raise_signal(signal.SIGINT)))
    again = train(e, TEXT, run, evaluate=scripted([1.9]), resume=True)
    assert (again.ended, again.step) == ("patience", 16)
    assert sha256(run / "model.safetensors") == sha256(result.run / "model.safetensors")
    without = train(
        experiment(steps=40, evaluate_every=0.1), TEXT, tmp_path / "c", evaluate=scripted([1.0] + [2.0] * 9)
    )
    assert (without.ended, without.weights_step, without.held_out_nats) == ("budget", 40, 2.0)


def test_seconds_fix_the_steps_once_and_resume_keeps_them(tmp_path):
    e = experiment(steps=1)
    e = replace(e, training=replace(e.training, budget=Budget(1.5, "seconds")))

    class Totals(Silent):
        def __init__(self):
            self.seen = []

        def step(self, moment):
            self.seen.append(moment.total_steps)
            if len(self.seen) == 20:
                signal.raise_signal(signal.SIGINT)

    first = Totals()
    stopped = train(e, TEXT, tmp_path / "run", watch=first)
    total = first.seen[-1]
    assert stopped.interrupted and total is not None and first.seen[:5] == [None] * 5
    second = Totals()
    second.seen = [0] * 20
    result = train(e, TEXT, tmp_path / "run", watch=second, resume=True)
    assert set(second.seen[20:]) == {total}
    assert result.step == total or result.ended == "clock"
    assert result.seconds < 1.5 * 1.1 + 0.5 and result.held_out_nats is not None


def test_a_clock_that_runs_over_stops_the_run_with_a_score(tmp_path, monkeypatch):
    monkeypatch.setattr("semagram.training.schedule.OVERRUN", 0.5)
    e = experiment()
    e = replace(e, training=replace(e.training, budget=Budget(0.6, "seconds")))
    result = train(e, TEXT, tmp_path / "run")
    assert result.ended == "clock" and result.held_out_nats is not None
    assert train(e, TEXT, tmp_path / "run", resume=True).step == result.step


@pytest.mark.parametrize("make", [experiment, page_experiment])
def test_accumulated_gradients_equal_those_of_the_whole_batch(tmp_path, make):
    gradients = []
    for parts in (1, 2, 4):
        e = make(dropout=0.0, accumulate=parts)
        text = TokenisedText.of(TEXT, e.tokenizer, 0.1)
        folder = RunFolder(tmp_path / f"run{parts}", e, resume=False)
        life = Run(e, text, folder, fabric_of(e.training), Silent(), lambda network: 0.0, None)
        with torch.no_grad():
            for parameter in life.network.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
        loss = life.gradient()
        gradients.append((loss, [p.grad.clone() for p in life.network.parameters()]))
    for loss, found in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], abs=1e-6)
        for mine, whole in zip(found, gradients[0][1], strict=True):
            assert torch.allclose(mine, whole, atol=1e-6, rtol=1e-5)


def test_clipping_bfloat16_and_every_setting_act(tmp_path):
    base = train(experiment(), TEXT, tmp_path / "base")
    for i, changed in enumerate(
        [{"clip": 0.01}, {"precision": "bfloat16"}, {"warmup": 0.5}, {"decay": 0.1}, {"batch": 6}, {"held_out": 0.2}]
    ):
        other = train(experiment(**changed), TEXT, tmp_path / str(i))
        assert sha256(other.run / "model.safetensors") != sha256(base.run / "model.safetensors"), changed


def test_compiled_networks_are_saved_under_plain_names(tmp_path, monkeypatch):
    compiled = torch.compile
    monkeypatch.setattr(run_module.torch, "compile", lambda network, **settings: compiled(network, backend="eager"))
    result = train(experiment(steps=3, compile=True, dropout=0.0), TEXT, tmp_path / "run")
    plain = train(experiment(steps=3, dropout=0.0), TEXT, tmp_path / "plain")
    names = set(load_file(result.run / "model.safetensors"))
    assert names == set(load_file(plain.run / "model.safetensors"))
    assert result.held_out_nats == pytest.approx(plain.held_out_nats, rel=1e-4)
