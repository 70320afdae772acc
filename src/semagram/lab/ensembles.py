"""Trained models of one vocabulary, held and used as one: ``semagram.ensemble("runs/a-1", "runs/a-2")``.

Scores and compresses as a trained model does. The file it writes names every member, the way they are joined and
their weights, and only the same ensemble decodes it.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semagram.errors import UserError
from semagram.predictors.ensemble import Ensemble, Kind
from semagram.trained import TrainedModel, load

if TYPE_CHECKING:
    from semagram.verbs.score import Score


class TrainedEnsemble:
    """Several trained models as one; see ``ensemble``."""

    def __init__(
        self,
        members: Sequence[TrainedModel],
        kind: Kind = "mixture",
        weights: Sequence[float] | None = None,
        bayesian: bool = False,
        memory: float = 1.0,
    ) -> None:
        """``UserError`` unless all have the same tokenizer; the other words are those of ``Ensemble``."""
        if not members:
            raise UserError("an ensemble needs at least 1 member, got 0.")
        for i, member in enumerate(members):
            if member.tokenizer.fingerprint != members[0].tokenizer.fingerprint:
                raise UserError(
                    f"members of an ensemble must share one vocabulary, but {_name(member, i)} has another tokenizer "
                    f"than {_name(members[0], 0)}: train both on the same text with the same tokenizer."
                )
        self.members = tuple(members)
        self.tokenizer = members[0].tokenizer
        self.predictor = Ensemble(
            tuple(m.predictor for m in members),
            kind,
            None if weights is None else tuple(float(w) for w in weights),
            bayesian,
            memory,
        )

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) over the members' identities and how they are joined."""
        e = self.predictor
        how = [[m.identity for m in self.members], e.kind, e.weights, e.bayesian, e.memory]
        return hashlib.sha256(json.dumps(how).encode()).hexdigest()

    @property
    def parameters(self) -> int:
        """Trained numbers, over all members."""
        return sum(m.parameters for m in self.members)

    def encode(self, text: str) -> np.ndarray:
        """Ids ``(m,)``; raises ``UserError`` for an empty text or one the vocabulary cannot spell."""
        return self.members[0].encode(text)

    def score(self, text: str) -> Score:
        """Nats and bits of ``text``, read in the same windows that ``compress`` reads."""
        from semagram.verbs.score import score

        return score(self.predictor, self.encode(text))

    def compress(self, text: str) -> bytes:
        """A file that ``decompress`` turns into ``text`` again."""
        from semagram.verbs.compress import compress_text

        return compress_text(self.predictor, self.tokenizer, text, self.identity)

    def decompress(self, data: bytes, *, warn: Callable[[str], object] = warnings.warn) -> str:
        """The text of a file that ``compress`` wrote with this very ensemble; raises ``UserError`` otherwise."""
        from semagram.verbs.decompress import decompress_text

        return decompress_text(self.predictor, self.tokenizer, data, self.identity, warn=warn)


def ensemble(
    *members: str | Path | TrainedModel,
    kind: Kind = "mixture",
    weights: Sequence[float] | None = None,
    bayesian: bool = False,
    memory: float = 1.0,
) -> TrainedEnsemble:
    """Run folders (or loaded models) as one model; see ``Ensemble`` for what the words mean."""
    loaded = [m if isinstance(m, TrainedModel) else load(m) for m in members]
    return TrainedEnsemble(loaded, kind, weights, bayesian, memory)


def _name(member: TrainedModel, index: int) -> str:
    return str(member.folder) if member.folder is not None else f"member {index}"
