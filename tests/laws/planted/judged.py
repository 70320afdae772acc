"""Which laws break on a combination: the same checks that the suite makes, gathered by name."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from laws import company, distribution, keeping, learning, no_peeking, options, stepping
from laws.broken import Broken
from laws.cases import Case
from semagram.feedforward import MLP
from semagram.layouts import Sequence
from semagram.mixers import Attention, rotary

OPTION = "every option does something"


def laws_broken(subject: Case, folder: Any, dear: Container[str]) -> set[str]:
    """The names of the laws that do not hold for the network of ``subject``; of those that cost much, only ``dear``."""

    def run(law: Callable[[], None]) -> None:
        try:
            law()
        except Broken as broken:
            found.add(broken.law)

    found: set[str] = set()
    run(lambda: no_peeking.check(subject.network(), subject))
    run(lambda: stepping.check(subject.network(), subject))
    run(lambda: company.check(subject.network(), subject))
    run(lambda: keeping.check_saved(subject.network(), subject, folder))
    run(lambda: keeping.check_copied(subject.network(), subject))
    run(lambda: distribution.check(answers(subject), subject.vocabulary))
    if (learning.LEARNS in dear or learning.HELD in dear) and subject.layout.count > 1:
        from semagram.training.optimisers import AdamW

        run(lambda: learning.check(subject.network(), subject, learning.stepper(AdamW())))
    if learning.RANDOM in dear:
        torch.manual_seed(0)
        run(lambda: learning.random_text(subject.fresh(), subject, 60, 16, 30))
    if OPTION in dear:
        found |= idle_options(subject)
    if keeping.COMPILED in dear:
        try:
            run(lambda: keeping.check_compiled(subject.network(), subject))
        except torch._dynamo.exc.TorchDynamoException:
            found.add(keeping.COMPILED)
    return found


def answers(subject: Case) -> Tensor:
    """Log-probabilities of the whole canvas."""
    with torch.no_grad():
        return torch.log_softmax(subject.network()(subject.inputs(), subject.geometry()), dim=-1)


def idle_options(subject: Case) -> set[str]:
    """Whether a field among the ones that the suite's options law asks does nothing on this combination."""
    model = subject.model
    changes: list[Any] = [{"logit_cap": 2.0}, {"norm": replace(model.norm, epsilon=0.01)}]
    if isinstance(getattr(model, "mixer", None), Attention):
        changes += [{"mixer": replace(model.mixer, sharpness=2.0)}]
        changes += [{"mixer": replace(model.mixer, positions=rotary.Rotary(50.0))}]
    if isinstance(getattr(model, "feedforward", None), MLP):
        changes += [{"feedforward": replace(model.feedforward, activation="gelu")}]
    for change in changes:
        line = replace(subject, layout=Sequence(7))
        if options.differs(line, replace(line, model=replace(model, **change))) is None:
            return {OPTION}
    return set()
