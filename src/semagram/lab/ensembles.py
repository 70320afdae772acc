"""Trained models of one vocabulary, held and used as one: ``semagram.ensemble("runs/a-1", "runs/a-2")``.

Generates, scores, compresses and is audited as a trained model is. The file it writes names every member, the way they
are joined and their weights, and only the same ensemble decodes it. Saved, it is a folder with ``ensemble.json`` and a
folder for each member, which holds the whole of it: so members are added and taken away, and what was before is again,
to the bit.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.texts import named_or_held_out
from semagram.predictors.ensemble import Ensemble, Kind
from semagram.trained import TrainedModel, load, read_json
from semagram.verbs.write_text import write_text

if TYPE_CHECKING:
    from semagram.verbs.audit import AuditReport
    from semagram.verbs.score import Score


JOINED, FORMAT = "ensemble.json", "semagram ensemble 1"


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
        self.folder: Path | None = None
        """Where it was loaded from."""
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
    def experiment(self) -> Experiment:
        """The first member's: where its text came from, and how many threads it wants."""
        return self.members[0].experiment

    generate = write_text
    """Continue a prompt; see ``verbs.write_text`` for all that can be asked."""

    def learned(self, text: str) -> TrainedEnsemble:
        """The same members with the weights that suit ``text`` best; let it be one that no member was trained on, and
        not the one that is to be scored. See ``verbs.fit_weights``."""
        from semagram.verbs.fit_weights import fit_weights

        e = self.predictor
        return TrainedEnsemble(
            self.members, e.kind, fit_weights(e.members, self.encode(text), e.kind), e.bayesian, e.memory
        )

    def with_member(self, member: TrainedModel, weight: float | None = None) -> TrainedEnsemble:
        """One member more; ``weight`` where the others have some."""
        e = self.predictor.with_member(member.predictor, weight)
        return TrainedEnsemble((*self.members, member), e.kind, e.weights, e.bayesian, e.memory)

    def without_member(self, index: int) -> TrainedEnsemble:
        """One member less; ``UserError`` when there is no such member, or no other."""
        e = self.predictor.without_member(index)
        return TrainedEnsemble(
            [m for i, m in enumerate(self.members) if i != index], e.kind, e.weights, e.bayesian, e.memory
        )

    def audit(self, text: str, *, training: str | None = None) -> AuditReport:
        """Look for leaks and dishonest numbers on ``text``; see ``semagram.audit``."""
        from semagram.verbs.audit import audit

        def reload() -> Ensemble:
            with tempfile.TemporaryDirectory() as folder:
                return load_ensemble(self.save(Path(folder) / "ensemble")).predictor

        name = f"an ensemble of {len(self.members)}"
        return audit(self.predictor, text, self.tokenizer, training=training, reload=reload, name=name)

    def save(self, folder: str | Path) -> Path:
        """Write everything into ``folder``, which must not hold anything yet."""
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is there already: name another folder.")
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"member-{i}" for i in range(len(self.members))]
        for name, member in zip(names, self.members, strict=True):
            member.save(folder / name)
        e = self.predictor
        told = {
            "format": FORMAT,
            "kind": e.kind,
            "weights": None if e.weights is None else list(e.weights),
            "bayesian": e.bayesian,
            "memory": e.memory,
            "members": names,
        }
        (folder / JOINED).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return folder

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

    def compress(self, text: str, *, self_contained: bool = False) -> bytes:
        """A file that ``decompress`` turns into ``text`` again; ``UserError`` for a self-contained one."""
        from semagram.verbs.compress import compress_text

        if self_contained:
            raise UserError("an ensemble cannot be put into the file it writes: keep its folder beside it.")

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


def load_ensemble(folder: str | Path) -> TrainedEnsemble:
    """The ensemble that ``save`` wrote into ``folder``; raises ``UserError`` when it is none."""
    folder = Path(folder)
    if not (folder / JOINED).is_file():
        raise UserError(
            f"{folder} is no ensemble: it has no {JOINED}; 'semagram ensemble RUN RUN -o {folder}' makes one."
        )
    told = read_json(folder / JOINED)
    try:
        if told["format"] != FORMAT:
            raise UserError(f"{folder / JOINED} is of another kind: it says {told['format']!r}, not {FORMAT!r}.")
        # A name with a folder in it could lead outside; ours have none.
        members = [load(folder / Path(name).name) for name in told["members"]]
        made = TrainedEnsemble(members, told["kind"], told["weights"], told["bayesian"], told["memory"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder / JOINED} is damaged: {type(error).__name__} {error}.") from None
    made.folder = folder
    return made


def load_either(folder: str | Path) -> TrainedModel | TrainedEnsemble:
    """What is in ``folder``: a trained model, or an ensemble of them."""
    return load_ensemble(folder) if (Path(folder) / JOINED).is_file() else load(folder)


def text_for(sources: Sequence[str], model: TrainedModel | TrainedEnsemble) -> str:
    """The text of ``sources``; without any, the held-out part of the model's own text, if all members share it."""
    if not sources and isinstance(model, TrainedEnsemble):
        own = {(m.experiment.text, m.experiment.training.held_out) for m in model.members}
        if len(own) > 1:
            raise UserError("the members of this ensemble were trained on different texts: name a text.")
    return named_or_held_out(sources, model.experiment)


def _name(member: TrainedModel, index: int) -> str:
    return str(member.folder) if member.folder is not None else f"member {index}"
