"""The big table: it fits into the time, a killed one goes on and repeats nothing, verdicts go by intervals."""

from __future__ import annotations

import argparse
import json
from concurrent.futures import Future

import pytest

families = pytest.importorskip("benchmarks.families")
verdicts = pytest.importorskip("benchmarks.verdicts")


class Here:
    """A pool that does what it is given at once."""

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, call, *arguments) -> Future:
        future: Future = Future()
        future.set_result(call(*arguments))
        return future


def test_cells_fit_into_the_time_and_come_seed_by_seed():
    names = [f.name for f in families.families()]
    cells = families.cells_of(list(families.TEXTS), list(families.TASKS), 3, names)
    assert len(names) >= 12 and len(families.TEXTS) == 2 and len(families.TASKS) >= 8
    assert len(set(cells)) == len(cells) and cells[0].seed == 0 and cells[-1].seed == 2
    text, task = families.seconds_of(cells, 60, 2)
    trained = [c for c in cells if c.family not in ("ngram", "suffix", "trees")]
    spent = sum(task if c.where in families.TASKS else text for c in trained)
    assert spent == pytest.approx(60 * 60 * 2 * families.TRAINING_SHARE) and text > task > 5
    assert {c.seed for c in cells if c.family == "ngram" and c.where in families.TEXTS} == {-1}


def test_a_killed_table_goes_on_and_repeats_nothing(tmp_path, monkeypatch):
    done: list[object] = []

    def carried_out(cell, seconds, held_out, folder):
        if len(done) == 3 and not monkeypatched:
            raise KeyboardInterrupt
        done.append(cell)
        return {"where": cell.where, "family": cell.family, "seed": cell.seed, "right": 0.5}

    monkeypatched: list[int] = []
    monkeypatch.setattr(families, "carried_out", carried_out)
    monkeypatch.setattr(families, "ProcessPoolExecutor", Here)
    cells = families.cells_of([], ["copy", "parity"], 2, ["transformer", "ngram"])
    options = argparse.Namespace(minutes=1.0, workers=1, held_out=10, out=tmp_path)
    path = tmp_path / "runs.jsonl"
    with pytest.raises(KeyboardInterrupt):
        families.fill(cells, options, path)
    with path.open("a") as file:
        file.write('{"where": "copy", "fam')  # a kill in the middle of a line
    monkeypatched.append(1)
    assert families.fill(cells, options, path) == []
    assert done == cells and [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0] * 4 + [1] * 4
    options.minutes = 0.0
    later = families.cells_of([], ["copy", "parity"], 3, ["transformer", "ngram"])
    assert families.fill(later, options, path) == later[8:]
    table = families.table(families.values_of(families.known(path)), ["copy"], ["transformer", "kan"])
    assert "| transformer | 50.0 ± 0.0 |" in table and "| kan | - |" in table and "*guessing* | 12.5" in table


def test_verdicts_are_judged_by_intervals():
    assert len(verdicts.VERDICTS) >= 8
    names = {f.name for f in families.families()}
    for verdict in verdicts.VERDICTS:
        assert verdict.where == verdicts.TEXT or verdict.where in families.TASKS
        assert {verdict.better, verdict.worse} - {None} <= names
    copy, text, parity = (next(v for v in verdicts.VERDICTS if v.where == w) for w in ("copy", verdicts.TEXT, "parity"))

    def found(verdict, where, values):
        return verdicts.judged(verdict, where, values, lambda name: name == "book")[0]

    right = {("copy", "transformer"): {0: 0.9, 1: 0.92, 2: 0.91}, ("copy", "mamba"): {0: 0.5, 1: 0.51, 2: 0.52}}
    assert found(copy, "copy", right) == "agreed with"
    assert (
        found(copy, "copy", {("copy", "transformer"): {0: 0.1, 1: 0.9}, ("copy", "mamba"): {0: 0.5, 1: 0.5}}) == "open"
    )
    swapped = {("copy", "mamba"): right["copy", "transformer"], ("copy", "transformer"): right["copy", "mamba"]}
    assert found(copy, "copy", swapped) == "against" and found(copy, "copy", {}) == "not run"
    # Fewer bits are better; what counts is the same for every seed.
    bits = {("book", "transformer"): {0: 2.1, 1: 2.12}, ("book", "ngram"): {-1: 2.5}}
    assert found(text, "book", bits) == "agreed with"
    assert found(parity, "parity", {("parity", "transformer"): {0: 0.5, 1: 0.52}}) == "agreed with"
    assert found(parity, "parity", {("parity", "transformer"): {0: 0.99, 1: 1.0}}) == "against"
    assert verdicts.table({**right, **bits}, ["book"]).count("\n") == len(verdicts.VERDICTS) + 1
