"""Axes of tags, honestly: what each protocol makes of them, and whether any of them earns its bits.

    python -m benchmarks.streams table TEXT --out results/streams-table [--seconds 40] [--seeds 5]
    python -m benchmarks.streams gain  TEXT --out results/streams-gain  [--seconds 40] [--seeds 5] [--only AXIS ...]
    python -m benchmarks.streams seed  TEXT --out results/streams-seed  [--seconds 120] [--seeds 3]
    python -m benchmarks.streams show  --out results/streams-gain

``table``: morphemes, parts of speech and the checksum of the word under every protocol; ``gain``: causal and completed
axes beside none, each with its checksum and its noise, in pairs of one seed; ``seed``: the Metadata-Enhanced
Transformer as it was published, trained and written with, its result as the seed counts it and as bits paid. All at
equal CPU seconds: the cost of a step is measured for each contestant, in turn with the text-only one, and the number of
steps follows. Each run leaves one line in ``runs.jsonl``; what is there is not repeated. ``show`` prints the tables
of what is there so far. Scores are bits a character of the whole held-out text; those that are conditional on tags
stand in a column of their own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from semagram.experiment import Experiment
from semagram.feedforward import MLP, LayerNorm
from semagram.lab.axes import above
from semagram.lab.axis_controls import controls
from semagram.lab.comparison_statistics import mean_over_seeds
from semagram.layouts import (
    Axis,
    Causal,
    Completed,
    Crossed,
    Given,
    Joint,
    Oracle,
    Sequence,
    Streams,
    Target,
)
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, NoPositions
from semagram.models import Transformer
from semagram.models.embedding import Embedding, LearnedPositions
from semagram.predictors.labelled import Labelled
from semagram.predictors.tags_of_tokens import pieces_of, tags_of
from semagram.text import split
from semagram.text.labels import (
    CharacterClass,
    Checksum,
    Finished,
    LineStart,
    Morphemes,
    PartOfSpeech,
    PositionInLine,
    PositionInSentence,
    PositionInWord,
    Running,
    Speaker,
    WordFrequency,
)
from semagram.trained import load
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.optimisers import AdamW, Muon
from semagram.training.settings import Training

LENGTH = 128
ORACLE = Oracle(allow_oracle=True)
BASE = Experiment(
    name="none",
    layout=Sequence(LENGTH),
    model=Transformer(width=96, depth=3, mixer=Attention(heads=4)),
    training=Training(
        batch=16,
        optimiser=Muon(rate=0.02, head_rate=0.004, adam_rate=0.01),
        evaluate_every=1.0,
        threads=1,
    ),
)


def with_axes(name: str, *axes: Axis) -> Experiment:
    """The base with axes."""
    return replace(BASE, name=name, layout=Streams(LENGTH, tags=axes))


def table_contestants(text: str) -> dict[str, Experiment]:
    """The text alone; morphemes, parts of speech and the checksum of the word under every protocol."""
    found = {"none": BASE}
    for name, labeller in (("morph", Morphemes()), ("pos", PartOfSpeech()), ("sum", Checksum(of=PartOfSpeech()))):
        # A checksum of a whole word becomes causal as its first letters' checksum, morphemes as what they look like.
        running: Any = Running(labeller) if not isinstance(labeller, Checksum) else Checksum(of=Running(PartOfSpeech()))
        done: Any = labeller if not isinstance(labeller, Checksum) else Checksum(of=Finished(PartOfSpeech()))
        cells = {
            "oracle": Axis(name, labeller, ORACLE, role="both"),
            "given": Axis(name, labeller, Given()),
            "causal": Axis(name, running, Causal()),
            "completed": Axis(name, done, Completed()),
            "target": Axis(name, labeller, Target()),
            "joint": Axis(name, labeller, Joint()),
            "joint a word": Axis(name, labeller, Joint(every="word")),
        }
        found |= {f"{name}, {protocol}": with_axes(f"{name}-{protocol}", axis) for protocol, axis in cells.items()}
    return found


def gain_contestants(text: str) -> dict[str, Experiment]:
    """The text alone; every causal or completed axis, alone and some together, each with its controls. Tables (of
    speakers, of frequent words) are those of the training part."""
    training = split(text, 1 - BASE.training.held_out)[0]
    pos = Axis("pos", PartOfSpeech(), Completed())
    place, line = Axis("place_in_word", PositionInWord(), Causal()), Axis("place_in_line", PositionInLine(), Causal())
    speaker = Axis("speaker", Speaker.of(training), Causal())
    axes: dict[str, tuple[Axis, ...]] = {
        "pos": (pos,),
        # Which word it was: one of 255 hashes (as many as this labeller has names; it says nothing else here).
        "identity": (Axis("identity", Checksum(of=Finished(Speaker(slots=255))), Completed()),),
        "frequency": (Axis("frequency", WordFrequency.of(training), Completed()),),
        "speaker": (speaker,),
        "place_in_word": (place,),
        "place_in_line": (line,),
        "place_in_sentence": (Axis("place_in_sentence", PositionInSentence(), Causal()),),
        "line_start": (Axis("line_start", LineStart(), Causal()),),
        "kind": (Axis("kind", CharacterClass(), Causal()),),
        "morphemes": (Axis("morphemes", Morphemes(), Completed()),),
        "pos_asked": (Axis("pos_asked", PartOfSpeech(), Completed(), role="both"),),
        "pos_twice": (pos, Axis("pos_before", PartOfSpeech(), Completed(), delay=5)),
        "places": (place, line),
        "all": (pos, place, line, speaker),
    }
    found: dict[str, Experiment] = {"none": BASE}
    for name, own in axes.items():
        experiment = with_axes(name, *own)
        found[name] = experiment
        if len(own) == 1 and name != "identity":
            found |= {control: e for control, e in controls(experiment).items() if control != "none"}
    return found


def seed_contestants(text: str) -> dict[str, Experiment]:
    """The published sizes and settings: width and depth by equal parameters, block 128, batch 32."""

    def experiment(name: str, width: int, depth: int, *axes: Axis) -> Experiment:
        model = Transformer(
            width=width,
            depth=depth,
            mixer=Attention(heads=4, positions=NoPositions(), sharpness=None),
            feedforward=MLP(multiple=4.0, activation="relu"),
            norm=LayerNorm(bias=True),
            embedding=Embedding(positions=LearnedPositions(LENGTH), normalise=False),
            shift=None,
            dropout=0.2,
            logit_cap=None,
        )
        layout: Any = Streams(LENGTH, tags=axes, combine=Crossed(heads=4)) if axes else Sequence(LENGTH)
        training = Training(
            batch=32,
            optimiser=AdamW(rate=3e-4, beta2=0.999, weight_decay=0.01),
            warmup=0.0,
            decay=0.0,
            clip=None,
            evaluate_every=1.0,
            threads=1,
        )
        return Experiment(name=name, layout=layout, model=model, training=training)

    # 0.8 main + 0.2 mean(meta), up to a factor that AdamW does not feel.
    morph = Axis("morph", Morphemes(), ORACLE, role="both", weight=0.25)
    pos = Axis("pos", PartOfSpeech(), ORACLE, role="both", weight=0.25)
    both = [replace(axis, weight=0.125) for axis in (morph, pos)]
    return {
        "MAIN": experiment("main", 56, 10),
        "MAIN+MORPH": experiment("morph", 32, 7, morph),
        "MAIN+POS": experiment("pos", 32, 7, pos),
        "MAIN+MORPH+POS": experiment("morph-pos", 32, 4, *both),
    }


def prepared_as_the_seed(text: str) -> str:
    """Lower case, letters, digits and single spaces alone."""
    return re.sub(r" +", " ", re.sub(r"[^a-z0-9]+", " ", text.lower())).strip()


def cpu_a_step(experiment: Experiment, text: str, steps: int = 12) -> float:
    """CPU seconds of a training step, by the run's own records; the first steps are left out."""
    short = replace(experiment, training=replace(experiment.training, budget=Budget(steps, "steps")))
    with tempfile.TemporaryDirectory() as folder:
        train(short, text, Path(folder) / "run", evaluate=lambda network: 1.0)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    done = [(d["step"], d["cpu_seconds"]) for d in map(json.loads, lines) if "train_nats" in d]
    spent = [b[1] - a[1] for a, b in itertools.pairwise(done[2:])]
    return statistics.median(spent)


def one_run(experiment: Experiment, text: str, folder: Path, steps: int) -> dict[str, Any]:
    """Train and judge; figures in bits a character."""
    training = replace(experiment.training, budget=Budget(float(steps), "steps"))
    experiment = replace(experiment, training=training)
    result = train(experiment, text, folder, evaluate=lambda network: 1.0)
    model = load(folder)
    held_out = split(text, 1 - training.held_out)[1]
    score = model.score(held_out)
    row: dict[str, Any] = {
        "kind": model.kind_of_score,
        "bits": score.bits_per_character(len(held_out)),
        "nats": score.total_nats / len(held_out),
        "steps": result.step,
        "cpu_seconds": result.cpu_seconds,
        "parameters": model.parameters,
    }
    if model.kind_of_score == "nll":
        part = held_out[:3000]
        data = model.compress(part)
        row["file_decodes"] = model.decompress(data) == part
    asked = tags_paid(model, held_out)
    if asked is not None:
        row["tag_bits"] = asked
        row["paid_bits"] = row["bits"] + asked
    return row


def tags_paid(model: Any, text: str) -> float | None:
    """Bits a character of the tags that a model is shown and predicts one step ahead (role both): what the seed left
    out of its sum. None where nothing is told."""
    layout = model.experiment.layout
    if model.kind_of_score == "nll" or not layout.asked:
        return None
    ids, n = model.encode(text), layout.count
    pieces, network = pieces_of(model.tokenizer), model.network
    every = {axis.name: tags_of(axis.labeller, pieces, ids) for axis in layout.tags}
    reading = Labelled(network, pieces).knowing(ids)
    seen: list[Any] = []
    hook = network.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    total, count = 0.0, 0
    try:
        for start in range(0, len(ids) - n, n):
            row = torch.from_numpy(ids[start : start + n])[None]
            inputs = torch.cat([torch.full((1, 1), model.tokenizer.mask_id), row[:, :-1]], dim=1)
            geometry = Geometry.of(Sequence(n).positions(), network.visibility)
            with torch.no_grad():
                reading.placed([ids[max(0, start - 512) : start]], [start])(inputs, geometry)  # type: ignore[arg-type]
                for name, logits in network.axis_logits(inputs, geometry, seen[-1]).items():
                    targets = torch.from_numpy(every[name][start : start + n])
                    total += float(torch.nn.functional.cross_entropy(logits[0], targets, reduction="sum"))
            seen.clear()
            count += n
    finally:
        hook.remove()
    return total / count / math.log(2)


def written_as_the_seed(model: Any, seed: int = 0) -> str:
    """A canvas of letters, each drawn beside the next tag of every axis, which the model is shown then: what the seed
    would have written, had it been able to. Returned with its tags above it."""
    network, layout, v = model.network, model.experiment.layout, model.tokenizer.vocabulary_size
    state = network.new_state(1, Geometry.of(Sequence(layout.count).positions(), network.visibility))
    draw = torch.Generator().manual_seed(seed)
    ids, tags = torch.full((1, 1), v), torch.full((1, 1, len(layout.shown)), -1)
    letters: list[int] = []
    found: dict[str, list[str]] = {axis.name: [] for axis in layout.shown}
    for _ in range(layout.count):
        with torch.no_grad():
            logits, of_axes = network.step_all(ids, state, tags)
        ids = torch.multinomial((logits[0] / 0.8).softmax(-1), 1, generator=draw)
        drawn = [torch.multinomial((of_axes[a.name][0] / 0.8).softmax(-1), 1, generator=draw) for a in layout.shown]
        tags = torch.stack(drawn, dim=-1)
        letters.append(int(ids))
        for axis, tag in zip(layout.shown, drawn, strict=True):
            found[axis.name].append(axis.labeller.names()[int(tag)])
    return above(model.tokenizer.decode(letters), found)


def carry_out(contestants: dict[str, Experiment], text: str, asked: argparse.Namespace) -> None:
    """Every contestant with every seed, seed by seed; one line of ``runs.jsonl`` each."""
    out: Path = asked.out
    out.mkdir(parents=True, exist_ok=True)
    path = out / "runs.jsonl"
    done = {(r["contestant"], r["seed"]) for r in rows_of(path)}
    costs_file = out / "cpu_a_step.json"
    costs: dict[str, float] = json.loads(costs_file.read_text("utf-8")) if costs_file.exists() else {}
    # In turn, in three rounds: a machine that slows down slows all of them.
    missing = [name for name in contestants if name not in costs]
    measured: dict[str, list[float]] = {name: [] for name in missing}
    for _ in range(3):
        for name in missing:
            measured[name].append(cpu_a_step(contestants[name], text[:100_000]))
    costs |= {name: statistics.median(values) for name, values in measured.items()}
    costs_file.write_text(json.dumps(costs, indent=2), "utf-8")
    for seed in range(asked.seeds):
        for name, experiment in contestants.items():
            if (name, seed) in done:
                continue
            steps = max(1, round(asked.seconds / costs[name]))
            folder = out / "runs" / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{seed}"
            began = time.perf_counter()
            if (folder / "config.json").exists():  # killed in the middle: its line is missing
                shutil.rmtree(folder)
            row = one_run(replace(experiment, seed=seed), text, folder, steps)
            row = {"contestant": name, "seed": seed, **row, "wall_seconds": time.perf_counter() - began}
            if asked.part == "seed" and seed == 0:
                model = load(folder)
                row["sample"] = written_as_the_seed(model) if name != "MAIN" else model.generate("", LENGTH)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The lines that are there."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def shown(rows: list[dict[str, Any]]) -> str:
    """A markdown table: a row a contestant, differences to ``none`` (or MAIN) paired by seed, with p-values."""
    names = list(dict.fromkeys(r["contestant"] for r in rows))
    first = names[0]
    by = {(r["contestant"], r["seed"]): r for r in rows}
    titles = ("contestant", "seeds", "bits/char (nll)", "bits/char (conditional)", "bits/char (tags paid)")
    lines = ["| " + " | ".join((*titles, "to the first, %", "p")) + " |", "|" + "---|" * 7]
    for name in names:
        mine = [r for r in rows if r["contestant"] == name]
        kind = mine[0]["kind"]
        mean = mean_over_seeds([r["bits"] for r in mine])
        text = f"{mean.mean:.4f}" if kind == "nll" else "-"
        conditional = "-" if kind == "nll" else f"{mean.mean:.4f} ({kind})"
        paid = "-" if "paid_bits" not in mine[0] else f"{statistics.mean(r['paid_bits'] for r in mine):.4f}"
        pairs = [
            (by[first, r["seed"]]["bits"], r.get("paid_bits", r["bits"])) for r in mine if (first, r["seed"]) in by
        ]
        told, p = "-", "-"
        comparable = kind == "nll" or "paid_bits" in mine[0]
        if name != first and comparable and pairs:
            changes = [100 * (b / a - 1) for a, b in pairs]
            e = mean_over_seeds(changes)
            told = f"{e.mean:+.2f}" + ("" if e.low is None else f" ({e.low:+.2f} to {e.high:+.2f})")
            p = "-" if len(changes) < 2 else f"{paired_p(changes):.4f}"
        lines.append(f"| {name} | {len(mine)} | {text} | {conditional} | {paid} | {told} | {p} |")
    return "\n".join(lines)


def paired_p(changes: list[float]) -> float:
    """Two-sided p-value of Student's t for a mean of zero, by numerical integration of its density."""
    n = len(changes)
    spread = statistics.stdev(changes)
    if spread == 0:
        return 1.0 if statistics.mean(changes) == 0 else 0.0
    t, k = abs(statistics.mean(changes)) / (spread / math.sqrt(n)), n - 1
    scale = math.exp(math.lgamma((k + 1) / 2) - math.lgamma(k / 2)) / math.sqrt(k * math.pi)
    # x = sqrt(k) tan(a): the tail becomes an integral of cos(a)^(k-1) over a finite range.
    low, high, pieces = math.atan(t / math.sqrt(k)), math.pi / 2, 2000
    width = (high - low) / pieces
    total = sum(math.cos(low + (i + 0.5) * width) ** (k - 1) for i in range(pieces)) * width
    return min(1.0, 2 * scale * math.sqrt(k) * total)


PARTS: dict[str, Callable[[str], dict[str, Experiment]]] = {
    "table": table_contestants,
    "gain": gain_contestants,
    "seed": seed_contestants,
}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "show"])
    parser.add_argument("text", nargs="?", type=Path, help="a text file")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    parser.add_argument("--seconds", type=float, default=40.0, help="CPU seconds of training, each run")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="contestants (with their controls, and the first); none: all")
    parser.add_argument("--characters", type=int, help="read the first so many characters of the text")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.part != "show":
        if asked.text is None:
            parser.error("name a text file")
        text = asked.text.read_text(encoding="utf-8")[: asked.characters]
        text = prepared_as_the_seed(text) if asked.part == "seed" else text
        contestants = PARTS[asked.part](text)
        if asked.only is not None:
            first = next(iter(contestants))
            unknown = [name for name in asked.only if name not in contestants]
            if unknown:
                parser.error(f"there is no contestant {unknown[0]!r}; there are {', '.join(contestants)}")
            contestants = {n: e for n, e in contestants.items() if n == first or n.split("~")[0] in asked.only}
        carry_out(contestants, text, asked)
    found = shown(rows_of(asked.out / "runs.jsonl"))
    (asked.out / "table.md").write_text(found + "\n", "utf-8")
    print(found)


if __name__ == "__main__":
    main()
