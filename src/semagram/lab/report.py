"""The page of a finished run: the figure, what stands beside it, how it learnt, what it writes, how to repeat it."""

from __future__ import annotations

import json
import platform
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semagram.config import dumps
from semagram.errors import UserError
from semagram.lab import beside
from semagram.lab.curves import read_curves
from semagram.lab.figures import Line, Point, compact, line_chart
from semagram.lab.heatmap import Passage, heat, visible
from semagram.lab.neighbours import Judgement, judgement_of, neighbours, write_judgement
from semagram.lab.page import write_page
from semagram.lab.pareto import Dot, pareto_chart
from semagram.text import load_text

if TYPE_CHECKING:
    from semagram.lab.runs import Outcome
    from semagram.trained import TrainedModel
    from semagram.verbs.score import Score

_MEANING = {
    "nll": ("exact: nll", "The exact code length of the whole held-out text: what a compressed file of it measures."),
    "nll_upper_bound": (
        "exact, in its own order: nll",
        "The exact code length of the whole held-out text, cells coded in the order in which this model writes them. "
        "The loss in its learning curve is something else, an upper bound over all orders (nll_upper_bound).",
    ),
    "pseudo_nll": (
        "pseudo-likelihood: pseudo_nll",
        "Each token was predicted from all others. This is no likelihood and no code length, and stands beside no "
        "other score.",
    ),
    "given-conditional": (
        "given its tags: given-conditional",
        "The model was told tags of the held-out text that are known before it is. What it costs beside them is no "
        "code length of the text alone.",
    ),
    "oracle-conditional": (
        "told letters to come: oracle-conditional",
        "The model was told tags of the whole held-out text, letters to come among it. This is no code length, and "
        "stands beside no other score.",
    ),
}
_LOSS = {
    "nll": "exact (nll)",
    "nll_upper_bound": "the any-order upper bound (nll_upper_bound)",
    "pseudo_nll": "the pseudo-likelihood (pseudo_nll)",
}


def write_report(outcome: Outcome, held_out: str) -> Path:
    """Write ``report.html`` and ``score.json`` into the run's folder and return the page's path.

    ``UserError`` for an unfinished run.
    """
    model, score, bits = outcome.model, outcome.score, outcome.bits_per_character
    if model is None or score is None or bits is None:
        raise UserError(f"{outcome.folder} has not finished: go on with it first (--resume).")
    experiment = outcome.experiment
    loss_kind = experiment.objective.loss_kind
    kind, meaning = _MEANING[loss_kind if model.kind_of_score == "nll" else model.kind_of_score]
    training = _training_text(outcome, held_out)
    others = beside.compressors(held_out, training)
    counted = beside.ngram(held_out, training) if training is not None else None
    others += [counted] if counted is not None else []
    bars, note = _bars(experiment.name, bits, others, training, loss_kind == "pseudo_nll")
    own = judgement_of(outcome, model, bits, held_out)
    write_judgement(outcome.folder, own)
    passage = Passage.of(held_out)
    nats_of = score.nats, model.tokenizer.lengths(model.encode(held_out))
    values: dict[str, Any] = {
        "title": f"{experiment.name}: {bits:.4f} bits per character",
        "name": experiment.name,
        "summary": _summary(outcome, held_out),
        "bits": f"{bits:.4f}",
        "kind": kind,
        "meaning": meaning,
        "facts": _facts(outcome, model, score),
        "bars": bars,
        "anchors_note": note,
        "curves": _curves(outcome.folder),
        "curves_note": f"Nats per token; the loss is {_LOSS[loss_kind]}. A training point is the mean over the batches "
        "since the point before.",
        "costs": _costs(outcome.folder, own, counted),
        "costs_note": "Exact bits per character of the held-out text; lower and further left is better. Below and left "
        "of the dashed front stands nobody. With it stand the other finished runs in its folder on the same text.",
        "written": _written(outcome),
        "sample_note": f"The last was written from nothing, temperature 0.8, seed {experiment.seed}.",
        "passage_note": f"Characters {passage.begin:,} to {passage.end:,} of the held-out text, each coloured by its "
        "cost:",
        "cells": heat(held_out, *nats_of, passage),
        "repeat": _repeat(outcome),
        "environment": _environment(outcome, model),
        "config": visible(dumps(experiment)),
    }
    return write_page(outcome.folder / "report.html", "report.html", values)


def _training_text(outcome: Outcome, held_out: str) -> str | None:
    """The text before the held-out part, if it can be read again and is the same."""
    if "-" in outcome.experiment.text:
        return None
    try:
        whole = load_text(outcome.experiment.text).text
    except (UserError, OSError):
        return None
    same = whole.endswith(held_out) and len(whole) == outcome.training_characters + len(held_out)
    return whole[: outcome.training_characters] if same else None


def _bars(
    name: str, bits: float, others: list[beside.Beside], training: str | None, pseudo: bool
) -> tuple[list[dict[str, Any]], str]:
    every = [(b.name, b.bits, False) for b in others]
    if not pseudo:
        every.append((name, bits, True))
    every.sort(key=lambda bar: bar[1])
    widest = max(value for _, value, _ in every) or 1.0
    bars = [{"label": n, "bits": v, "width": round(100 * v / widest, 2), "ours": ours} for n, v, ours in every]
    if training is None:
        note = "The training text cannot be read again, so what was given it is missing here."
    elif len(training) > beside.MOST_TRAINING:
        note = f"Compressors are given training texts of up to {beside.MOST_TRAINING:,} characters; this one is longer."
    else:
        note = (
            "Given the training text: what the held-out text adds to a compressed file that holds the training text "
            "already (gzip looks back 32 KB only, bz2 900 KB)."
        )
    return bars, note


def _summary(outcome: Outcome, held_out: str) -> str:
    whole = "the whole held-out text"
    return (
        f"{' '.join(outcome.experiment.text)}: trained on {outcome.training_characters:,} characters, judged on "
        f"{whole}, the {len(held_out):,} characters after them."
    )


def _facts(outcome: Outcome, model: TrainedModel, score: Score) -> list[tuple[str, str]]:
    facts = [
        ("parameters", f"{model.parameters:,}"),
        ("vocabulary", f"{model.tokenizer.vocabulary_size:,} tokens"),
        ("steps", f"{outcome.steps:,}"),
        ("training tokens", f"{outcome.tokens:,}"),
        ("processor time", f"{outcome.cpu_seconds:,.1f} s"),
        ("wall time", f"{outcome.seconds:,.1f} s"),
    ]
    if outcome.seconds > 0:
        facts.append(("speed", f"{compact(outcome.tokens / outcome.seconds)} tokens/s"))
    facts.append(("nats per token", f"{score.nats_per_token:.4f}"))
    if outcome.ways is not None:
        facts.append((f"its {outcome.ways.prior} alone", f"{outcome.ways.counted:.4f} bits per character"))
        facts.append(("its network alone (not trained for that)", f"{outcome.ways.network:.4f} bits per character"))
    return facts


def _curves(run: Path) -> list[tuple[str, str]]:
    """(what the switch says, chart) against tokens and against processor time; empty without a log."""
    found = read_curves(run)

    def chart(train: list[Point], held_out: list[Point], against: str) -> str:
        lines = [Line("training batches", train, 1, thin=True), Line("held-out text", held_out, 0, dots=True)]
        return line_chart(lines, against, "nats per token")

    panes = [
        ("by tokens", chart(found.train_by_tokens, found.held_out_by_tokens, "training tokens")),
        ("by processor time", chart(found.train_by_cpu, found.held_out_by_cpu, "processor seconds")),
    ]
    return [pane for pane in panes if pane[1]]


def _costs(run: Path, own: Judgement, counted: beside.Beside | None) -> list[tuple[str, str]]:
    """(what the switch says, chart) of bits against processor time and parameters, with the runs beside this one."""
    known = [(run.resolve().name, own, 0), *((name, other, 1) for name, other in neighbours(run, own))]
    by_time = [Dot(name, j.cpu_seconds, j.bits_per_character, colour) for name, j, colour in known]
    if counted is not None and counted.cpu_seconds is not None:
        by_time.append(Dot("n-gram", counted.cpu_seconds, counted.bits, 6))
    by_size = [Dot(name, j.parameters, j.bits_per_character, colour) for name, j, colour in known]
    panes = [
        ("by processor time", pareto_chart(by_time, "processor seconds of training", "bits per character")),
        ("by parameters", pareto_chart(by_size, "parameters", "bits per character")),
    ]
    return [pane for pane in panes if pane[1]]


def _written(outcome: Outcome) -> list[tuple[str, str]]:
    """(when, sample): the first and the middle one of its learning, if it kept any, and the last."""
    try:
        kept = (outcome.folder / "samples.txt").read_text(encoding="utf-8")
    except (OSError, ValueError):
        kept = ""
    found = [part.split("\n", 1) for part in kept.split("=== step ")[1:]]
    early = [(f"after step {part[0]}", visible(part[1])) for part in found[:-1] if len(part) == 2 and part[0].isdigit()]
    chosen = {0, len(early) // 2} if early else set()
    return [*(early[n] for n in sorted(chosen)), ("at the end", visible(outcome.sample or ""))]


def _starts(run: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads((run / "environment.json").read_text(encoding="utf-8"))["starts"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _environment(outcome: Outcome, model: TrainedModel) -> list[tuple[str, str]]:
    starts = _starts(outcome.folder)
    last = starts[-1] if starts else {"python": platform.python_version()}
    rows = [(key, str(value)) for key, value in last.items() if key not in ("command", "time")]
    when = [str(start.get("time", "?")) for start in starts]
    rows.append(("started" if len(when) < 2 else f"started {len(when)} times", ", ".join(when) or "unknown"))
    rows.append(("model (SHA-256)", model.identity))
    return rows


def _repeat(outcome: Outcome) -> list[tuple[str, str]]:
    """The commands that make this run again, and those that check its figure."""
    starts, folder = _starts(outcome.folder), shlex.quote(str(outcome.folder))
    words = [str(word) for word in starts[0].get("command", [])] if starts else []
    found = []
    if words and Path(words[0]).stem in ("semagram", "__main__") and words[1:2] in (["train"], ["demo"]):
        found.append(("The command that made it", visible(shlex.join(["semagram", *words[1:]]))))
    threads = starts[-1].get("threads") if starts else None
    python = [
        "import json, semagram, torch",
        "from semagram.config import from_json",
        "from semagram.experiment import Experiment",
        "",
        *([f"torch.set_num_threads({threads})  # equal bits need as many threads"] if threads else []),
        f"config = json.load(open({str(outcome.folder / 'config.json')!r}))",
        'semagram.train(recipe=from_json(Experiment, config), out="again")',
    ]
    found.append(("From the configuration kept with it", visible("\n".join(python))))
    check = [
        f"semagram score {folder}",
        f"semagram compress {folder} -o held-out.semagram",
        f"semagram decompress {folder} held-out.semagram -o held-out.txt",
    ]
    found.append(("Check the figure, and that it decodes", visible("\n".join(check))))
    return found
