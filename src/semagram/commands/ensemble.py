"""``semagram ensemble RUN RUN -o ENSEMBLE``: join trained models into one that every other command takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.lab.ensembles import TrainedEnsemble
    from semagram.trained import TrainedModel


@dataclass(frozen=True)
class EnsembleCommand:
    """Join runs of one tokenizer. The first may be an ensemble, which is then added to, or taken from."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folders of trained models; the first may be an ensemble."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))]
    """Folder of the new ensemble."""
    kind: Literal["mixture", "product"] | None = None
    """Average probabilities, or log-probabilities; none: mixture, or as the ensemble was."""
    weights: Literal["fixed", "bayesian", "learned"] = "fixed"
    """Equal (or the ensemble's own, less those removed); following the evidence as a text is read; fitted to --fit."""
    fit: tuple[str, ...] = ()
    """The text that learned weights are fitted to: one that no member was trained on, and not the one to be scored."""
    remove: tuple[str, ...] = ()
    """Members of the first ensemble that are left out: their numbers, from 0, or the text they were trained on."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(EnsembleCommand, arguments, "semagram ensemble")
    if options.out.exists():
        raise UserError(f"{options.out} is there already: name another folder.")
    if (options.weights == "learned") != bool(options.fit):
        raise UserError("--weights learned needs the text to fit them to, --fit TEXT, and nothing else takes one.")
    if options.weights == "bayesian" and options.kind == "product":
        raise UserError("Bayesian weights belong to a mixture; a product has fixed or learned ones.")
    from semagram.lab.ensembles import TrainedEnsemble, load_either
    from semagram.text import load_text
    from semagram.trained import load

    if not options.runs:
        raise UserError("name at least one run to join.")
    first = load_either(options.runs[0])
    others = [load(name) for name in options.runs[1:]]
    if isinstance(first, TrainedEnsemble):
        made = _changed(first, others, options)
    else:
        if options.remove:
            raise UserError(f"--remove takes members from an ensemble, but {options.runs[0]} is a single run.")
        made = TrainedEnsemble([first, *others], options.kind or "mixture", None, options.weights == "bayesian")
    if options.fit:
        made = made.learned(load_text(options.fit).text)
    made.save(options.out)
    e = made.predictor
    shares = e.weights or (1.0,) * len(e.members)
    told = ", ".join(f"{w / sum(shares):.4f}" for w in shares)
    how = f"Bayesian {e.kind}" if e.bayesian else e.kind
    print(f"{options.out}: a {how} of {len(e.members)}, weights {told}")
    for number, member in enumerate(made.members):
        print(f"  {number}: {' '.join(member.experiment.text)}")
    return 0


def _named(first: TrainedEnsemble, word: str) -> list[int]:
    """The members that ``word`` names; ``UserError`` when there are none."""
    if word.isdecimal():
        if int(word) >= len(first.members):
            raise UserError(f"there are members 0 to {len(first.members) - 1}, got {word}.")
        return [int(word)]
    sources = [member.experiment.text for member in first.members]
    found = [i for i, own in enumerate(sources) if word in own or any(Path(source).name == word for source in own)]
    if not found:
        known = ", ".join(dict.fromkeys(source for own in sources for source in own))
        raise UserError(f"no member was trained on {word!r}; they were on {known}.")
    return found


def _changed(first: TrainedEnsemble, others: list[TrainedModel], options: EnsembleCommand) -> TrainedEnsemble:
    """An ensemble less what is removed, plus the others; told anew how they are joined."""
    from semagram.lab.ensembles import TrainedEnsemble

    e = first.predictor
    gone = {index for word in options.remove for index in _named(first, word)}
    kept = [i for i in range(len(first.members)) if i not in gone]
    members = [*(first.members[i] for i in kept), *others]
    weights = None
    if e.weights is not None and options.weights != "learned":
        if others:
            raise UserError(
                "this ensemble has weights of its own, and a new member has none: fit them all with --weights learned."
            )
        weights = [e.weights[i] for i in kept]
    kind = options.kind or e.kind
    bayesian = options.weights == "bayesian" or (e.bayesian and options.weights == "fixed" and kind == "mixture")
    return TrainedEnsemble(members, kind, weights, bayesian, e.memory if bayesian else 1.0)
