"""Judging: what the whole held-out text costs under a contestant, each kind of score under its own name.

| kind | what is measured |
|---|---|
| nll | the exact code length, read as ``compress`` reads it; a masked model's in its own order of writing |
| nll_upper_bound | the any-order bound that a masked model is trained on |
| pseudo_nll | each token given all others: no likelihood, and nothing can be coded with it |
| given_conditional | the text, given tags that were known before it |
| oracle_conditional | the text, given tags that know letters to come: no likelihood of anything |

Two kinds are never one number, and never share a column.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab import elsewhere
from semagram.layouts.geometry import Geometry
from semagram.layouts.streams import protocols_of
from semagram.layouts.visibility import Visibility
from semagram.objectives import LossKind
from semagram.predictors.boosted_trees import BoostedTrees, BoostedTreesPredictor
from semagram.predictors.ngram import NgramConfig, NgramPredictor
from semagram.predictors.suffix import SuffixConfig, SuffixPredictor
from semagram.text import Characters, Tokenizer, load_text, split
from semagram.trained import TrainedModel
from semagram.training.evaluate import HeldOut
from semagram.training.utilisation import forward_flops
from semagram.verbs.compress import compress_text
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling
from semagram.verbs.score import score

SAMPLE_TOKENS = 300
_PROBES, _PROBE_CHARACTERS = 40, 200

Costs = tuple["Judged", NDArray[np.float64] | None, NDArray[np.int64]]
"""The verdict, the exact nats ``(N,)`` of the held-out tokens if there are any, the characters ``(N,)`` they add."""


@dataclass(frozen=True)
class ComparedText:
    """The one text of a comparison, and where it is cut."""

    sources: tuple[str, ...]
    whole: str
    held_out_share: float

    @classmethod
    def of(cls, sources: Sequence[str], held_out_share: float) -> ComparedText:
        """Load it; ``UserError`` when there is nothing to learn from or nothing to judge on."""
        text = cls(tuple(sources), load_text(sources).text, held_out_share)
        if not text.training or not text.held_out:
            raise UserError(
                f"the text has {len(text.whole)} characters: too few to train on one part and judge on another."
            )
        return text

    @cached_property
    def _parts(self) -> tuple[str, str]:
        return split(self.whole, 1 - self.held_out_share)

    @property
    def training(self) -> str:
        """What is learnt from."""
        return self._parts[0]

    @property
    def held_out(self) -> str:
        """What is judged on, whole."""
        return self._parts[1]

    @cached_property
    def sha256(self) -> str:
        """Of the whole text, hexadecimal."""
        return hashlib.sha256(self.whole.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def characters(self) -> Tokenizer:
        """The tokenizer of the contestants that count: an alphabet, as in published character-level figures."""
        return Characters().train(self.whole)

    def fit(
        self, config: NgramConfig | SuffixConfig | BoostedTrees
    ) -> tuple[NgramPredictor | SuffixPredictor | BoostedTreesPredictor, Tokenizer, int]:
        """Count the training text; the predictor, its tokenizer, and how many tokens were counted."""
        ids = self.characters.encode(self.training)
        return config.fit(ids, self.characters.vocabulary_size), self.characters, len(ids)


@dataclass(frozen=True)
class Judged:
    """A verdict: bits per character over the whole held-out text, by kind, and what else is worth a column."""

    nll: float | None = None
    nll_upper_bound: float | None = None
    pseudo_nll: float | None = None
    coded: float | None = None
    """8 x size of a compressed file that another process decoded / characters; None: not asked for."""
    parameters: int | None = None
    """Trained numbers; None for a model that counts."""
    flops_per_token: float | None = None
    """Multiplications and additions of a forward pass, a token; None for a model that counts."""
    given_conditional: float | None = None
    """With tags that were known before the text; no likelihood of the text."""
    oracle_conditional: float | None = None
    """With tags that know letters to come; nothing that can be compared."""
    sample: str = ""
    note: str | None = None


def judge_network(model: TrainedModel, text: ComparedText, coded: bool) -> Costs:
    """Of a trained network; ``UserError`` when its vocabulary cannot spell the held-out text."""
    ids, characters = model.encode(text.held_out), len(text.held_out)
    lengths = model.tokenizer.lengths(ids)
    objective, layout = model.experiment.objective, model.experiment.layout
    nats: NDArray[np.float64] | None = None
    exact: float | None = None
    kind = model.kind_of_score
    if kind != "nll":  # told tags of the whole text: a column of its own, and never paired with a likelihood
        bits = model.score(text.held_out).bits_per_character(characters)
        sample = str(model.generate("", SAMPLE_TOKENS))
        judged = Judged(parameters=model.parameters, sample=sample, note=protocols_of(layout) or None)
        return replace(judged, **{kind.replace("-", "_"): bits}), None, lengths
    trained_on: dict[LossKind, float] = {}
    if objective.visibility is not Visibility.OTHERS:
        nats = model.score(text.held_out).nats
        exact = float(nats.sum()) / math.log(2) / characters
    if objective.loss_kind != "nll":
        with torch.no_grad():
            mean = HeldOut(ids, layout, objective)(model.network)
        trained_on[objective.loss_kind] = mean * len(ids) / math.log(2) / characters
    judged = Judged(
        nll=exact,
        nll_upper_bound=trained_on.get("nll_upper_bound"),
        pseudo_nll=trained_on.get("pseudo_nll"),
        coded=_coded(model, text.held_out) if coded and nats is not None else None,
        parameters=model.parameters,
        flops_per_token=_flops_per_token(model),
        sample=str(model.generate("", SAMPLE_TOKENS, seed=model.experiment.seed)) if nats is not None else "",
        note=protocols_of(layout) or None,
    )
    return judged, nats, lengths


def judge_counting(
    predictor: NgramPredictor | SuffixPredictor | BoostedTreesPredictor,
    tokenizer: Tokenizer,
    text: ComparedText,
    coded: bool,
) -> Costs:
    """Of a model that counts."""
    ids, held_out = tokenizer.encode(text.held_out), text.held_out
    found = score(predictor, ids)
    size = None
    if coded:
        data = compress_text(predictor, tokenizer, held_out, elsewhere.identity_of(predictor, tokenizer))
        elsewhere.check_counting(predictor, tokenizer, data, held_out)
        size = 8 * len(data) / len(held_out)
    sample = generate(predictor, [ids[:0]], SAMPLE_TOKENS, Sampling(0.8))[0]
    judged = Judged(nll=found.bits_per_character(len(held_out)), coded=size, sample=tokenizer.decode(sample))
    return judged, found.nats, tokenizer.lengths(ids)


def seen_before(experiment: Experiment, text: ComparedText) -> str | None:
    """A remark on what a run was trained on; ``UserError`` when the held-out text was part of that."""
    try:
        whole = load_text(experiment.text).text
    except (UserError, OSError):
        return f"trained on {' '.join(experiment.text)}, which cannot be read now: whether it saw this text is unknown"
    training = split(whole, 1 - experiment.training.held_out)[0]
    if training == text.training:
        return None
    held_out = text.held_out
    size = min(_PROBE_CHARACTERS, len(held_out))
    places = np.linspace(0, len(held_out) - size, _PROBES).astype(int).tolist()
    if any(held_out[place : place + size] in training for place in places):
        raise UserError(
            "it was trained on a text that holds parts of this held-out text, so its score would mean nothing."
        )
    return f"trained on another text: {' '.join(experiment.text)}, {len(training):,} characters"


def _coded(model: TrainedModel, held_out: str) -> float:
    data = model.compress(held_out)
    elsewhere.check_trained(model, data, held_out)
    return 8 * len(data) / len(held_out)


def _flops_per_token(model: TrainedModel) -> float | None:
    layout, visibility = model.experiment.layout, model.experiment.objective.visibility
    return forward_flops(model.network, Geometry.of(layout.positions(), visibility))
