"""Speculative decoding beside plain generation, on a trained model: tokens a second, and how often guesses are right.

    python -m benchmarks.decoding RUN [--draft RUN] [--tokens N] [--threads N] [--json]

One row, prompted with the first 32 tokens of the run's held-out text. Plain generation, look-up drafts, an n-gram of
order 5 fitted to the training text, the model's own further heads (where it has some) and another run take turns,
round after round; ratios are taken within a round. All write from the same distribution; at temperature 0 the same
text, which is asserted. ``mark and rewind`` is what a state's way back costs, in milliseconds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
import torch

from benchmarks.rounds import alternate, environment
from semagram.lab.texts import named_or_held_out, training_text
from semagram.predictors.contract import rewindable
from semagram.predictors.ngram import NgramConfig
from semagram.trained import load
from semagram.verbs.drafts import HeadsDraft, PredictorDraft, PromptLookup
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling
from semagram.verbs.speculative import Draft, Speculation, speculate

ROUNDS, AHEAD, PROMPT = 5, 4, 32


def main(arguments: list[str]) -> None:
    """Measure and print."""

    def value(name: str, default: str | None = None) -> str | None:
        return arguments[arguments.index(name) + 1] if name in arguments else default

    torch.set_num_threads(int(value("--threads", "1") or 1))
    tokens = int(value("--tokens", "200") or 200)
    model = load(arguments[0])
    prompt = [np.asarray(model.encode(named_or_held_out((), model.experiment))[:PROMPT], dtype=np.int64)]
    drafts: dict[str, Draft] = {"look-up": PromptLookup()}
    if (text := training_text(model.experiment)) is not None:
        fitted = NgramConfig(5).fit(model.encode(text), model.tokenizer.vocabulary_size)
        drafts["n-gram"] = PredictorDraft(fitted)
    if type(model.experiment.model).__name__ == "MultiToken":
        drafts["its heads"] = HeadsDraft()
    if (other := value("--draft")) is not None:
        drafts["another run"] = PredictorDraft(load(other).predictor)
    told: dict[str, object] = {"environment": environment(), "tokens": tokens, "ahead": AHEAD}
    for temperature in (0.0, 0.8):
        told[f"temperature {temperature}"] = _measured(model.predictor, drafts, prompt, tokens, Sampling(temperature))
    told["mark and rewind, ms"] = _way_back(model.predictor)
    print(json.dumps(told, indent=None if "--json" in arguments else 2))


def _measured(predictor, drafts, prompt, tokens, sampling) -> dict[str, object]:
    """Tokens a second of plain generation and of each draft, the ratio within rounds, and what was accepted."""
    last: dict[str, Speculation] = {}
    plain = generate(predictor, prompt, tokens, sampling)[0]

    def drafted(name: str) -> None:
        last[name] = speculate(predictor, drafts[name], prompt, tokens, sampling, ahead=AHEAD)

    runs = {"plain": lambda: generate(predictor, prompt, tokens, sampling) and None}
    runs |= {name: (lambda name=name: drafted(name)) for name in drafts}
    seconds = alternate(runs, ROUNDS)
    found: dict[str, object] = {"plain": {"tokens_per_second": tokens / statistics.median(seconds["plain"])}}
    for name, one in last.items():
        if sampling.temperature == 0:
            assert one.ids[0].tolist() == plain.tolist(), f"{name} changed the greedy text"
        ratios = [a / b for a, b in zip(seconds["plain"], seconds[name], strict=True)]
        found[name] = {
            "tokens_per_second": tokens / statistics.median(seconds[name]),
            "times_plain": statistics.median(ratios),
            "times_plain_spread": [min(ratios), max(ratios)],
            "accepted": one.accepted / max(one.proposed, 1),
            "tokens_a_pass": tokens / one.passes,
        }
    return found


def _way_back(predictor) -> float:
    """Median milliseconds of a mark and a rewind in the middle of a canvas."""
    count = predictor.context or 256
    state = predictor.open(predictor.canvas(count), 1)
    state.read(torch.zeros(1, count // 2, dtype=torch.int64))
    times = []
    for _ in range(50):
        began = time.perf_counter()
        back = rewindable(state)
        back.rewind(back.mark())
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main(sys.argv[1:])
