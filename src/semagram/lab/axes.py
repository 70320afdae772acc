"""Axes of tags in use: written to a pattern, guided, shown above the text, and added to a model that is trained.

``steered`` gives a writer that is told tags (a pattern), is guided by them, or does without. ``tags_beside`` says what
the axes were while a text was written, and ``above`` prints that. ``extend`` adds an axis to a trained model: its rows
are zero, so that the network is what it was, until ``go_on`` trains both further.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semagram.config import fingerprint, to_json
from semagram.errors import UserError, nearest
from semagram.layouts import Axis, Crossed, Streams, Sum
from semagram.models.bundle import Bundle
from semagram.models.tagged import TaggedNetwork, network_of
from semagram.predictors.contract import Predictor
from semagram.predictors.guided import Guided
from semagram.predictors.labelled import LabelledPredictor
from semagram.predictors.tags_of_tokens import pieces_of, tags_of
from semagram.text.interleaved import InterleavedTokenizer
from semagram.text.tokenizer import Tokenizer
from semagram.trained import TrainedModel
from semagram.training import checkpoint as checkpoints
from semagram.training.records import RunFolder, decisive
from semagram.training.state import Progress
from semagram.training.tokenised import TokenisedText
from semagram.verbs.write_text import write_text


@dataclass(frozen=True)
class Steered:
    """A writer: a trained model whose axes are steered."""

    predictor: Predictor
    tokenizer: Tokenizer
    generate = write_text


def steered(
    model: TrainedModel,
    *,
    like: str | None = None,
    constant: dict[str, str] | None = None,
    guidance: float | None = None,
    without: bool = False,
) -> Steered:
    """``like``: write to the pattern of tags of this text, prompt and continuation (axes that are Given or Oracle).
    ``constant``: the same tag everywhere, by axis and tag's name. ``guidance``: see ``predictors.guided``. ``without``:
    all axes unknown. ``UserError`` for what cannot act on this model."""
    predictor = model.predictor
    if not isinstance(predictor, LabelledPredictor) or not predictor.network.axes:
        raise UserError(f"{model.experiment.name} has no axes of tags that are shown, so they cannot be steered.")
    if without and (like is not None or constant or guidance is not None):
        raise UserError("without its axes a model can neither be given tags nor be guided by them.")
    if without:
        return Steered(predictor.without(), model.tokenizer)
    told = {axis.name: axis for axis in predictor.network.axes if axis.told}
    facts: dict[str, np.ndarray] = {}
    if like is not None:
        if not told:
            raise UserError("a pattern is for axes that are Given; this model makes its tags from what it writes.")
        ids = model.encode(like)
        facts = {name: tags_of(axis.labeller, pieces_of(model.tokenizer), ids) for name, axis in told.items()}
    for name, tag in (constant or {}).items():
        if name not in told:
            raise UserError(f"there is no axis {name} to be given; there are {', '.join(told) or 'none'}.")
        names = told[name].labeller.names()
        if tag not in names:
            raise UserError(f"axis {name} has no tag {tag!r}.{nearest(tag, names)}")
        facts[name] = np.full(1 << 20, names.index(tag), dtype=np.int64)
    if facts:
        predictor = predictor.told(facts)
    return Steered(predictor if guidance is None else Guided(predictor, guidance), model.tokenizer)


def tags_beside(model: TrainedModel, ids: np.ndarray) -> tuple[str, dict[str, list[str]]]:
    """The text of ``ids (N,)``, and by axis the name of each character's tag: what was written (Joint), what was read
    while it was written (Causal, Completed), what the labeller says of the whole (the others). "" where unknown."""
    layout, tokenizer = model.experiment.layout, model.tokenizer
    if not isinstance(layout, Streams) or not layout.tags:
        raise UserError(f"{model.experiment.name} has no axes of tags to show.")
    text, columns = tokenizer.decode(ids), []
    if isinstance(tokenizer, InterleavedTokenizer):
        tokens, columns = tokenizer.split(ids)
        lengths = tokenizer.inner.lengths(tokens)
    else:
        columns = [tags_of(axis.reading, pieces_of(tokenizer), np.asarray(ids)) for axis in layout.tags]
        lengths = tokenizer.lengths(ids)
    found = {}
    for axis, column in zip(layout.tags, columns, strict=True):
        names = axis.labeller.names()
        found[axis.name] = ["" if t < 0 else names[t] for t in np.repeat(column, lengths).tolist()]
    return text, found


def above(text: str, tags: dict[str, list[str]], width: int = 96) -> str:
    """The text in lines of at most ``width``; above each, a line an axis, a tag's name where it begins (cut short where
    the next one begins)."""
    margin = max(map(len, tags), default=0) + 1
    blocks, start = [], 0
    for line in text.splitlines(keepends=True):
        for begin in range(0, len(line), width):
            part = line[begin : begin + width]
            at, start = start, start + len(part)
            rows = [f"{name:<{margin}}{_row(row[at : at + len(part)])}".rstrip() for name, row in tags.items()]
            blocks.append("\n".join([*rows, " " * margin + part.rstrip("\r\n")]))
    return "\n".join(blocks)


def _row(names: list[str]) -> str:
    out, i = "", 0
    while i < len(names):
        j = i
        while j < len(names) and names[j] == names[i]:
            j += 1
        shown = "" if names[i] in ("", "none") else names[i]
        room = j - i
        out += (shown[: room - 1] + " " if room > 1 else shown[:1]).ljust(room)[:room]
        i = j
    return out


def extend(model: TrainedModel, axis: Axis) -> TrainedModel:
    """``model`` with one axis more, whose rows are zero: what it says is what it said, until it is trained further.

    ``UserError`` for a Joint axis (its text has other ids) and for trunks that meet (an axis would need one more).
    """
    old = model.experiment.layout
    tags = old.tags if isinstance(old, Streams) else ()
    if axis.written or (isinstance(old, Streams) and old.written):
        raise UserError("Joint axes are part of a model's ids, so they cannot be added to it later: train it anew.")
    combine = old.combine if isinstance(old, Streams) else Sum()
    if isinstance(combine, Crossed):
        raise UserError("trunks that are Crossed are built for their axes: extend a model of Sum or Concat.")
    layout = Streams(old.count, tags=(*tags, axis), combine=combine if any(t.shown for t in (*tags, axis)) else Sum())
    experiment = replace(model.experiment, layout=layout)
    network = network_of(experiment.model, model.tokenizer.vocabulary_size, layout, experiment.objective.visibility)
    _fill(network, model.network)
    return TrainedModel(experiment, model.tokenizer, network, model.experts)


@torch.no_grad()
def _fill(network: TaggedNetwork, old: Any) -> None:
    """Copy what both have; rows and columns that are new become zero. New ids stand before the reserved one."""
    weights = old.state_dict()
    if not isinstance(old, TaggedNetwork):
        weights = {f"trunk.{name}": tensor for name, tensor in weights.items()}
    if isinstance(network.trunk.embedding, Bundle) and "trunk.embedding.weight" in weights:
        weights["trunk.embedding.letters.weight"] = weights.pop("trunk.embedding.weight")
    table = next(name for name in ("trunk.embedding.letters.weight", "trunk.embedding.weight") if name in weights)
    for name, tensor in network.state_dict().items():
        source = weights.get(name)
        if source is None or source.shape == tensor.shape:
            tensor.zero_() if source is None else tensor.copy_(source)
            continue
        tensor.zero_()
        place = tuple(slice(0, size) for size in source.shape)
        tensor[place] = source
        if name == table:  # the reserved id is the last row of both
            tensor[source.shape[0] - 1] = 0
            tensor[-1] = source[-1]
    bundle = network.trunk.embedding
    if isinstance(bundle, Bundle) and bundle.mix is not None and "trunk.embedding.mix.weight" not in weights:
        width = bundle.mix.weight.shape[0]
        bundle.mix.weight[:, :width] = torch.eye(width)
    if isinstance(bundle, Bundle) and bundle.mix is not None:
        # Under Concat the columns are zero; were the rows zero too, neither would ever move.
        for number, table_of_tags in enumerate(bundle.tags):
            if f"trunk.embedding.tags.{number}.weight" not in weights:
                torch.nn.init.normal_(table_of_tags.weight, std=0.3)  # type: ignore[arg-type]


def go_on(model: TrainedModel, text: str, folder: Path) -> TokenisedText:
    """Make ``folder`` a run that begins with the weights of ``model``; ``train(experiment, text, folder, resume=True)``
    then trains it for its whole budget. Returns the text, tokenised as the model's. ``UserError`` where there is a
    run."""
    experiment = model.experiment
    tokenised = TokenisedText.of(text, model.tokenizer, experiment.training.held_out)
    run = RunFolder(folder, experiment, resume=False)
    run.begin(experiment, model.tokenizer, "cpu")
    identity = checkpoints.Identity(
        fingerprint(decisive(to_json(experiment))), model.tokenizer.fingerprint, tokenised.fingerprint
    )
    stepper = experiment.training.optimiser.build(model.network)
    state = checkpoints.Checkpoint(Progress(), identity, checkpoints.weights_of(model.network), stepper.state())
    run.last.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.save(run.last, state)
    return tokenised
