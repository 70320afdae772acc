"""Planted faults of predictors, text pipelines and held-out texts: the audit and the laws name each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from laws import company, distribution, future, rewinding, stepping
from laws.broken import Broken, require
from laws.planted.predictors import CLEAN, FAULTS, LAYOUT, LENGTH, Planted, any_order
from laws.predictors_walked import FIT, VOCABULARY, ngram, random_ids
from semagram.predictors import AnyOrderPredictor, Unmasking
from semagram.verbs.audit import audit
from semagram.verbs.auditing.report import AuditReport

TEXT = np.random.default_rng(3).integers(0, VOCABULARY, 200)


def audited(predictor: Any, **more: Any) -> AuditReport:
    return audit(predictor, TEXT, rows=3, cells=LENGTH, steps=LENGTH, **more)


def twice(predictor: Any, layout: Any, ids: torch.Tensor) -> None:
    """The whole canvas twice, another one between; and one question twice."""
    law = "asked twice, it answers alike"
    first, cells = company.told(predictor, layout, ids)
    company.told(predictor, layout, ids.flip(1))
    again, cells_again = company.told(predictor, layout, ids)
    require(torch.equal(first, again) and torch.equal(cells, cells_again), law, "another canvas came between")
    state = predictor.open(layout, ids.shape[0])
    require(torch.equal(state.log_probs().clone(), state.log_probs()), law, "without writing between")


LAWS: tuple[Callable[..., None], ...] = (
    distribution.check_predictor,
    future.check_predictor,
    future.check_order,
    stepping.check_predictor,
    company.check_predictor,
    rewinding.check_predictor,
    twice,
)


def laws_broken(predictor: Callable[[], Any]) -> set[str]:
    """The names of the laws that do not hold; a crash is no name and counts for nothing."""
    found = set()
    for law in LAWS:
        try:
            law(predictor(), LAYOUT, random_ids(LAYOUT))
        except Broken as broken:
            found.add(broken.law)
        except (RuntimeError, ValueError, IndexError):
            found.add("crashed")
    return found


@pytest.mark.parametrize("name", CLEAN)
def test_a_sound_predictor_raises_no_alarm(name: str, count) -> None:
    report = audited(CLEAN[name](), reload=CLEAN[name])
    assert report.passed, report.as_text()
    assert not laws_broken(CLEAN[name])
    count("sound predictors that raise no alarm")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_caught(fault: Planted, count) -> None:
    if not fault.check:
        assert fault.law in laws_broken(fault.make)
        count("planted faults of predictors, caught by a law")
        return
    report = audited(fault.make())
    assert not report.passed and report[fault.check].verdict == "broken", report.as_text()
    assert "it broke while" not in report[fault.check].detail, "found by a crash, not by the check"
    assert fault.check in report.as_text() and report.to_json()["passed"] is False
    broken = laws_broken(fault.make)
    assert not fault.law or fault.law in broken, broken
    count("planted faults of predictors, caught by the audit" + " and a law" * bool(fault.law))


def test_the_report_names_check_place_and_size() -> None:
    fault = next(f for f in FAULTS if f.name == "the target inside the window")
    finding = audited(fault.make())["sees no future"]
    assert finding.cell is not None and finding.place is not None and finding.size is not None and finding.size > 0.1
    assert "its own id" in finding.detail and "nats" in finding.detail


class Labelled:
    """An n-gram whose last answers are sharpened by a label for each place, side information from outside."""

    def __init__(self, labels: list[int]) -> None:
        self.inner, self.labels = ngram(), labels
        self.vocabulary_size, self.context, self.fixed_order = VOCABULARY, None, True

    def canvas(self, length: int) -> Any:
        return self.inner.canvas(length)

    def open(self, layout: Any, batch: int, given: Any = None) -> Any:
        from laws.planted.wrapped import Wrapped, normal

        def by_label(state: Any, answers: torch.Tensor) -> torch.Tensor:
            start = state.written.shape[1] - (answers.shape[1] if state.__dict__.get("coming") is not None else 0)
            labels = [(self.labels + [0] * 999)[start + i] for i in range(answers.shape[1])]
            return normal(answers * (1.0 + 0.1 * torch.tensor(labels)[None, :, None]))

        return Wrapped(self.inner, ask=by_label, read=by_label).open(layout, batch, given)


def encode(text: str) -> np.ndarray:
    return np.array(["abcd ".index(c) for c in text], dtype=np.int64)


def word_ends(text: str, place: int) -> tuple[int, int]:
    start = text.rfind(" ", 0, place) + 1
    end = text.find(" ", place)
    return start, len(text) if end < 0 else end


LABELS: dict[str, tuple[Callable[[str], list[int]], bool]] = {
    "none": (lambda t: [0] * len(t), True),
    "the letters of the word so far": (
        lambda t: [max(i - word_ends(t, i - 1)[0], 0) if i else 0 for i in range(len(t))],
        True,
    ),
    "the word before": (lambda t: [len(t[:i].split(" ")[-2]) if t[:i].count(" ") else 0 for i in range(len(t))], True),
    "the length of the current word": (
        lambda t: [word_ends(t, i)[1] - word_ends(t, i)[0] for i in range(len(t))],
        False,
    ),
    "whether the word goes on": (lambda t: [int(i + 1 < len(t) and t[i + 1] != " ") for i in range(len(t))], False),
    "the letter itself": (lambda t: [int(c == "a") for c in t], False),
    "how many letters the text has": (lambda t: [len(t)] * len(t), False),
    "the share of a in the text": (lambda t: [t.count("a")] * len(t), False),
    "the next word's first letter": (
        lambda t: [int(t[word_ends(t, i)[1] + 1 :][:1] == "a") for i in range(len(t))],
        False,
    ),
}
"""Labeller -> (labels of a text, sound?). The tag of a word is known only when the word is written."""


@pytest.mark.parametrize("name", LABELS)
def test_leaky_labels_are_caught_on_the_whole_pipeline(name: str, count) -> None:
    labels, is_sound = LABELS[name]
    text = "ab cab dab add bad cab dac a bad dab cabad " * 4

    def prepare(t: str) -> tuple[Any, np.ndarray]:
        return Labelled(labels(t)), encode(t)

    report = audit(prepare(text)[0], text, Coded(), prepare=prepare, cells=LENGTH, steps=LENGTH)
    finding = report["text reaches no earlier answer"]
    assert finding.verdict == ("kept" if is_sound else "broken"), report.as_text()
    if not is_sound:
        assert "looks ahead" in finding.detail and finding.place is not None
        count("planted labels that look ahead, caught by the audit")


@pytest.mark.parametrize("peeks", [False, True])
def test_an_order_that_peeks_at_the_truth_is_caught(peeks: bool, count) -> None:
    """Confidence should be the model's own: here cells whose true id is 0 come first."""
    text = "abcabdabcabdab"[:LENGTH]

    def prepare(t: str) -> tuple[Any, np.ndarray]:
        ids = encode(t)
        inner = replace(any_order(), writing=Unmasking(choice="random"))
        truth = torch.from_numpy(ids)

        class Peeker(AnyOrderPredictor):
            def open(self, layout: Any, batch: int, given: Any = None) -> Any:
                state = super().open(layout, batch, given)
                if peeks:
                    state._priority = state._priority + 100 * (truth[: layout.count] != 0)
                return state

        return Peeker(inner.network, inner.layout, inner.writing), ids

    report = audit(prepare(text)[0], text, Coded(), prepare=prepare, cells=LENGTH, steps=LENGTH)
    assert report.passed is not peeks, report.as_text()
    if peeks:
        assert "order of writing looks ahead" in report["text reaches no earlier answer"].detail
        count("planted orders that peek, caught by the audit")


class Coded:
    """A tokenizer in the audit's sense."""

    def encode(self, text: str) -> np.ndarray:
        return encode(text)


@pytest.mark.parametrize(
    ("training", "held_out", "clean"),
    [
        ("whole", "apart", True),
        ("whole", "inside", False),
        ("whole", "a fifth inside", False),
        ("whole", "prolonged", False),
        ("twice", "inside", False),
        ("whole", "short quotations", True),
    ],
)
def test_training_text_in_the_held_out_text(training: str, held_out: str, clean: bool, count) -> None:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefgh "))
    base, new = ("".join(rng.choice(letters, n)) for n in (6000, 3000))
    texts = {
        "apart": new,
        "inside": base[1003:3003],
        "a fifth inside": new[:1000] + base[777:1177] + new[1000:1600],
        "prolonged": new[:1500] + base[-107:] + new[1500:],
        "short quotations": "".join(new[i : i + 60] + base[9 * i : 9 * i + 40] for i in range(0, 600, 60)),
    }
    report = audit(ngram(), TEXT, training={"whole": base, "twice": base + base}[training], cells=LENGTH, steps=LENGTH)
    assert report["held-out text is new"].verdict == "not asked"  # text and ids cannot be compared
    from semagram.verbs.auditing.overlap import held_out_is_held_out, overlap
    from semagram.verbs.auditing.report import Suspicion

    share, first = overlap(base, texts[held_out])
    if clean:
        assert share == 0.0 and first == -1
        assert "0.00%" in held_out_is_held_out(base, texts[held_out])
    else:
        with pytest.raises(Suspicion, match="word for word"):
            held_out_is_held_out(base, texts[held_out])
        assert first >= 0
        count("planted overlaps of training and held-out text, caught by the audit")


def test_ids_of_the_training_text_are_found_too() -> None:
    report = audit(ngram(), FIT[100:300], training=FIT, cells=LENGTH, steps=LENGTH)
    assert report["held-out text is new"].verdict == "broken" and report["held-out text is new"].size == 1.0


def test_a_model_saved_in_half_precision_is_caught(count) -> None:
    import copy

    from laws.planted.predictors import causal

    def reload() -> Any:
        twin = copy.deepcopy(causal())
        with torch.no_grad():
            for parameter in twin.network.parameters():
                parameter.copy_(parameter.bfloat16().float())
        return twin

    assert audited(causal(), reload=lambda: copy.deepcopy(causal())).passed
    assert audited(causal(), reload=reload)["loaded equals kept"].verdict == "broken"
    count("planted losses of precision on saving, caught by the audit")


def test_a_tokenizer_with_another_vocabulary_is_caught() -> None:
    class Short(Coded):
        vocabulary_size = VOCABULARY - 1

    report = audit(ngram(), "abc abd", Short(), cells=6, steps=6)
    assert report["emits no reserved id"].verdict == "broken"
