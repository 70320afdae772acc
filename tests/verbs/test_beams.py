"""Beam search against exhaustive search and against Hugging Face's."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from laws.predictors_walked import VOCABULARY, hybrid, network, ngram
from semagram.errors import UserError
from semagram.layouts import Layout, Sequence, Visibility
from semagram.predictors import CausalPredictor, Unmasking, predictor_of
from semagram.predictors.contract import leading, read_step_by_step
from semagram.predictors.ngram import NgramConfig
from semagram.verbs.beams import Beams, beam_search
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

LAYOUT = Sequence(12)


def causal(vocabulary: int = VOCABULARY) -> Any:
    return CausalPredictor(network(Visibility.CAUSAL, LAYOUT, vocabulary=vocabulary), LAYOUT)


def every_text(predictor: Any, prompt: list[int], tokens: int) -> dict[tuple[int, ...], float]:
    """Log-probability of every continuation of exactly ``tokens`` tokens."""
    found = {}
    for text in itertools.product(range(predictor.vocabulary_size), repeat=tokens):
        ids = torch.tensor([[*prompt, *text]])
        rows = predictor.open(Sequence(ids.shape[1]), 1).read(ids)
        chosen = rows.gather(2, ids[:, :, None])[0, len(prompt) :, 0]
        found[text] = float(chosen.double().sum())
    return found


@pytest.mark.parametrize("make", [lambda: causal(3), lambda: NgramConfig(2).fit(np.arange(50) ** 2 % 7 % 3, 3)])
def test_with_enough_beams_it_is_exhaustive_search(make: Any) -> None:
    predictor, prompt = make(), [1, 0]
    exact = sorted(every_text(predictor, prompt, 4).items(), key=lambda item: -item[1])
    (found,) = beam_search(predictor, [np.array(prompt)], 4, Beams(81))
    assert len(found) == 81
    for ours, (_, log_prob) in zip(found, exact, strict=True):
        assert ours.log_prob == pytest.approx(log_prob, abs=1e-5)
        assert ours.value == pytest.approx(log_prob / 4, abs=1e-5) and not ours.finished
    assert tuple(found[0].ids) == exact[0][0]


def test_complete_continuations_are_found_and_ranked_by_penalised_length() -> None:
    """Id 2 ends a text: all of up to 4 tokens, worked out by hand."""
    predictor, prompt, end = causal(3), [1, 0], 2
    for penalty in (0.0, 1.0, 2.0, -1.0):
        exact: dict[tuple[int, ...], float] = {}
        for n in range(1, 5):
            for text, log_prob in every_text(predictor, prompt, n).items():
                if end not in text[:-1] and (text[-1] == end or n == 4):
                    exact[text] = log_prob / n**penalty
        beams = Beams(60, penalty)
        (found,) = beam_search(predictor, [np.array(prompt)], 4, beams, finished=lambda new: new[-1] == end)
        best = sorted(exact.items(), key=lambda item: -item[1])[: len(found)]
        assert len(found) == len(exact)
        for ours, (_, value) in zip(found, best, strict=True):
            assert ours.value == pytest.approx(value, abs=1e-5) == pytest.approx(exact[tuple(ours.ids)], abs=1e-5)
            assert ours.finished == (int(ours.ids[-1]) == end)


def test_one_beam_is_greedy_in_any_company_and_over_windows() -> None:
    prompts = [np.array([1, 2, 3]), np.array([], dtype=np.int64), np.arange(15) % VOCABULARY]
    for predictor in (causal(), ngram(), hybrid(LAYOUT)):
        greedy = generate(predictor, prompts, 20, Sampling(temperature=0.0))
        ours = beam_search(predictor, prompts, 20, Beams(1))
        for prompt, text, (found,) in zip(prompts, greedy, ours, strict=True):
            assert found.ids.tolist() == text[len(prompt) :].tolist()


def test_log_probabilities_are_those_of_the_score_and_more_beams_do_not_find_worse() -> None:
    predictor, prompt = causal(), np.array([1, 2, 3])
    best = []
    for count in (1, 4, 16):
        (found,) = beam_search(predictor, [prompt], 8, Beams(count))
        for one in found:
            ids = torch.from_numpy(np.concatenate([prompt, one.ids]))[None]
            rows = predictor.open(Sequence(11), 1).read(ids)
            assert one.log_prob == pytest.approx(float(rows.gather(2, ids[..., None])[0, 3:].double().sum()), abs=1e-5)
        values = [c.value for c in found]
        assert values == sorted(values, reverse=True) and len({tuple(c.ids) for c in found}) == len(found)
        best.append(values[0])
    assert best[2] >= best[0] - 1e-6


def test_bans_act_and_what_cannot_act_is_refused() -> None:
    predictor, prompts = causal(), [np.array([1])]
    (found,) = beam_search(predictor, prompts, 5, Beams(3), sampling=Sampling(banned=(0, 1)))
    assert all(not {0, 1} & set(c.ids.tolist()) for c in found)
    for wrong in (Sampling(temperature=0.5), Sampling(top_k=3), Sampling(repetition_penalty=2.0)):
        with pytest.raises(UserError, match="draw nothing"):
            beam_search(predictor, prompts, 5, sampling=wrong)
    with pytest.raises(UserError, match="beams must be at least 1, got 0"):
        Beams(0)
    with pytest.raises(UserError, match="length_penalty must be"):
        Beams(2, float("nan"))
    with pytest.raises(UserError, match="tokens must be"):
        beam_search(predictor, prompts, 0)
    full = predictor_of(network(Visibility.FULL, LAYOUT), LAYOUT, Unmasking())
    with pytest.raises(UserError, match="fixed order"):
        beam_search(full, prompts, 3)


class FromHuggingFace:
    """A GPT-2 under the predictor contract: the text so far is read anew at each question. No way back."""

    fixed_order, context = True, 32

    def __init__(self, model: Any) -> None:
        self.model, self.vocabulary_size = model, model.config.vocab_size

    def canvas(self, length: int) -> Layout:
        return Sequence(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> Any:
        return _State(self.model, layout, batch, given)


class _State:
    def __init__(self, model: Any, layout: Layout, batch: int, given: Tensor | None) -> None:
        self.model, self.count = model, layout.count
        known = leading(given, torch.arange(layout.count))
        self.ids = torch.zeros(batch, 0, dtype=torch.int64) if known is None else known

    @property
    def next_positions(self) -> Tensor:
        return torch.arange(self.count)[self.ids.shape[1] :][:1].expand(self.ids.shape[0], -1)

    def log_probs(self) -> Tensor:
        return torch.log_softmax(self.model(self.ids).logits[:, -1:].float(), dim=-1)

    def write(self, ids: Tensor) -> None:
        self.ids = torch.cat([self.ids, ids], dim=1)

    def read(self, ids: Tensor) -> Tensor:
        return read_step_by_step(self, ids)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("end", [None, 3])
def test_it_is_hugging_faces_beam_search(end: int | None) -> None:
    """A random GPT-2, with and without an id that ends: the same texts in the same order, values to 1e-4."""
    transformers = pytest.importorskip("transformers")
    for seed in range(3):
        torch.manual_seed(seed)
        config = transformers.GPT2Config(
            vocab_size=11, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=end,
            initializer_range=0.6,
        )  # fmt: skip
        model = transformers.GPT2LMHeadModel(config).eval()
        prompt = torch.tensor([[1, 2, 5, 4]])
        for penalty in (1.0, 0.0) if end is not None else (1.0,):
            theirs = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), num_beams=4, num_return_sequences=4, do_sample=False,
                max_new_tokens=7, length_penalty=penalty, output_scores=True, return_dict_in_generate=True,
                early_stopping="never", eos_token_id=end, pad_token_id=0,
            )  # fmt: skip
            (ours,) = beam_search(
                FromHuggingFace(model), [prompt[0].numpy()], 7, Beams(4, penalty),
                finished=None if end is None else lambda new: new[-1] == end,
            )  # fmt: skip
            for found, ids, value in zip(ours, theirs.sequences[:, 4:], theirs.sequences_scores, strict=True):
                assert found.value == pytest.approx(float(value), abs=1e-4)
                assert found.ids.tolist() == ids.tolist()[: len(found.ids)]
