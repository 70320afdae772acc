"""Experts against one Kneser-Ney model an order; the informed network on the contract; a hybrid run end to end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import semagram
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention
from semagram.models import Hybrid, Transformer
from semagram.predictors import CausalPredictor
from semagram.predictors.contract import read_step_by_step
from semagram.predictors.count_sheets import Counted
from semagram.predictors.cross_fitting import cross_fitted_log_probs
from semagram.predictors.experts import CrossFitted, Experts, Upon
from semagram.predictors.hybrid import Informed, hybrid_predictor
from semagram.predictors.kneser_ney import KneserNey
from semagram.predictors.ngram import NgramConfig
from semagram.predictors.suffix import SuffixConfig, SuffixModel
from semagram.training import TokenisedText, train
from semagram.training.budget import Budget
from semagram.training.prior import prior_of
from semagram.training.settings import Training
from semagram.verbs.score import score

ORDERS, V = (0, 1, 2, 4, 5), 6
DRAW = np.random.default_rng(0)
TEXT = np.repeat(DRAW.integers(0, V, 700), DRAW.integers(1, 4, 700))
CONFIG = Hybrid(Transformer(width=16, depth=1, mixer=Attention(heads=2)), orders=(1, 2, 4), main_order=2, folds=3)


def contexts_of(experts: Experts, ids: np.ndarray) -> np.ndarray:
    """``(m, c)``: before each id."""
    empty = experts.empty_contexts(1)
    return np.concatenate([empty[:, None], experts.walk(empty, ids[None, :-1])], axis=1)[0]


@pytest.mark.parametrize("count", [1, 2, 30, 1400])
@pytest.mark.parametrize("vocabulary", [V, 300])
def test_experts_are_kneser_ney_of_every_order(count: int, vocabulary: int) -> None:
    experts, ids = Experts.fit(TEXT[:count], vocabulary, ORDERS), TEXT[-40:]
    rows = experts.rows(contexts_of(experts, ids))
    assert rows.shape == (40, len(ORDERS), vocabulary) and rows.dtype == np.float32
    for k, order in enumerate(ORDERS):
        expected = KneserNey.fit(TEXT[:count], vocabulary, order).sequence_rows(ids)
        np.testing.assert_allclose(rows[:, k], expected, atol=5e-6)


@pytest.mark.parametrize(("count", "folds"), [(2, 2), (37, 5), (1400, 10)])
def test_cross_fitted_rows_are_those_of_every_order(count: int, folds: int) -> None:
    cross = CrossFitted(Counted.of(TEXT[:count], V, ORDERS), folds)
    rows = cross.rows(np.array([0]), count)[0]
    for k, order in enumerate(ORDERS):
        np.testing.assert_allclose(rows[:, k], cross_fitted_log_probs(TEXT[:count], V, order, folds), atol=5e-6)
    lines = cross.rows(np.array([1, 0]), count - 1)
    assert np.array_equal(lines[0], rows[1:]) and np.array_equal(lines[1], rows[:-1])


def test_deep_contexts_do_not_depend_on_what_is_kept_at_hand(monkeypatch) -> None:
    """Short contexts are worked out beforehand as far as memory allows; it changes no figure."""
    before = Experts.fit(TEXT, V, ORDERS)
    monkeypatch.setattr("semagram.predictors.count_sheets._CELLS_KEPT", 50)
    monkeypatch.setattr("semagram.predictors.count_sheets._CELLS_AT_ONCE", 100)
    after, ids = Experts.fit(TEXT, V, ORDERS), TEXT[:200]
    rows = before.rows(contexts_of(before, ids))
    np.testing.assert_allclose(after.rows(contexts_of(after, ids)), rows, atol=1e-6)


def test_rows_do_not_know_their_company_and_survive_saving() -> None:
    experts = Experts.fit(TEXT, V, ORDERS)
    contexts = contexts_of(experts, TEXT[:100])
    rows = experts.rows(contexts)
    assert all(np.array_equal(experts.rows(contexts[i : i + 1])[0], rows[i]) for i in range(100))
    again = Experts.from_arrays(experts.arrays())
    assert np.array_equal(again.rows(contexts), rows)
    with pytest.raises(UserError, match="ids"):
        Experts.from_arrays({"orders": np.array([1])})
    with pytest.raises(UserError, match="ascending"):
        Experts.fit(TEXT, V, (2, 1))
    with pytest.raises(UserError, match="folds"):
        CrossFitted(Counted.of(TEXT[:3], V, (1,)), 4)


def test_the_reserved_id_begins_a_text() -> None:
    experts = Experts.fit(TEXT, V, ORDERS)
    ids = np.array([[3, 1, V, 2, 0]])
    after = experts.walk(experts.empty_contexts(1), ids)
    assert np.array_equal(after[:, 2], experts.empty_contexts(1))
    assert np.array_equal(after[:, 3:], experts.walk(experts.empty_contexts(1), ids[:, 3:]))


def with_matches(ids: np.ndarray, lengths: tuple[int, ...] = (3, 5), order: int = 2) -> tuple[Counted, Upon]:
    counted = Counted.of(ids, V, ORDERS)
    return counted, Upon.learn(counted, lengths, order)


def test_matches_upon_an_order_are_the_suffix_model() -> None:
    counted, upon = with_matches(TEXT)
    experts, ids = Experts(counted, upon), TEXT[:200]
    rows = experts.rows(contexts_of(experts, ids))
    assert rows.shape[1] == experts.count == len(ORDERS) + 1
    suffix = SuffixModel(SuffixConfig(2, (3, 5)), TEXT, V, upon.matches.weights)
    expected = suffix.rows(suffix.walk(suffix.empty_contexts(1), ids[None, :-1])[0])
    np.testing.assert_allclose(rows[:, -1], expected, atol=5e-6)
    # The weights are those of a suffix model fitted alone: both learn them on the last tenth from the rest.
    alone = SuffixConfig(2, (3, 5)).fit(TEXT, V).model.matches.weights
    np.testing.assert_allclose(upon.matches.weights, alone, atol=1e-6)
    again = Experts.from_arrays(experts.arrays())
    assert np.array_equal(again.rows(contexts_of(again, ids)), rows)
    start = np.array([[3, 1, V, 2, 0]])
    after = experts.walk(experts.empty_contexts(1), start)
    assert np.array_equal(after[:, 2], experts.empty_contexts(1))
    assert np.array_equal(after[:, 3:], experts.walk(experts.empty_contexts(1), start[:, 3:]))


def test_cross_fitted_matches_have_not_read_their_block() -> None:
    """A plain search through what is left of the text, with the same weights."""
    ids, folds = TEXT[:120], 4
    counted, upon = with_matches(ids)
    rows = CrossFitted(counted, folds, upon).rows(np.array([0]), len(ids))[0]
    below = np.exp(CrossFitted(counted, folds).rows(np.array([0]), len(ids))[0, :, ORDERS.index(2)].astype(np.float64))
    helped = 0
    for at in range(len(ids)):
        begin, end = next((b, b + 30) for b in range(0, 120, 30) if b <= at < b + 30)
        p = below[at]
        for j, length in enumerate((3, 5)):
            places = [q for q in range(length, 120) if q < begin or q - length >= end]
            after = [ids[q] for q in places if at >= length and (ids[q - length : q] == ids[at - length : at]).all()]
            if after:
                n = np.bincount(after, minlength=V)
                group = min(int(np.log2(n.sum())), 5) * 4 + min(int((n > 0).sum()), 4) - 1
                weight = upon.matches.weights[j, group]
                p, helped = (1 - weight) * p + weight * n / n.sum(), helped + 1
        np.testing.assert_allclose(rows[at, -1], np.log(p), atol=5e-6)
    assert helped > 50


def predictor(length: int = 12) -> CausalPredictor:
    torch.manual_seed(0)
    network = CONFIG.build(V, Sequence(length), Visibility.CAUSAL).eval()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return hybrid_predictor(network, Experts.fit(TEXT, V, CONFIG.orders), Sequence(length))


def test_the_predictor_keeps_the_contract(monkeypatch) -> None:
    hybrid, layout = predictor(), Sequence(12)
    ids = torch.from_numpy(TEXT[:48].reshape(4, 12)).long()
    expected = read_step_by_step(hybrid.open(layout, 4), ids)
    state = hybrid.open(layout, 4)
    got = torch.cat([state.read(ids[:, :5]), state.read(ids[:, 5:])], dim=1)
    assert torch.allclose(got, expected, atol=1e-5)
    assert (got.exp().sum(-1) - 1).abs().max() < 1e-6
    given = torch.full((4, 12), -1)
    given[:, :5] = ids[:, :5]
    assert torch.allclose(hybrid.open(layout, 4, given).read(ids[:, 5:]), expected[:, 5:], atol=1e-5)
    alone = hybrid.open(layout, 1).read(ids[2:3])
    assert torch.allclose(alone[0], expected[2], atol=1e-5)
    changed = ids.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % V
    assert torch.equal(hybrid.open(layout, 4).read(changed)[:, :7], hybrid.open(layout, 4).read(ids)[:, :7])
    whole = hybrid.open(layout, 4).read(ids)
    monkeypatch.setattr("semagram.predictors.hybrid._NUMBERS_AT_ONCE", 4 * 3 * V * 5)
    assert torch.allclose(hybrid.open(layout, 4).read(ids), whole, atol=1e-5), "read in pieces"


def test_informed_refuses_what_does_not_fit() -> None:
    network = CONFIG.build(V, Sequence(4), Visibility.CAUSAL)
    with pytest.raises(ValueError, match="know 7 ids"):
        Informed(network, Experts.fit(TEXT, 7, CONFIG.orders))
    with pytest.raises(ValueError, match="2 experts, but 3 gates"):
        Informed(network, Experts.fit(TEXT, V, (1, 2)))
    layout = Sequence(4)
    padded = Geometry.of(layout.positions(), Visibility.CAUSAL, torch.tensor([[True, True, True, False]]))
    with pytest.raises(ValueError, match="padding"):
        Informed(network, Experts.fit(TEXT, V, CONFIG.orders))(torch.zeros(1, 4, dtype=torch.int64), padded)


WORDS = " ".join(DRAW.choice(["semagram", "heptapod", "ink", "ring", "time", "is"], 300).tolist())


def experiment(steps: int = 8, **training) -> Experiment:
    settings = replace(Training(budget=Budget(steps, "steps"), batch=4, threads=1), **training)
    model = replace(CONFIG, network=replace(CONFIG.network, dropout=0.1))
    return Experiment(name="tiny", model=model, layout=Sequence(16), training=settings)


@pytest.mark.parametrize("training", [{}, {"halved": 0.5}, {"accumulate": 2}, {"matches": (3, 5)}])
def test_training_from_text_to_file_and_back(tmp_path: Path, training: dict) -> None:
    matches = training.pop("matches", ())
    told = experiment(**training)
    told = replace(told, model=replace(told.model, matches=matches))
    result = train(told, WORDS, tmp_path / "run")
    model = semagram.load(tmp_path / "run")
    held_out = WORDS[int(0.9 * len(WORDS)) :]
    assert (tmp_path / "run" / "prior.safetensors").stat().st_size < 2 * len(WORDS) + 1000
    score = model.score(held_out)
    # The trainer reads one long stretch, as the verb does for a text this short.
    assert score.nats_per_token == pytest.approx(result.held_out_nats, abs=1e-5)
    assert semagram.load(tmp_path / "run").decompress(model.compress(held_out)) == held_out
    model.save(tmp_path / "copy")
    copy = semagram.load(tmp_path / "copy")
    assert copy.identity == model.identity and copy.score(held_out).total_nats == score.total_nats
    assert len(str(model.generate("time ", 20))) == 25


def test_halved_lines_and_parts_get_the_rows_of_their_places(tmp_path: Path) -> None:
    """The loss of the first step is that of the main order: the network says nothing yet. However it is cut."""
    text = TokenisedText.of(WORDS, experiment().tokenizer, 0.1)
    prior = prior_of(CONFIG, text.tokenizer.vocabulary_size, text.train)
    assert prior is not None
    losses = []
    for name, training in (("a", {}), ("b", {"halved": 1.0}), ("c", {"accumulate": 4})):
        result = train(experiment(steps=1, **training), text, tmp_path / name)
        losses.append(result.train_nats)
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)
    rows = prior.cross_fitted.rows(np.array([0]), len(text.train))[0, :, 1]
    mean = -rows[np.arange(len(text.train)), text.train].mean()
    assert losses[0] == pytest.approx(mean, rel=0.5)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(network) -> float:
        raise Stop

    train(experiment(), WORDS, tmp_path / "whole")
    with pytest.raises(Stop):
        from semagram.training import SaveEvery

        train(experiment(), WORDS, tmp_path / "cut", evaluate=stop, save=SaveEvery(steps=1))
    train(experiment(), WORDS, tmp_path / "cut", resume=True)
    for name in ("model.safetensors", "prior.safetensors"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_missing_prior_is_named(tmp_path: Path) -> None:
    train(experiment(steps=1), WORDS, tmp_path / "run")
    (tmp_path / "run" / "prior.safetensors").unlink()
    with pytest.raises(UserError, match=r"prior\.safetensors"):
        semagram.load(tmp_path / "run")


@pytest.mark.parametrize(("matches", "name"), [((), "n-gram of order 2"), ((3, 5), "suffix model over order 2")])
def test_three_ways_tells_each_by_itself(tmp_path: Path, matches: tuple[int, ...], name: str) -> None:
    from semagram.lab.three_ways import lines, three_ways

    told = experiment(steps=2)
    train(replace(told, model=replace(told.model, matches=matches)), WORDS, tmp_path / "run")
    model, cut = semagram.load(tmp_path / "run"), int(0.9 * len(WORDS))
    held_out = WORDS[cut:]
    ways = three_ways(model, held_out, 1.5)
    assert ways is not None and ways.prior == name and ways.hybrid == 1.5
    ids = model.encode(WORDS)
    counted = SuffixConfig(2, matches) if matches else NgramConfig(2)
    alone = counted.fit(ids[:cut], int(model.tokenizer.vocabulary_size))
    assert ways.counted == pytest.approx(score(alone, ids[cut:]).bits_per_character(len(held_out)), abs=1e-4)
    assert ways.network > 0 and name in lines(ways)[0]
