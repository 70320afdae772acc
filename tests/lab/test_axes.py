"""Axes in use: every protocol trained, scored, coded and written with; patterns, guidance, extension, controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semagram.cli import main
from semagram.config import from_json, to_json
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.axes import above, extend, go_on, steered, tags_beside
from semagram.lab.axis_controls import controls, verdicts
from semagram.lab.comparison_judged import ComparedText, judge_network
from semagram.layouts import (
    Axis,
    Causal,
    Completed,
    Concat,
    Crossed,
    Given,
    Joint,
    Oracle,
    Sequence,
    Streams,
    Sum,
    Target,
)
from semagram.models import MultiToken, Transformer
from semagram.models.tagged import network_of
from semagram.objectives import NextToken
from semagram.predictors.guided import Guided
from semagram.text import Characters
from semagram.text.interleaved import InterleavedTokenizer
from semagram.text.labels import CharacterClass, Checksum, Finished, Noise, PartOfSpeech, PositionInWord
from semagram.text.tokenizers import tokenizer_from_json
from semagram.trained import TrainedModel, load
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.settings import Training
from semagram.training.tokenised import interleaved
from semagram.verbs.score import score

TEXT = "the cat sat on 7 mats, and the Dog sat too. " * 12
HELD_OUT = "the Dog sat on 12 cats, too. the mat"
CLASSES = Axis("kind", CharacterClass(), Causal(), role="both", dropout=0.2)
POS = Axis("pos", PartOfSpeech(), Completed())
PATTERN = Axis("kind", CharacterClass(), Given(), dropout=0.5)
ORACLE = Axis("pos", PartOfSpeech(), Oracle(allow_oracle=True), role="both")


def experiment(*axes: Axis, combine: Any = None, name: str = "tiny") -> Experiment:
    layout = Streams(16, tags=axes, combine=combine or Sum()) if axes else Sequence(16)
    training = Training(budget=Budget(3, "steps"), batch=4, threads=1, evaluate_every=1.0)
    return Experiment(name=name, layout=layout, model=Transformer(width=16, depth=1), training=training)


def untrained(*axes: Axis, combine: Any = None) -> TrainedModel:
    """Random weights, nothing at zero."""
    made = experiment(*axes, combine=combine)
    tokenizer: Any = Characters().train(TEXT + HELD_OUT)
    if isinstance(made.layout, Streams) and made.layout.written:
        tokenizer = interleaved(tokenizer, made.layout)
    torch.manual_seed(0)
    network = network_of(made.model, tokenizer.vocabulary_size, made.layout, made.objective.visibility)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return TrainedModel(made, tokenizer, network)


@pytest.mark.parametrize(
    "made",
    [
        experiment(POS, replace(CLASSES, delay=1)),
        experiment(POS, CLASSES, combine=Crossed(heads=2)),
        experiment(Axis("pos", PartOfSpeech(), Target(), weight=0.1)),
        experiment(Axis("kind", CharacterClass(), Joint()), Axis("pos", PositionInWord(), Joint())),
        experiment(Axis("pos", PartOfSpeech(), Joint(every="word"))),
    ],
    ids=["shown", "crossed", "target", "joint", "joint a word"],
)
def test_trained_scored_coded_and_written_the_same_text(made: Experiment, tmp_path: Path) -> None:
    result = train(made, TEXT, tmp_path / "run")
    model = load(tmp_path / "run")
    assert from_json(Experiment, to_json(made)) == made and model.experiment == made
    held_out = TEXT[-150:]
    found = model.score(held_out)
    stepped = score(model.predictor, model.encode(held_out), parallel=False)
    assert found.total_nats == pytest.approx(stepped.total_nats, rel=1e-5)
    data = model.compress(held_out)
    assert model.decompress(data) == held_out
    bits = found.bits_per_character(1)
    assert bits - 8 <= 8 * len(data) <= bits + 8 * 40  # and the header
    assert str(model.generate("the ", 20)).startswith("the ")
    assert result.held_out_nats is not None and model.kind_of_score == "nll"
    said = [line for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines() if "train_nats" in line]
    asked = made.layout.asked if isinstance(made.layout, Streams) else ()
    assert all(f"train_axis_{axis.name}" in said[-1] for axis in asked)


def test_the_commands_say_what_the_axes_are(tmp_path: Path, capsys) -> None:
    run, book = str(untrained(POS).save(tmp_path / "run")), tmp_path / "book.txt"
    book.write_text(HELD_OUT)
    assert main(["generate", run, "--prompt", "the cat ", "--tokens", "12", "--show-axes"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("pos") and "the cat" in shown[1]
    assert main(["score", run, str(book)]) == 0
    assert "axes: pos (Completed)" in capsys.readouterr().out
    pattern = str(untrained(PATTERN).save(tmp_path / "pattern"))
    asked = ["--prompt", "the ", "--tokens", "8", "--given-like", HELD_OUT, "--guidance", "1.5"]
    assert main(["generate", pattern, *asked]) == 0
    assert capsys.readouterr().out.startswith("the ")
    assert main(["score", pattern, str(book)]) == 0
    assert "given-conditional" in capsys.readouterr().out
    assert main(["generate", run, "--given", "pos=noun"]) == 2


def test_a_joint_score_pays_for_text_and_tags() -> None:
    model = untrained(Axis("kind", CharacterClass(), Joint()))
    assert isinstance(model.tokenizer, InterleavedTokenizer)
    ids, found = model.encode(HELD_OUT), model.score(HELD_OUT)
    assert len(ids) == 2 * len(HELD_OUT) == found.tokens
    letters = ids < model.tokenizer.letters
    assert found.nats[letters].sum() > 0 and found.nats[~letters].sum() > 0
    assert found.bits_per_character(len(HELD_OUT)) == pytest.approx(found.nats.sum() / np.log(2) / len(HELD_OUT))
    # Under the predictor a tag follows a letter and a letter a tag, with all the probability there is.
    state = model.predictor.open(model.predictor.canvas(3), 1)
    state.write(torch.from_numpy(ids[None, :1]))
    assert float(state.log_probs()[0, 0, : model.tokenizer.letters].exp().sum()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("every", ["step", "word"])
@pytest.mark.parametrize("order", ["tag first", "text first"])
def test_tags_between_letters(every: Any, order: Any) -> None:
    if (every, order) == ("word", "text first"):
        with pytest.raises(UserError, match="stands before it"):
            Joint(order, every)
        return
    inner = Characters().train(TEXT)
    both = InterleavedTokenizer(inner, (("pos", PartOfSpeech()), ("kind", CharacterClass())), order, every)
    text = "the cat, the Dog."
    ids = both.encode(text)
    assert both.decode(ids) == text and both.lengths(ids).sum() == len(text)
    assert len(ids) == (3 * len(text) if every == "step" else len(text) + 2 * 4)
    assert len(set(both.token_texts())) == both.vocabulary_size
    again = tokenizer_from_json(both.to_json())
    assert again == both and again.fingerprint == both.fingerprint
    tokens, columns = both.split(ids)
    assert inner.decode(tokens) == text
    if every == "step":
        assert columns[0].tolist() == PartOfSpeech().label(text).tolist()
        assert columns[1].tolist() == CharacterClass().label(text).tolist()
    assert both.encode("").size == 0


def test_what_is_told_is_conditional_and_never_stands_beside_a_likelihood() -> None:
    model = untrained(ORACLE)
    assert model.experiment.name == "tiny-oracle" and model.kind_of_score == "oracle-conditional"
    with pytest.raises(UserError, match="oracle-conditional"):
        model.compress(HELD_OUT)
    text = ComparedText(("x",), TEXT + HELD_OUT, len(HELD_OUT) / len(TEXT + HELD_OUT))
    judged, nats, _ = judge_network(model, text, coded=True)
    assert judged.nll is None and nats is None and judged.coded is None and judged.oracle_conditional is not None
    found = {f.check: f.verdict for f in model.audit(HELD_OUT).findings}
    assert found["text reaches no earlier answer"] == "broken"
    honest = {f.check: f.verdict for f in untrained(POS).audit(HELD_OUT).findings}
    assert "broken" not in honest.values(), honest


def test_a_pattern_is_written_to_guided_and_done_without() -> None:
    model = untrained(PATTERN)
    assert model.kind_of_score == "given-conditional"
    plain = steered(model, without=True).predictor
    given = steered(model, constant={"kind": CharacterClass().names()[1]}).predictor
    guided = steered(model, constant={"kind": CharacterClass().names()[1]}, guidance=2.5).predictor
    layout, ids = plain.canvas(8), torch.from_numpy(model.encode(HELD_OUT[:8]))[None]
    a, b, c = (p.open(layout, 1).read(ids) for p in (plain, given, guided))
    assert not torch.equal(a, b)
    assert torch.allclose(c, torch.log_softmax(-1.5 * a + 2.5 * b, dim=-1), atol=1e-5)
    like = steered(model, like=HELD_OUT)
    assert isinstance(like.generate("the ", 10), str) and not torch.equal(like.predictor.open(layout, 1).read(ids), a)
    with pytest.raises(UserError, match="no tag"):
        steered(model, constant={"kind": "nonsense"})
    with pytest.raises(UserError, match="no axes of tags that are shown"):
        steered(untrained(), without=True)
    with pytest.raises(UserError, match="dropout"):
        Guided(untrained(POS).predictor)  # type: ignore[arg-type]


def test_tags_stand_above_the_text() -> None:
    model = untrained(POS, Axis("kind", CharacterClass(), Causal()))
    text, tags = tags_beside(model, model.encode(HELD_OUT))
    names = PartOfSpeech().names()
    assert text == HELD_OUT and tags["pos"] == [names[t] for t in Finished(PartOfSpeech()).label(HELD_OUT)]
    lines = above(text, tags, width=20).splitlines()
    assert lines[2].endswith(HELD_OUT[:20].rstrip()) and lines[0].startswith("pos") and lines[1].startswith("kind")
    joint = untrained(Axis("kind", CharacterClass(), Joint()))
    text, tags = tags_beside(joint, joint.encode(HELD_OUT))
    assert text == HELD_OUT and tags["kind"] == [CharacterClass().names()[t] for t in CharacterClass().label(HELD_OUT)]


@pytest.mark.parametrize("axis", [POS, CLASSES, Axis("pos", PartOfSpeech(), Target())], ids=["input", "both", "target"])
@pytest.mark.parametrize("start", ["none", "sum", "concat"])
def test_a_new_axis_changes_nothing_until_it_is_trained(axis: Axis, start: str, tmp_path: Path) -> None:
    place = Axis("place", PositionInWord(), Causal())
    axes = () if start == "none" else (place,)
    model = untrained(*axes, combine=Concat(4) if start == "concat" else None)
    longer = extend(model, axis)
    before, after = model.score(HELD_OUT).nats, longer.score(HELD_OUT).nats
    assert np.abs(before - after).max() < 1e-5
    if start == "sum" and axis is POS:
        tokenised = go_on(longer, TEXT + HELD_OUT, tmp_path / "run")
        result = train(longer.experiment, tokenised, tmp_path / "run", resume=True)
        trained = load(tmp_path / "run")
        assert result.step == 3 and not np.allclose(trained.score(HELD_OUT).nats, after)
        table: Any = trained.network.trunk.embedding.tags[-1]  # type: ignore[union-attr]
        assert float(table.weight.detach().abs().max()) > 0  # the new rows have learnt


def test_controls_have_as_many_tags_known_as_early() -> None:
    made = experiment(POS, Axis("kind", CharacterClass(), Causal()))
    found = controls(made)
    assert list(found) == ["none", "pos~checksum", "pos~noise", "kind~checksum", "kind~noise"]
    assert found["none"].layout == Sequence(16) and not controls(found["none"])
    changed: Any = found["pos~checksum"].layout
    assert changed.tags[0].labeller == Checksum(of=Finished(PartOfSpeech())) and changed.tags[1] == made.layout.tags[1]  # type: ignore[union-attr]
    for name, e in found.items():
        if name != "none":
            for axis, own in zip(e.layout.tags, made.layout.tags, strict=True):  # type: ignore[union-attr]
                assert (axis.size == own.size and axis.reading.alignment == own.reading.alignment) or isinstance(
                    axis.labeller, Noise
                )
    said = verdicts({"": 1.0, "none": 1.1, "a~checksum": 1.0, "b~checksum": 1.12}, ("a", "b"))
    assert said["a"].startswith("leakage") and said["b"].startswith("100 %")
    assert verdicts({"": 1.2, "none": 1.1, "a~checksum": 1.0}, ("a",))["a"].startswith("no gain")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Axis("two words", CharacterClass()), "must be a word"),
        (lambda: Axis("a", CharacterClass(), Target(), role="input"), "role must be target"),
        (lambda: Axis("a", CharacterClass(), Joint(), delay=1), "delay must be 0"),
        (lambda: Axis("a", CharacterClass(), Causal(), weight=0.5), "weight must be"),
        (lambda: Axis("a", CharacterClass(), Target(), dropout=0.5), "dropout must be"),
        (lambda: Streams(8, tags=(CLASSES, CLASSES)), "names of their own"),
        (lambda: Streams(8, 3, tags=(CLASSES,)), "follows from the tags"),
        (lambda: Streams(8, combine=Concat(4)), "acts on tags that are shown"),
        (lambda: Streams(8, tags=(POS, Axis("b", CharacterClass(), Joint()))), "stand by themselves"),
        (
            lambda: Streams(8, tags=tuple(Axis(o[0], CharacterClass(), Joint(o)) for o in ("tag first", "xext first"))),  # type: ignore[arg-type]
            "must agree",
        ),
        (lambda: replace(experiment(POS), model=MultiToken()), "not by a MultiToken"),
        (lambda: replace(experiment(POS), objective=NextToken(forget=0.2)), "without forget"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()
