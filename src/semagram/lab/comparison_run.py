"""One contestant, one seed: trained on the training text, judged on the whole held-out text, kept in a folder.

``run`` is a pure function of its arguments whose result lies on the disk: called again it repeats nothing, killed in
between it goes on where it stopped. A contestant that cannot be trained or judged has a result too, which says why.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.lab.comparison_contestants import Contestant, Counting, FromMembers, FromRecipe, FromRun
from semagram.lab.comparison_judged import ComparedText, Judged, judge_counting, judge_network, seen_before
from semagram.lab.comparison_members import judge_members, shared, train_members
from semagram.trained import load
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.files import CannotWrite, replace_whole, write_json
from semagram.training.progress import Watcher
from semagram.training.records import differences
from semagram.training.tokenised import TokenisedText

RESULT, NATS = "compared.json", "compared.npz"


@dataclass(frozen=True)
class ContestantResult:
    """What one contestant came to with one seed; every score is in bits per character over the whole held-out text."""

    contestant: str
    seed: int | None
    """None: no seed acts (it counts, or was trained before)."""
    folder: Path
    failed: str | None = None
    """Why there is no score; None when there is one."""
    judged: Judged | None = None
    steps: int | None = None
    tokens: int | None = None
    """Training tokens seen."""
    seconds: float | None = None
    """Wall time of training."""
    cpu_seconds: float | None = None
    """Processor time of training."""

    @property
    def tokens_per_second(self) -> float | None:
        """Training tokens a second of wall time."""
        return self.tokens / self.seconds if self.tokens and self.seconds else None

    @property
    def training_flops(self) -> float | None:
        """Multiplications and additions of training: a backward pass costs two forward passes."""
        if self.judged is None or self.judged.flops_per_token is None or self.tokens is None:
            return None
        return 3 * self.judged.flops_per_token * self.tokens

    def nats(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """``(N,)`` exact nats of the held-out tokens and the characters they add; ``UserError`` if there are none."""
        try:
            with np.load(self.folder / NATS) as arrays:
                return arrays["nats"], arrays["lengths"]
        except (OSError, ValueError, KeyError):
            raise UserError(
                f"{self.folder / NATS} is missing or damaged: delete {self.folder} and compare again."
            ) from None

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``from_json`` is the way back."""
        return {**dataclasses.asdict(self), "folder": str(self.folder)}

    @classmethod
    def from_json(cls, data: dict[str, Any], folder: Path) -> ContestantResult:
        """What ``to_json`` wrote, now lying in ``folder``."""
        judged = None if data["judged"] is None else Judged(**data["judged"])
        return cls(**{**data, "folder": folder, "judged": judged})


def run(
    contestant: Contestant,
    seed: int,
    budget: Budget | None,
    text: ComparedText,
    folder: Path,
    *,
    coded: bool = False,
    watch: Watcher | None = None,
) -> ContestantResult:
    """Train ``contestant`` (if it is to be trained) and judge it; what is done already is taken from ``folder``.

    ``budget`` None: the recipe's own. ``coded``: also compress the held-out text, decode it and compare. Raises
    ``UserError`` when ``folder`` holds the result of something else, ``CannotWrite`` when it cannot be written, and
    ``KeyboardInterrupt`` when training was interrupted; every other failure is a result.
    """
    if isinstance(contestant, FromRecipe):
        contestant = replace(contestant, experiment=_settled(contestant.experiment, seed, budget, text))
    elif isinstance(contestant, FromMembers):
        settled = tuple(_settled(e, seed, budget, text) for e in contestant.experiments)
        contestant = replace(contestant, experiments=shared(settled))
    question = {**contestant.identity(), "text": text.sha256[:16], "training_characters": len(text.training)}
    known = _known(folder, question)
    if known is not None and (known.failed or not coded or (known.judged and known.judged.coded is not None)):
        return known
    if known is None:
        # The question is there before the answer, so that a run that was killed is known for what it is.
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RESULT, {"question": question, "result": None})
    result = ContestantResult(
        contestant.name, seed if isinstance(contestant, FromRecipe | FromMembers) else None, folder
    )
    try:
        result = _carried_out(contestant, text, folder, coded, watch, result)
    except (CannotWrite, OSError):
        raise
    except Exception as error:
        # One contestant that breaks must not take the others' hours with it; it is shown as failed.
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        result = replace(result, failed=" ".join(said.split())[:500])
    write_json(folder / RESULT, {"question": question, "result": result.to_json()})
    return result


def _settled(experiment: Experiment, seed: int, budget: Budget | None, text: ComparedText) -> Experiment:
    wanted = budget or experiment.training.budget
    # 30 and 30.0 are one budget, but two in JSON.
    wanted = Budget(float(wanted.amount), wanted.unit)
    training = replace(experiment.training, held_out=text.held_out_share, budget=wanted)
    return replace(experiment, seed=seed, text=text.sources, training=training)


def _known(folder: Path, question: dict[str, Any]) -> ContestantResult | None:
    path = folder / RESULT
    if not path.exists():
        if (folder / "config.json").exists():
            raise UserError(f"{folder} holds a run that no comparison made: use another --out.")
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = data["question"]
        result = None if data["result"] is None else ContestantResult.from_json(data["result"], folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): delete {folder} and compare again.") from None
    different = differences(found, question)
    if different:
        shown = "; ".join(different[:3]) + (f"; and {len(different) - 3} more" if len(different) > 3 else "")
        raise UserError(f"{folder} holds the result of something else: {shown}. Delete it, or use another --out.")
    return result


def _carried_out(
    contestant: Contestant,
    text: ComparedText,
    folder: Path,
    coded: bool,
    watch: Watcher | None,
    result: ContestantResult,
) -> ContestantResult:
    if isinstance(contestant, Counting):
        began, processor_began = time.perf_counter(), time.process_time()
        predictor, tokenizer, tokens = text.fit(contestant.config)
        result = replace(
            result,
            tokens=tokens,
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - processor_began,
        )
        judged, nats, lengths = judge_counting(predictor, tokenizer, text, coded)
    elif isinstance(contestant, FromMembers):
        result = replace(result, **train_members(contestant.experiments, text, folder, watch))
        judged, nats, lengths = judge_members(len(contestant.experiments), text, folder, coded)
    elif isinstance(contestant, FromRun):
        note = seen_before(contestant.experiment, text)
        result = replace(result, **_spent(contestant.folder))
        judged, nats, lengths = judge_network(load(contestant.folder), text, coded)
        judged = replace(judged, note="; ".join(said for said in (judged.note, note) if said) or None)
    else:
        experiment = contestant.experiment
        tokenised = TokenisedText.of(text.whole, experiment.tokenizer, text.held_out_share, experiment.layout)
        trained = train(experiment, tokenised, folder, resume=(folder / "config.json").exists(), watch=watch)
        if trained.interrupted:
            raise KeyboardInterrupt
        result = replace(
            result,
            steps=trained.step,
            tokens=trained.tokens,
            seconds=trained.seconds,
            cpu_seconds=trained.cpu_seconds,
        )
        judged, nats, lengths = judge_network(load(folder), text, coded)
    for value in (judged.nll, judged.nll_upper_bound, judged.pseudo_nll):
        if value is not None and not math.isfinite(value):
            raise UserError(f"its score is {value}.")
    if nats is not None:
        _keep(folder, nats, lengths)
    return replace(result, judged=judged)


def _keep(folder: Path, nats: NDArray[np.float64], lengths: NDArray[np.int64]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, nats=nats, lengths=lengths)

    replace_whole(folder / NATS, write)


def _spent(folder: Path) -> dict[str, Any]:
    """What the training of a finished run cost; nothing for a model without that record."""
    try:
        data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return {"steps": data["step"], **{k: data[k] for k in ("tokens", "seconds", "cpu_seconds")}}
    except (OSError, ValueError, KeyError):
        return {}
