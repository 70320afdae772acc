"""Ensembles: several predictors of one vocabulary answer as one.

*mixture*: p(w) = sum_i a_i p_i(w). With ``bayesian`` weights a_i is each member's share of the evidence so far in this
canvas, a_i ~ prior_i x p_i(what was written): Bayesian model averaging, which costs at most -ln prior_i nats
more than the best member. ``memory`` m below 1 lets old evidence fade, a_i ~ prior_i^(1-m) x a_i^m x p_i, so that
weights follow a text that changes; 1 forgets nothing, 0 knows the last cell only.
*product*: log p(w) = sum_i a_i log p_i(w), made to sum to 1 again (a product of experts, Hinton 2002): members veto.

A member is a predictor and nothing else, so members are added and removed without training, and one member alone
answers with its own bits. All must write the same cells in the same order (from left to right, say), since what one
is asked about the others are told. Tested against the formulas, step by step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts import Layout
from semagram.predictors.contract import DecodingState, Predictor, leading, read_step_by_step, rewindable

Kind = Literal["mixture", "product"]


@dataclass(frozen=True)
class Ensemble:
    """A predictor made of predictors."""

    members: tuple[Predictor, ...]
    """At least one, of one vocabulary, all writing in a fixed order."""
    kind: Kind = "mixture"
    """mixture: average probabilities; product: average log-probabilities and normalise."""
    weights: tuple[float, ...] | None = None
    """One a member, above 0, made to sum to 1; none: all equal. Of Bayesian weights, the prior."""
    bayesian: bool = False
    """Of a mixture: let weights follow the evidence while reading."""
    memory: float = 1.0
    """Of Bayesian weights: share of the old evidence that is kept at each cell."""

    def __post_init__(self) -> None:
        if not self.members:
            raise UserError("an ensemble needs at least 1 member, got 0.")
        sizes = [m.vocabulary_size for m in self.members]
        if len(set(sizes)) > 1:
            raise UserError(f"the members of an ensemble must share one vocabulary; theirs have {sizes} ids.")
        if not all(m.fixed_order for m in self.members):
            raise UserError("an ensemble's members must all write in a fixed order; one of these chooses where.")
        if self.weights is not None:
            if len(self.weights) != len(self.members):
                raise UserError(f"{len(self.members)} members need as many weights, got {len(self.weights)}.")
            if not all(0 < w < float("inf") for w in self.weights):
                raise UserError(f"weights must be numbers above 0, got {self.weights}.")
        if self.bayesian and self.kind == "product":
            raise UserError("Bayesian weights belong to a mixture; a product has fixed ones.")
        if not 0.0 <= self.memory <= 1.0:
            raise UserError(f"memory must be from 0 to 1, got {self.memory}.")
        if self.memory != 1.0 and not self.bayesian:
            raise UserError("memory acts on Bayesian weights only: set bayesian=True or leave it out.")

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.members[0].vocabulary_size

    @property
    def context(self) -> int | None:
        """The smallest member's; None when no member has a limit."""
        limits = [m.context for m in self.members if m.context is not None]
        return min(limits) if limits else None

    @property
    def fixed_order(self) -> bool:
        """True; see ``members``."""
        return True

    def canvas(self, length: int) -> Layout:
        """That of the member with the smallest context; raises ``ValueError`` above it."""
        return min(self.members, key=lambda m: float("inf") if m.context is None else m.context).canvas(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> EnsembleState:
        """Start ``batch`` canvases in every member. What is given is evidence like what is written."""
        if not self.bayesian or given is None:
            return EnsembleState(self, [m.open(layout, batch, given) for m in self.members], batch)
        state = EnsembleState(self, [m.open(layout, batch) for m in self.members], batch)
        known = leading(given, layout.positions().order().to(given.device))
        if known is not None:
            state.read(known)
        return state

    def with_member(self, member: Predictor, weight: float | None = None) -> Ensemble:
        """One member more; ``weight`` where the others have some."""
        if (weight is None) != (self.weights is None):
            raise UserError("give the new member a weight if the others have one, and only then.")
        weights = None if self.weights is None or weight is None else (*self.weights, weight)
        return replace(self, members=(*self.members, member), weights=weights)

    def without_member(self, index: int) -> Ensemble:
        """One member less: the ensemble that never had it. ``UserError`` when there is no such member."""
        if not 0 <= index < len(self.members):
            raise UserError(f"there are members 0 to {len(self.members) - 1}, got {index}.")
        weights = None if self.weights is None else self.weights[:index] + self.weights[index + 1 :]
        return replace(self, members=self.members[:index] + self.members[index + 1 :], weights=weights)


class EnsembleState:
    """See ``DecodingState``. ``_log_weights`` ``(M, b)`` float64."""

    def __init__(self, ensemble: Ensemble, states: list[DecodingState], batch: int) -> None:
        self._ensemble, self._states = ensemble, states
        weights = torch.tensor(ensemble.weights or (1.0,) * len(states), dtype=torch.float64)
        self._prior = (weights / weights.sum()).log()[:, None].expand(-1, batch)
        self._log_weights = self._prior
        self._asked: Tensor | None = None

    @property
    def next_positions(self) -> Tensor:
        """``(b, g)``; ``ValueError`` when members disagree on what comes next."""
        first = self._states[0].next_positions
        for state in self._states[1:]:
            if not torch.equal(state.next_positions.to(first.device), first):
                raise ValueError(
                    "the members of this ensemble do not write the same cells next, so they cannot be one."
                )
        return first

    def log_probs(self) -> Tensor:
        """``(b, g, v)``."""
        _ = self.next_positions
        return self._joined(self._answers(), self._log_weights[:, :, None])

    def write(self, ids: Tensor) -> None:
        """``(b, g)``; weights follow. ``ValueError`` for another number of ids."""
        group = self.next_positions.shape[1]
        if ids.shape[1:] != (group,):
            raise ValueError(f"write takes {group} ids a row here, got {tuple(ids.shape[1:])}.")
        if self._ensemble.bayesian and ids.shape[1]:
            self._log_weights = self._moved(self._answers(), ids)[:, :, -1]
        for state in self._states:
            state.write(ids)
        self._asked = None

    def read(self, ids: Tensor) -> Tensor:
        """``(b, m)`` -> ``(b, m, v)``, every member in parallel, weights as if step by step."""
        if self._ensemble.bayesian and self.next_positions.shape[1] > 1:
            return read_step_by_step(self, ids)  # Weights move between groups, and only stepping knows the groups.
        _ = self.next_positions
        answers = torch.stack([state.read(ids).cpu() for state in self._states])
        self._asked = None
        if not self._ensemble.bayesian or not ids.shape[1]:
            return self._joined(answers, self._log_weights[:, :, None])
        after = self._moved(answers, ids)
        before = torch.cat([self._log_weights[:, :, None], after[:, :, :-1]], dim=2)
        self._log_weights = after[:, :, -1]
        return self._joined(answers, before)

    def mark(self) -> tuple[list[object], Tensor, Tensor | None]:
        """See ``Rewindable``; ``ValueError`` where a member is not."""
        return [rewindable(state).mark() for state in self._states], self._log_weights, self._asked

    def rewind(self, mark: object) -> None:
        """See ``Rewindable``."""
        marks, self._log_weights, self._asked = cast(tuple[list[object], Tensor, Tensor | None], mark)
        for state, one in zip(self._states, marks, strict=True):
            rewindable(state).rewind(one)

    def select(self, rows: Tensor) -> None:
        """See ``Rewindable``: weights go with their rows."""
        for state in self._states:
            rewindable(state).select(rows)
        self._log_weights = self._log_weights[:, rows.cpu()]
        self._asked = None

    def _answers(self) -> Tensor:
        """``(M, b, g, v)``, asked once a group."""
        if self._asked is None:
            self._asked = torch.stack([state.log_probs().cpu() for state in self._states])
        return self._asked

    def _joined(self, answers: Tensor, log_weights: Tensor) -> Tensor:
        """``(M, b, m, v)`` and ``(M, b, m or 1)`` -> ``(b, m, v)`` float32; a lone member's answers as they are."""
        if len(answers) == 1:
            return answers[0]
        if self._ensemble.kind == "product":
            weighted = (answers.double() * log_weights.exp()[..., None]).sum(dim=0)
            return torch.log_softmax(weighted, dim=-1).float()
        return torch.logsumexp(answers.double() + log_weights[..., None], dim=0).float()

    def _moved(self, answers: Tensor, ids: Tensor) -> Tensor:
        """Log-weights ``(M, b, m)`` after each of ``ids (b, m)``. A recurrence, cell by cell: small sums only."""
        chosen = ids.cpu()[None, :, :, None].expand(len(answers), -1, -1, 1)
        evidence = answers.gather(3, chosen).squeeze(3).double()
        memory, now, found = self._ensemble.memory, self._log_weights, []
        for i in range(evidence.shape[2]):
            now = memory * now + (1 - memory) * self._prior + evidence[:, :, i]
            now = now - torch.logsumexp(now, dim=0)
            found.append(now)
        return torch.stack(found, dim=2)
