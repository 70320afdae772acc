"""Laws 6 and 8 on every part, and on the real optimisers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from laws import learning, legal, walk
from laws.cases import Case
from laws.test_options import SLOTS, hosted
from semagram.config import members
from semagram.layouts import Sequence, Streams, Visibility
from semagram.mixers import Mixer
from semagram.models import Model
from semagram.training.optimisers import Optimiser

VOCABULARY = 17  # many different inputs, so that hardly a rectifier is off for all of them


def models() -> list[Any]:
    """Every part in every model that has a place for it, its variants in the first of them, and those of the models."""
    found: list[Any] = []
    for slot, union in (*SLOTS.items(), (None, Model)):
        for config in walk.of_union(union):
            hosts = hosted(slot, config)
            asked = hosts if config == walk.baseline(type(config)) else hosts[:1]
            found += [model for model in asked if model not in found]
    return found


ALL = [
    (model, visibility)
    for model in models()
    for visibility in Visibility
    if visibility in legal.model_visibilities(model)
]


BASELINES: list[Any] = [
    model
    for slot, union in (*SLOTS.items(), (None, Model))
    for kind in members(union)
    for model in hosted(slot, walk.baseline(kind))
]


@pytest.mark.parametrize(("model", "visibility"), ALL, ids=[f"{i}" for i in range(len(ALL))])
def test_every_parameter_learns(model: Any, visibility: Visibility, count) -> None:
    """From the real initialisation, zeros and all, within a few steps; and in one from everywhere else."""
    torch.manual_seed(0)
    case = Case(model, Sequence(8), visibility, VOCABULARY)
    try:
        if model in BASELINES:
            learning.check(case.fresh(), case, steps=5)
        learning.check(case.network(), case)
    except AssertionError as error:
        error.add_note(f"in {case}")
        raise
    count("variants of parts in which every parameter learns")


@pytest.mark.parametrize("kind", members(Optimiser), ids=lambda kind: kind.__name__)
def test_every_optimiser_holds_and_moves_every_parameter(kind: Any, count) -> None:
    config = kind()
    for model in BASELINES:
        for visibility in sorted(legal.model_visibilities(model), key=lambda v: v.name):
            torch.manual_seed(0)
            case = Case(model, Sequence(8), visibility, VOCABULARY)
            try:
                learning.check(case.network(), case, learning.stepper(config))
            except AssertionError as error:
                error.add_note(f"{config} in {case}")
                raise
            count("optimisers x variants of parts")


@pytest.mark.parametrize("kind", members(Mixer), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("layout", [Sequence(12), Streams(6, 2)], ids=str)
def test_random_text_cannot_be_learnt(kind: type, layout: Any, count) -> None:
    vocabulary = 5
    for model in hosted("mixer", walk.baseline(kind)):
        for visibility in sorted(legal.model_visibilities(model), key=lambda v: v.name):
            torch.manual_seed(0)
            case = Case(model, layout, visibility, vocabulary)
            learning.random_text(case.fresh(), case)
            count("trainings on random text")
