"""Comparisons: alike for all, nothing repeated, nothing dropped, no two kinds of score in a column."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.lab.pages import check

from semagram.cli import main
from semagram.errors import UserError
from semagram.lab import comparison_run
from semagram.lab.compare import ComparedText, compare, run
from semagram.lab.comparison_contestants import Counting, FromRecipe, find, folder_name
from semagram.lab.comparison_operations import flops_a_token
from semagram.lab.comparison_table import table_of
from semagram.training.budget import Budget
from semagram.verbs.anchors import anchors


@pytest.fixture
def trained(monkeypatch) -> list[str]:
    """The folders that were trained in, in order."""
    folders: list[str] = []
    real = comparison_run.train

    def counted(experiment, text, folder, **options):
        folders.append("/".join(folder.parts[-2:]))
        return real(experiment, text, folder, **options)

    monkeypatch.setattr(comparison_run, "train", counted)
    return folders


def lines_of(folder: Path, kind: str) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_a_comparison_from_the_command_line(recipe, masked, tmp_path, text, trained, capsys):
    one, two, out = recipe("one"), recipe("two", depth=2), tmp_path / "out"
    command = ["compare", one, two, masked, "ngram:2", "suffix", "--seeds", "2", "--out", str(out), "--quiet"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "one" in told and "Equal for all that were trained: steps (4 steps)" in told
    # Seed by seed, so that a machine that slows down slows all contestants.
    assert trained == [f"{name}/seed-{seed}" for seed in (0, 1) for name in ("one", "two", "masked")]

    table = (out / "table.md").read_text()
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    assert rows[2:8] == ["one", "two", "masked", "ngram:2", "suffix", "ngram"]
    for anchor in anchors(ComparedText.of([str(text)], 0.1).held_out, ComparedText.of([str(text)], 0.1).training):
        assert f"| {anchor.name}, alone | {anchor.alone:.4f} |" in table
        assert f"| {anchor.name}, given the training text | {anchor.given_training:.4f} |" in table

    # Kinds apart: a masked model's bound has a column that the others leave empty.
    scores = {row["contestant"]: row["scores"] for row in lines_of(out, "row")}
    assert set(scores["masked"]) == {"nll", "nll_upper_bound"} and set(scores["one"]) == {"nll"}
    head = [cell.strip() for cell in table.splitlines()[2].split("|")]
    column = head.index("upper bound, bits/char (nll_upper_bound)")
    cells = {
        line.split("|")[1].strip(): line.split("|")[column].strip() for line in table.splitlines()[4:] if "|" in line
    }
    assert [name for name, cell in cells.items() if cell != "-"] == ["masked"]

    # Two seeds: paired, Student's t with one degree of freedom, worked out anew from the single runs.
    runs = lines_of(out, "run")
    nll = {(r["contestant"], r["seed"]): r["judged"]["nll"] for r in runs}
    a, b = (nll["two", seed] - nll["one", seed] for seed in (0, 1))
    difference = next(row["minus_first"] for row in lines_of(out, "row") if row["contestant"] == "two")
    assert difference["mean"] == pytest.approx((a + b) / 2)
    assert difference["high"] - difference["mean"] == pytest.approx(12.7062 * abs(a - b) / 2, rel=1e-3)
    assert next(r for r in lines_of(out, "row") if r["contestant"] == "ngram")["minus_first"]["basis"].endswith(
        "too few"
    )
    assert nll["one", 0] != nll["one", 1] and nll["ngram", None] > 0

    page = check(out / "report.html")
    assert f"--text {text} --seeds 2 --out {out}" in page.source
    assert (
        len(page.passages) == 5 and "Learning curves" in page.source and "model.depth: 1 there, 2 here" in page.source
    )

    # Again: nothing is trained, nothing changes. More seeds and more contestants: only what is new.
    trained.clear()
    assert main(command) == 0
    assert trained == [] and (out / "table.md").read_text() == table
    assert main([*command[:3], recipe("three"), *command[3:], "--seeds", "3"]) == 0
    assert trained == ["three/seed-0", "three/seed-1", *(f"{n}/seed-2" for n in ("one", "two", "three", "masked"))][
        :2
    ] + [f"{n}/seed-2" for n in ("one", "two", "three", "masked")]


def test_coded_files_decode_and_agree(recipe, tmp_path, trained):
    out = tmp_path / "out"
    compare(recipe("one"), seeds=1, out=out)
    found = compare(recipe("one"), seeds=1, out=out, coded=True)
    assert trained == ["one/seed-0", "one/seed-0"]  # asked again, but it has ended and takes no step
    for row in found.rows:
        # A header of about 100 bytes on 360 characters.
        assert row.scores["nll"].mean < row.scores["coded"].mean < row.scores["nll"].mean + 8 * 140 / 360
    assert "decoded file, bits/char (coded)" in found.table.columns
    assert compare(recipe("one"), seeds=1, out=out).rows[0].scores["coded"]


def test_a_score_that_does_not_decode_is_a_failure(recipe, tmp_path, monkeypatch):
    from semagram.trained import TrainedModel

    real = TrainedModel.compress
    monkeypatch.setattr(TrainedModel, "compress", lambda self, text: real(self, text[:-1]))
    found = compare(recipe("one"), seeds=1, out=tmp_path / "out", coded=True)
    assert "did not decode" in found.rows[0].remark and not found.rows[0].scores


def test_a_file_that_decodes_only_where_it_was_made_is_a_failure(recipe, tmp_path, monkeypatch):
    """A model changed after loading, in this process alone: the file decodes here and nowhere else."""
    from semagram.trained import TrainedModel

    monkeypatch.setattr(TrainedModel, "identity", "0" * 64)
    found = compare(recipe("one"), seeds=1, out=tmp_path / "out", coded=True)
    assert "in another process" in found.rows[0].remark and not found.rows[0].scores
    assert found.rows[-1].scores["coded"], "the n-gram's is unharmed"


def test_failures_are_shown_and_not_dropped(recipe, tmp_path, trained, capsys):
    broken = recipe("broken", training=", clip=None, optimiser=AdamW(rate=1e30)")
    out = tmp_path / "out"
    assert main(["compare", recipe("one"), broken, "--seeds", "2", "--out", str(out), "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["failed"] for row in rows] == [0, 2, 0]
    assert rows[1]["scores"] == {} and rows[1]["minus_first"] is None
    assert "failed with seed 0" in rows[1]["remark"]
    assert "failed" in (out / "table.md").read_text() and "failed" in check(out / "report.html").source
    trained.clear()
    compare(recipe("one"), broken, seeds=2, out=out)
    assert trained == []


def test_an_interrupted_comparison_goes_on(recipe, tmp_path, trained, monkeypatch):
    real = comparison_run.judge_network
    calls = []

    def stops(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(comparison_run, "judge_network", stops)
    out, names = tmp_path / "out", (recipe("one"), recipe("two", depth=2))
    with pytest.raises(KeyboardInterrupt):
        compare(*names, seeds=2, out=out)
    assert trained == ["one/seed-0", "two/seed-0"]
    found = compare(*names, seeds=2, out=out)
    assert trained[2:] == ["two/seed-0", "one/seed-1", "two/seed-1"]
    assert [len(row.done) for row in found.rows] == [2, 2, 1]
    whole = compare(*names, seeds=2, out=tmp_path / "undisturbed")
    assert [row.scores["nll"] for row in found.rows] == [row.scores["nll"] for row in whole.rows]


def test_a_killed_comparison_goes_on_and_repeats_nothing(recipe, tmp_path):
    out = tmp_path / "out"
    words = [recipe("one"), recipe("long"), "--seeds", "1", "--budget", "100steps", "--trials", "2", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "semagram", "compare", *words]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first, second = out / "runs/one/seed-0", out / "runs/long/seed-0"
    begun = time.monotonic()
    while not (second / "checkpoints/last.safetensors").exists() and time.monotonic() - begun < 240:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert (first / "compared.json").stat().st_size and not (out / "table.md").exists()
    done = [*first.rglob("*"), *(out / "trials").rglob("*")]
    kept = {path: path.stat().st_mtime_ns for path in done}
    assert len([path for path in done if path.name == "result.json"]) == 5  # two tries of two, and one run
    compare(*words[:2], seeds=1, budget="100steps", trials=2, out=out)
    assert {path: path.stat().st_mtime_ns for path in done} == kept
    starts = json.loads((second / "environment.json").read_text())["starts"]
    assert len(starts) == 2


def test_a_run_folder_is_scored_and_not_trained(recipe, tmp_path, trained, text):
    out = tmp_path / "out"
    compare(recipe("one"), seeds=1, out=out)
    trained.clear()
    ready = out / "runs/one/seed-0"
    found = compare(str(ready), recipe("two", depth=2), seeds=2, out=tmp_path / "other")
    assert trained == ["two/seed-0", "two/seed-1"]
    row = found.rows[0]
    assert row.name == "seed-0" and row.results[0].seed is None and row.results[0].steps == 4 and not row.remark
    assert row.scores["nll"].mean == json.loads((ready / "compared.json").read_text())["result"]["judged"]["nll"]


def test_a_run_that_saw_the_held_out_text_has_no_score(recipe, tmp_path, text):
    compare(recipe("one"), seeds=1, out=tmp_path / "out")
    ready = str(tmp_path / "out/runs/one/seed-0")
    seen = tmp_path / "seen.txt"
    seen.write_text(text.read_bytes().decode()[:2000])
    found = compare(ready, text=[str(seen)], out=tmp_path / "a")
    assert "parts of this held-out text" in found.rows[0].remark and not found.rows[0].scores
    other = tmp_path / "other.txt"
    other.write_text("what a time it was " * 200)
    assert "trained on another text" in compare(ready, text=[str(other)], out=tmp_path / "b").rows[0].remark
    text.unlink()
    assert "is unknown" in compare(ready, text=[str(other)], out=tmp_path / "c").rows[0].remark


def test_one_seed_is_judged_over_blocks_of_the_text(recipe, tmp_path):
    long = tmp_path / "long.txt"
    words = np.random.default_rng(0).choice(["the", "heptapods", "write", "whole", "sentences", "together"], 20_000)
    long.write_text(" ".join(words.tolist()))
    found = compare("ngram:1", "ngram", text=[str(long)], seeds=3, out=tmp_path / "out")
    difference = found.rows[1].difference
    assert difference is not None and difference.basis.endswith("blocks of text") and difference.certain
    expected = found.rows[1].scores["nll"].mean - found.rows[0].scores["nll"].mean
    assert difference.mean == pytest.approx(expected) and difference.high is not None and difference.high < 0


def test_run_is_pure_and_keeps_to_its_question(recipe, tmp_path, text, trained):
    words = recipe("one")
    (contestant, ngram) = find([words])
    assert isinstance(contestant, FromRecipe) and ngram == Counting()
    compared, folder = ComparedText.of([str(text)], 0.1), tmp_path / "place"
    first = run(contestant, 7, Budget(3, "steps"), compared, folder)
    assert first.seed == 7 and first.steps == 3 and first == run(contestant, 7, Budget(3, "steps"), compared, folder)
    assert len(trained) == 1
    nats, lengths = first.nats()
    assert first.judged and nats.sum() / np.log(2) / len(compared.held_out) == pytest.approx(first.judged.nll)
    assert lengths.sum() == len(compared.held_out)
    with pytest.raises(UserError, match="seed: 7 there, 8 here"):
        run(contestant, 8, Budget(3, "steps"), compared, folder)
    with pytest.raises(UserError, match=r"training.budget.amount: 3.0 there, 4.0 here"):
        run(contestant, 7, Budget(4, "steps"), compared, folder)
    (folder / "compared.json").write_text('{"question"')
    with pytest.raises(UserError, match="is damaged"):
        run(contestant, 7, Budget(3, "steps"), compared, folder)
    (folder / "compared.json").unlink()
    with pytest.raises(UserError, match="no comparison made"):
        run(contestant, 7, Budget(3, "steps"), compared, folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one contestant at least: a recipe"),
        (["bseline"], "there is no contestant 'bseline'.*Did you mean \"baseline\""),
        (["ngram:x"], "ngram:ORDER, like ngram:4; got 'ngram:x'"),
        (["baseline", "baseline"], "'baseline' is named twice"),
        (["ngram", "ngram:6"], "ngram and ngram:6 are the same contestant"),
        (["missing.py"], "no recipe file missing.py"),
        (["."], "is a folder, but not a run"),
        (["baseline", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["baseline", "--budget", "soon"], "a budget is written like .* got 'soon'"),
        (["baseline", "--text", "no-such-file.txt"], "no-such-file.txt"),
    ],
)
def test_refusals_name_what_was_given_and_what_is_allowed(words, said, tmp_path, monkeypatch, capsys):
    import re

    monkeypatch.chdir(tmp_path)
    assert main(["compare", *words]) == 2
    told = capsys.readouterr().err
    assert re.search(said, told) and told.count("\n") == 1
    assert not (tmp_path / "comparisons").exists()


def test_what_is_not_alike_is_refused(recipe, tmp_path, text):
    other = tmp_path / "other.txt"
    other.write_text("something else " * 200)
    one = recipe("one")
    for name, options, said in [
        ("steps", {"steps": 9}, r"different budgets \(one 4 steps, steps 9 steps\): .*--budget"),
        ("texts", {"on": other}, "different texts .*--text"),
        ("shares", {"training": ", held_out=0.2"}, r"different shares of the text \(one 0.1, shares 0.2\)"),
    ]:
        with pytest.raises(UserError, match=said):
            compare(one, recipe(name, **options), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="is a file"):
        compare(one, out=text)


def test_an_unfinished_run_is_refused(recipe, tmp_path):
    compare(recipe("one"), seeds=1, out=tmp_path / "out")
    ready = tmp_path / "out/runs/one/seed-0"
    (ready / "model.safetensors").unlink()
    with pytest.raises(UserError, match="has not finished"):
        compare(str(ready), out=tmp_path / "other")


def test_equal_names_are_told_apart_by_their_folders(recipe, tmp_path):
    (tmp_path / "b").mkdir()
    one = Path(recipe("one"))
    two = tmp_path / "b" / "one.py"
    two.write_text(one.read_text())
    names = [c.name for c in find([str(one), str(two)])]
    assert names == [str(one), str(two), "ngram"] and len({folder_name(n) for n in names}) == 3


def test_a_table_without_results_is_still_a_table(recipe, tmp_path):
    found = compare("ngram", out=tmp_path / "out", text=[str(tmp_path / "text.txt")]) if recipe("one") else None
    assert found is not None and found.equal.startswith("Nothing was trained")
    assert table_of(found.rows, []).kinds == ("nll",)


def test_equal_operations(recipe, text, tmp_path):
    """A deeper network trains on fewer tokens, so that both cost the same; seconds cannot be made equal beforehand."""
    one, two, out = recipe("one"), recipe("two", depth=3), tmp_path / "out"
    found = compare(one, two, seeds=1, out=out, equal="flops")
    tokens = {row.name: row.mean("tokens") for row in found.rows}
    cost = {name: flops_a_token(c.experiment, found.text) for name, c in ((c.name, c) for c in find([one, two])[:2])}
    assert 1.5 < cost["two"] / cost["one"] < 3 and tokens["one"] == 4 * 4 * 16
    assert abs(tokens["two"] * cost["two"] / (tokens["one"] * cost["one"]) - 1) < 0.5  # whole steps of 64 tokens
    assert "--equal" in found.command
    with pytest.raises(UserError, match="tokens or steps"):
        compare(one, two, seeds=1, out=tmp_path / "other", budget="3s", equal="flops")


def test_tasks_with_known_answers(recipe, masked, tmp_path, monkeypatch):
    """Every network learns each task afresh, once; what cannot is said, what counts is not asked."""
    from semagram.lab import comparison_tasks
    from semagram.lab.tasks import Copy, Parity

    few = (Copy(size=2, symbols=3), Parity(bits=3))
    names, say = find([recipe("a"), masked]), []
    rows = comparison_tasks.task_rows(names, 2, 2, tmp_path / "out", say.append, few)
    assert [(row.name, set(row.right)) for row in rows] == [("Copy", {"a", "masked"}), ("Parity", {"a", "masked"})]
    assert all(0 <= row.right["a"].mean <= 1 and row.right["a"].low is not None for row in rows)
    assert rows[1].guessing == pytest.approx(0.5) and len(say) == 2
    with monkeypatch.context() as without:  # the second time nothing is trained
        without.setattr(comparison_tasks, "solve", None)
        again = comparison_tasks.task_rows(names, 2, 2, tmp_path / "out", say.append, few)
    assert again == rows

    def broken(*_: object, **__: object) -> None:
        raise UserError("it | breaks")

    monkeypatch.setattr(comparison_tasks, "solve", broken)
    monkeypatch.setattr(comparison_tasks, "TASKS", few)
    found = compare(recipe("b"), seeds=1, out=tmp_path / "cmp", tasks=1)
    assert found.tasks[0].right == {} and found.tasks[0].failed == {"b": "it | breaks"}
    page = check(tmp_path / "cmp" / "report.html")
    assert "Tasks with known answers" in page.source and "b: it | breaks" in page.source
    assert "--tasks 1" in page.source and '"kind": "task"' in (tmp_path / "cmp" / "results.jsonl").read_text()
    with pytest.raises(UserError, match="at least 1; got 0"):
        compare(recipe("b"), tasks=0)
