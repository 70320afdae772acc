"""Many contestants, one answer: the same text, the same budget, several seeds, one table that nobody can argue with.

Runs are taken seed by seed and not contestant by contestant, so that a machine that slows down slows all of them. Each
run lies in a folder of its own and is looked up there first: a comparison that was killed goes on where it stopped, and
contestants and seeds can be added later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semagram.errors import UserError
from semagram.lab import beside
from semagram.lab.comparison_contestants import Contestant, FromMembers, FromRecipe, FromRun, find, folder_name
from semagram.lab.comparison_equal import Equal, equalised, tokens_of
from semagram.lab.comparison_judged import ComparedText
from semagram.lab.comparison_run import ContestantResult, run
from semagram.lab.comparison_table import Row, Table, markdown, rows_of, table_of
from semagram.lab.comparison_tasks import TaskRow, rows_as_data, task_rows, tasks_markdown
from semagram.lab.comparison_tuning import DEV_SHARE, tuned
from semagram.lab.launchers import Cell, Launcher, carry_out
from semagram.text import DEFAULT_CORPUS
from semagram.training.budget import Budget
from semagram.training.files import replace_whole, write_json
from semagram.training.progress import Watcher
from semagram.training.settings import Training

__all__ = ["ComparedText", "Comparison", "ContestantResult", "compare", "run"]

Say = Callable[[str], None]
TRAINED = (FromRecipe, FromMembers)
UNITS = {
    "seconds": "wall time of training",
    "cpu_seconds": "processor time of training",
    "tokens": "training tokens",
    "steps": "steps",
}


@dataclass(frozen=True)
class Comparison:
    """What a comparison came to; its files are in ``folder``."""

    folder: Path
    rows: tuple[Row, ...]
    table: Table
    text: ComparedText
    anchors: tuple[beside.Beside, ...]
    equal: str
    """What was equal for all that were trained."""
    command: tuple[str, ...]
    """What repeats it on a command line."""
    tasks: tuple[TaskRow, ...] = ()
    """Tasks with known answers; empty when none were asked for."""
    task_steps: int | None = None
    """Most training steps of a task."""


def compare(
    *words: str,
    text: Sequence[str] = (),
    seeds: int = 3,
    budget: str | None = None,
    out: str | Path | None = None,
    coded: bool = False,
    tasks: int | None = None,
    equal: Equal = "budget",
    trials: int = 1,
    launcher: Launcher | None = None,
    say: Say | None = None,
    watch: Callable[[], Watcher] | None = None,
) -> Comparison:
    """Compare recipes, FILE.py, run folders, ``ngram`` (always there), ``ngram:ORDER`` and ``suffix``.

    ``text``: sources, by default the contestants' own, which must then be one. ``budget`` like 30s or 1Mtokens: by
    default the recipes' own, which must then be equal. ``coded``: also compress, decode and verify.
    ``tasks``: also train every network afresh on each task of known answers, at most so many steps. ``say`` is told
    how it goes on, ``watch`` makes a watcher for each training run. Leaves table.md, results.jsonl and report.html in
    ``out``. ``equal``: what is made equal beside or instead of the budget (see ``comparison_equal``); ``trials``:
    variants of each contestant, of which the best on a slice of the training text goes on; ``launcher``: who carries
    the runs out, several at a time. ``UserError`` before anything is trained for what cannot be compared,
    ``KeyboardInterrupt`` when interrupted.
    """
    if seeds < 1:
        raise UserError(f"seeds must be at least 1, got {seeds}.")
    if tasks is not None and tasks < 1:
        raise UserError(f"tasks is a number of training steps, at least 1; got {tasks}.")
    contestants = find(words)
    told = _equal_budget(contestants, budget, equal)
    compared = _one_text(contestants, text)
    contestants, wanted = equalised(contestants, equal, Budget.parse(budget) if budget else None, compared)
    folder = Path(out) if out is not None else Path("comparisons") / "-vs-".join(map(folder_name, words))[:80]
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; a comparison needs a folder.")
    say = say or (lambda _: None)
    contestants, told = _best(contestants, trials, wanted, compared, folder, say, told)

    turns = [(c, seed) for seed in range(seeds) for c in contestants if isinstance(c, TRAINED) or seed == 0]
    places = {(c.name, seed): _place(folder, c, seed) for c, seed in turns}
    if launcher is not None:
        cells = [Cell(c, seed, wanted, compared, places[c.name, seed], coded) for c, seed in turns]
        carry_out(cells, launcher, say)
    results: dict[str, list[ContestantResult]] = {c.name: [] for c in contestants}
    for number, (contestant, seed) in enumerate(turns, start=1):
        trained = isinstance(contestant, TRAINED)
        label = f"[{number}/{len(turns)}] {contestant.name}{f' seed {seed}' if trained else ''}"
        say(f"{label} ...")
        place = places[contestant.name, seed]
        watcher = watch() if watch is not None and trained and not (place / "result.json").exists() else None
        try:
            result = run(contestant, seed, wanted, compared, place, coded=coded, watch=watcher)
        except KeyboardInterrupt:
            say(f"{label}: interrupted; the same command goes on from here.")
            raise
        results[contestant.name].append(result)
        say(f"{label}: {_verdict(result)}")

    rows = rows_of([(c.name, results[c.name]) for c in contestants])
    anchors = _anchors(folder, compared)
    command = ["semagram", "compare", *words, "--text", *compared.sources, "--seeds", str(seeds)]
    command += ["--budget", budget] if budget is not None else []
    command += ["--coded"] if coded else []
    command += ["--tasks", str(tasks)] if tasks is not None else []
    command += ["--equal", equal] if equal != "budget" else []
    command += ["--trials", str(trials)] if trials > 1 else []
    command += ["--out", str(folder)]
    asked = [] if tasks is None else task_rows(contestants, seeds, tasks, folder, say)
    table = table_of(rows, anchors)
    found = Comparison(folder, tuple(rows), table, compared, tuple(anchors), told, tuple(command), tuple(asked), tasks)
    _write(found)
    return found


def header(found: Comparison) -> str:
    """What was compared on what, in a sentence or two."""
    return (
        f"Text: {' '.join(found.text.sources)}, trained on the first {len(found.text.training):,} characters, judged "
        f"on the whole rest, {len(found.text.held_out):,} characters. {found.equal}"
    )


def rows_as_json(found: Comparison) -> list[dict[str, Any]]:
    """The table's rows as plain data."""
    return [
        {
            "contestant": row.name,
            "scores": {kind: vars(estimate) for kind, estimate in row.scores.items()},
            "minus_first": None if row.difference is None else vars(row.difference),
            "seeds": len(row.results),
            "failed": sum(r.failed is not None for r in row.results),
            "parameters": row.parameters,
            **{f: row.mean(f) for f in ("tokens", "cpu_seconds", "tokens_per_second", "training_flops")},
            "remark": row.remark,
        }
        for row in found.rows
    ]


def _place(folder: Path, contestant: Contestant, seed: int) -> Path:
    once = f"seed-{seed}" if isinstance(contestant, TRAINED) else "once"
    return folder / "runs" / folder_name(contestant.name) / once


def _best(
    contestants: list[Contestant],
    trials: int,
    budget: Budget | None,
    text: ComparedText,
    folder: Path,
    say: Say,
    told: str,
) -> tuple[list[Contestant], str]:
    """Each contestant's best variant, and the sentence that says so."""
    if trials == 1:
        return contestants, told
    found = [tuned(c, trials, budget, text, folder, say) for c in contestants]
    write_json(folder / "tuning.json", [t.to_json() for t in found])
    chosen = ", ".join(f"{t.chosen.name} {t.words}" for t in found)
    share = f"the last {DEV_SHARE:.0%} of the training text"
    return [t.chosen for t in found], f"{told} Each had {trials} tries, judged on {share}; chosen: {chosen}."


def _equal_budget(contestants: Sequence[Contestant], budget: str | None, equal: Equal) -> str:
    """The sentence that says which budget was equal; ``UserError`` when none is."""
    trained = [c for c in contestants if isinstance(c, TRAINED)]
    rest = (
        " Runs brought ready-made and models that count were given no budget."
        if len(trained) < len(contestants)
        else ""
    )
    if not trained:
        return "Nothing was trained for this comparison."
    own = {str(c.experiment.training.budget): c.name for c in trained}
    if budget is None and len(own) > 1:
        listed = ", ".join(f"{name} {amount}" for amount, name in own.items())
        raise UserError(f"the recipes have different budgets ({listed}): give all of them one, like --budget 30s.")
    shared = Budget.parse(budget) if budget is not None else trained[0].experiment.training.budget
    if equal == "flops":
        return (
            f"Equal for all that were trained: arithmetic of training, that of {trained[0].name} in {shared}; wall "
            f"time, tokens and parameters are reported, not forced.{rest}"
        )
    if equal == "cpu" and shared.unit == "seconds":
        shared = Budget(shared.amount, "cpu_seconds")
    if equal == "tokens" and shared.unit == "steps":
        shared = Budget(tokens_of(shared, trained[0].experiment, equal), "tokens")
    if equal == "parameters":
        rest = f" Every network was made as wide as gives {trained[0].name}'s number of parameters.{rest}"
    what = UNITS[shared.unit]
    return (
        f"Equal for all that were trained: {what} ({shared}); parameters, processor time and FLOP are reported, not "
        f"forced.{rest}"
    )


def _one_text(contestants: Sequence[Contestant], sources: Sequence[str]) -> ComparedText:
    with_text = [c for c in contestants if isinstance(c, (*TRAINED, FromRun))]
    trained = [c for c in with_text if isinstance(c, TRAINED)] or with_text
    texts = {c.experiment.text: c.name for c in with_text}
    if not sources and len(texts) > 1:
        listed = ", ".join(f"{name} {' '.join(text)}" for text, name in texts.items())
        raise UserError(f"the contestants have different texts ({listed}): name the one to compare on with --text.")
    shares = {c.experiment.training.held_out: c.name for c in trained}
    if len(shares) > 1:
        listed = ", ".join(f"{name} {share}" for share, name in shares.items())
        raise UserError(
            f"the contestants hold out different shares of the text ({listed}): make training.held_out equal."
        )
    own = next(iter(texts), (DEFAULT_CORPUS,))
    return ComparedText.of(tuple(sources) or own, next(iter(shares), Training().held_out))


def _verdict(result: ContestantResult) -> str:
    if result.failed is not None or result.judged is None:
        return f"failed: {result.failed}"
    named = {"exact": result.judged.nll, "bound": result.judged.nll_upper_bound, "pseudo": result.judged.pseudo_nll}
    return ", ".join(f"{value:.4f} bits/char ({name})" for name, value in named.items() if value is not None)


def _anchors(folder: Path, text: ComparedText) -> list[beside.Beside]:
    """The compressors' figures, worked out once for each text."""
    path, key = folder / "anchors.json", f"{text.sha256} {len(text.training)}"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["text"] == key:
            return [beside.Beside(name, bits) for name, bits in kept["bits"].items()]
    except (OSError, ValueError, KeyError, AttributeError):
        pass
    found = beside.compressors(text.held_out, text.training)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, {"text": key, "bits": {a.name: a.bits for a in found}})
    return found


def _write(found: Comparison) -> None:
    from semagram.lab.comparison_page import write_comparison

    basis = "; ".join(f"{r.name}: {r.difference.basis}" for r in found.rows if r.difference is not None)
    legend = (
        "Mean over seeds with its 95 % interval (Student's t). Differences are paired with the first contestant, "
        f"minus is better; intervals over {basis or 'nothing'}.\n"
    )
    asked = ""
    if found.task_steps is not None:
        names = [r.name for r in found.rows if any(r.name in task.right for task in found.tasks)]
        asked = "\n" + tasks_markdown(found.tasks, names, found.task_steps)
    _put(found.folder / "table.md", f"{header(found)}\n\n{markdown(found.table)}\n{legend}{asked}")
    lines = [{"kind": "run", **result.to_json()} for row in found.rows for result in row.results]
    lines += [{"kind": "row", **row} for row in rows_as_json(found)]
    lines += [{"kind": "anchor", "name": a.name, "bits_per_character": a.bits} for a in found.anchors]
    lines += rows_as_data(found.tasks)
    _put(found.folder / "results.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_comparison(found, header(found))


def _put(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    replace_whole(path, write)
