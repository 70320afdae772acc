"""Ensembles of runs: learned weights against a grid, saved, loaded, changed and back, and every command on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from laws.predictors_walked import network
from semagram.cli import main
from semagram.errors import UserError
from semagram.lab.ensembles import TrainedEnsemble, load_ensemble
from semagram.layouts import Sequence, Visibility
from semagram.predictors import CausalPredictor
from semagram.predictors.ensemble import Ensemble
from semagram.predictors.ngram import NgramConfig
from semagram.trained import load
from semagram.verbs.fit_weights import fit_weights
from semagram.verbs.score import score

V = 5
TEXT = "the ring of ink and the ink of time is a ring that ends where it began. " * 12
QUICK = ["--model.width", "16", "--model.depth", "1", "--layout.length", "16", "--training.batch", "4"]


def drawn(seed: int, count: int = 300) -> np.ndarray:
    """A text with some order in it."""
    random = np.random.default_rng(seed)
    ids = [0]
    for _ in range(count - 1):
        ids.append(int((ids[-1] + random.choice([1, 2, 3], p=[0.7, 0.2, 0.1])) % V))
    return np.array(ids)


def members() -> tuple:
    net = CausalPredictor(network(Visibility.CAUSAL, Sequence(16)), Sequence(16))
    return NgramConfig(1).fit(drawn(0), V), NgramConfig(0).fit(drawn(1), V), net


@pytest.mark.parametrize("kind", ["mixture", "product"])
def test_learned_weights_are_the_best_of_a_grid(kind) -> None:
    each, ids = members()[::2], drawn(2, 120)
    learned = fit_weights(each, ids, kind)

    def cost(weights) -> float:
        return score(Ensemble(each, kind, tuple(weights)), ids).nats_per_token

    assert sum(learned) == pytest.approx(1.0) and min(learned) > 0
    best = min(cost((a, 1 - a)) for a in np.linspace(0.02, 0.98, 25))
    assert cost(learned) <= best + 1e-4
    three = fit_weights(members(), ids, kind)
    assert score(Ensemble(members(), kind, tuple(three)), ids).total_nats <= (
        score(Ensemble(members(), kind), ids).total_nats + 1e-3
    )
    assert three[0] > three[1] and fit_weights(members()[:1], ids, kind) == [1.0]


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        fit_weights(members(), np.zeros(0, dtype=np.int64))
    with pytest.raises(UserError, match="steps must be"):
        fit_weights(members(), drawn(0), steps=0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, a to c, and their text."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("ensembles")
    (folder / "book.txt").write_text(TEXT)
    (folder / "fit.txt").write_text("the ink that ends the ring of time. ")
    for seed, name in enumerate("abc"):
        words = [str(folder / "book.txt"), *QUICK, "--budget", "8steps", "--quiet", "--seed", str(seed)]
        assert main(["train", *words, "--training.threads", "1", "--out", str(folder / name)]) == 0
    return folder


def test_a_member_comes_and_goes_and_the_numbers_are_back(runs: Path, tmp_path: Path) -> None:
    a, b, c = (load(runs / name) for name in "abc")
    for kind, bayesian in (("mixture", False), ("product", False), ("mixture", True)):
        first = TrainedEnsemble([a, b], kind, (1.0, 3.0), bayesian)
        before = first.score(TEXT[-80:])
        path = first.with_member(c, 2.0).save(tmp_path / f"{kind}{bayesian}")
        back = load_ensemble(path).without_member(2)
        assert np.array_equal(back.score(TEXT[-80:]).nats, before.nats), "to the bit"
        assert back.identity == first.identity != load_ensemble(path).identity
    with pytest.raises(UserError, match="there already"):
        first.save(path)


def test_every_command_takes_an_ensemble(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both, text = str(tmp_path / "both"), str(runs / "fit.txt")
    joined = ["ensemble", str(runs / "a"), str(runs / "b"), "-o"]
    assert main([*joined, both, "--weights", "learned", "--fit", text]) == 0
    assert "a mixture of 2, weights 0." in capsys.readouterr().out
    assert main(["score", both, text, "--json"]) == 0
    nats = json.loads(capsys.readouterr().out)["total_nats"]
    made = load_ensemble(both)
    assert nats == pytest.approx(made.score(Path(text).read_text()).total_nats)
    equal = TrainedEnsemble(made.members).score(Path(text).read_text()).total_nats
    assert nats <= equal + 1e-4
    assert main(["compress", both, "-o", str(tmp_path / "file")]) == 0
    assert main(["decompress", both, str(tmp_path / "file"), "-o", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again").read_text() == TEXT[-len((tmp_path / "again").read_text()) :]
    assert main(["generate", both, "--tokens", "8", "--prompt", "the", "--json"]) == 0
    (written,) = json.loads(capsys.readouterr().out.splitlines()[-1])["texts"]
    assert written.startswith("the") and len(written) == 11
    assert main(["audit", both, text]) == 0
    capsys.readouterr()
    three, two = str(tmp_path / "three"), str(tmp_path / "two")
    assert main(["ensemble", both, str(runs / "c"), "-o", three, "--weights", "learned", "--fit", text]) == 0
    assert main(["ensemble", three, "-o", two, "--remove", "2"]) == 0
    assert main(["ensemble", two, "-o", str(tmp_path / "product"), "--kind", "product"]) == 0
    assert "a product of 2" in capsys.readouterr().out
    assert [m.identity for m in load_ensemble(two).members] == [m.identity for m in made.members]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["{a}", "{b}", "--weights", "learned"], "--fit TEXT"),
        (["{a}", "--fit", "{fit}"], "--fit TEXT"),
        (["{a}", "--remove", "0"], "is a single run"),
        (["{a}", "{b}", "--kind", "product", "--weights", "bayesian"], "belong to a mixture"),
        (["{a}", "{a}x"], "is not a folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    words: list[str], reason: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"a": runs / "a", "b": runs / "b", "fit": runs / "fit.txt"}
    given = [w.format(**places) for w in words]
    assert main(["ensemble", *given, "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert reason in told and len(told.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_decoding_options_from_the_command_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def written(*words: str) -> list[str]:
        status = main(["generate", str(runs / "a"), "--tokens", "12", "--prompt", "the ", "the ring", "--json", *words])
        assert status == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)["texts"]

    greedy = written("--temperature", "0")
    assert written("--temperature", "0", "--draft", "ngram") == greedy
    assert written("--temperature", "0", "--draft", str(runs / "b"), "--ahead", "2") == greedy
    assert written("--beams", "1") == greedy and len(written("--beams", "3", "--samples", "3")) == 6
    assert written("--contrast", str(runs / "b"), "--strength", "3", "--seed", "1")
    assert all(set(text[8:]) <= set("in") for text in written("--pattern", "[in]*"))
    assert all("e" not in text[8:] for text in written("--ban", "e"))
    assert written("--typical-p", "0.5", "--eta", "0.1", "--top-a", "0.2", "--frequency-penalty", "1")
    for wrong, reason in (
        (["--beams", "2", "--top-k", "3"], "beams draw nothing"),
        (["--beams", "2", "--draft", "ngram"], "leave one of them out"),
        (["--beams", "2", "--samples", "3"], "at most 2 texts"),
        (["--draft", "ngram", "--repetition-penalty", "2"], "penalties"),
        (["--draft", "heads"], "MultiToken"),
        (["--draft", "nowhere"], "nowhere is not a folder"),
        (["--strength", "2"], "cannot act"),
        (["--length-penalty", "2"], "cannot act without beams"),
        (["--ahead", "2"], "cannot act without a draft"),
        (["--ban", "the"], "single tokens"),
        (["--pattern", "(a"], "no regular expression"),
    ):
        assert main(["generate", str(runs / "a"), "--prompt", "the ", *wrong]) == 2
        told = capsys.readouterr().err
        assert reason in told and len(told.splitlines()) == 1, told


def test_a_book_is_added_and_taken_away_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two books with letters of their own; bytes are the vocabulary that any two books share."""
    torch.set_num_threads(1)
    books = {"alice.txt": "the rabbit took a watch out of its pocket. ", "emma.txt": "VERY WELL, MR KNIGHTLEY! -- "}
    model = ["--recipe", "high_order", "--tokenizer", "Bytes", "--model.width", "16", "--model.links.order", "1"]
    size = ["--layout.length", "16", "--training.batch", "16", "--budget", "40steps", "--quiet", "--model.context", "4"]
    for name, line in books.items():
        (tmp_path / name).write_text(line * 30)
        run = [str(tmp_path / name), "--out", str(tmp_path / name[:-4]), "--training.optimiser.rate", "0.02"]
        assert main(["train", *run, *model, *size]) == 0
    one, two, back = (str(tmp_path / name) for name in ("one", "two", "back"))
    assert main(["ensemble", str(tmp_path / "alice"), "-o", one, "--weights", "bayesian"]) == 0
    assert main(["ensemble", one, str(tmp_path / "emma"), "-o", two]) == 0
    capsys.readouterr()
    assert main(["ensemble", two, "-o", back, "--remove", "emma.txt"]) == 0
    assert "0: " in capsys.readouterr().out
    held_out = {name: line * 3 for name, line in books.items()}
    bits = {place: {n: load_ensemble(place).score(t).nats for n, t in held_out.items()} for place in (one, two, back)}
    assert bits[two]["emma.txt"].sum() < 0.7 * bits[one]["emma.txt"].sum(), "the new book's own text costs less"
    assert bits[two]["alice.txt"].sum() < bits[one]["alice.txt"].sum() + 0.7, "the old one's at most ln 2 more"
    assert all(np.array_equal(bits[one][name], bits[back][name]) for name in books), "to the bit"
    assert load_ensemble(back).identity == load_ensemble(one).identity
    with pytest.raises(UserError, match="trained on 'dracula'"):
        from semagram.commands.ensemble import _named

        _named(load_ensemble(two), "dracula")
