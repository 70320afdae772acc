"""The page of a run: complete, escaped, and true to the outcome."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.conftest import NASTY
from tests.lab.pages import check

from semagram.errors import UserError
from semagram.lab import recipes
from semagram.lab.report import write_report
from semagram.lab.runs import Outcome, carry_out
from semagram.text import split


@pytest.fixture
def outcome(recipe, tmp_path) -> Outcome:
    return carry_out(recipes.find(recipe("<b>&")).experiment, tmp_path / "run", quiet=True)


def test_the_page_of_a_run(outcome, text):
    page = check(outcome.folder / "report.html")
    held_out = split(text.read_bytes().decode(), 0.9)[1]
    for said in (
        f"{outcome.bits_per_character:.4f}",
        "n-gram (Kneser-Ney",
        "xz -9e, given the training text",
        "gzip -9, alone",
    ):
        assert said in page.source
    for said in ("&lt;b&gt;&amp;", "exact: nll", "semagram compress", "SHA-256"):
        assert said in page.source
    assert page.source.count("<svg") == 3 and page.source.count('type="radio"') == 2  # two curves, one figure of costs
    # What is read is the text itself, with control characters as pictures.
    assert page.passages == [held_out.replace("\x1b", "␛").replace("\r", "␍")]
    assert any(title.startswith("<  ") and title.endswith(tuple("0123456789")) for title in page.titles)
    assert "{{ 7 * 7 }}" in page.passages[0] and "<script>" not in page.source
    assert NASTY.split("\n")[0] in page.passages[0]


def test_a_masked_run_says_what_its_figure_is(masked, tmp_path):
    outcome = carry_out(recipes.find(masked).experiment, tmp_path / "run", quiet=True)
    page = check(outcome.folder / "report.html")
    assert "exact, in its own order: nll" in page.source and "nll_upper_bound" in page.source


def test_without_its_text_the_page_says_what_is_missing(outcome, text):
    held_out = split(text.read_bytes().decode(), 0.9)[1]
    text.unlink()
    (outcome.folder / "metrics.jsonl").unlink()
    (outcome.folder / "environment.json").write_text("{")
    page = check(write_report(outcome, held_out))
    assert "cannot be read again" in page.source and "given the training text" not in page.source
    assert "kept no log" in page.source


def test_runs_on_the_same_text_stand_beside_it(outcome, text):
    """And only those; the samples of its learning stand beside the last one."""
    held_out = split(text.read_bytes().decode(), 0.9)[1]
    own = json.loads((outcome.folder / "score.json").read_text())
    assert own["bits_per_character"] == outcome.bits_per_character
    better = {**own, "bits_per_character": 1.0, "parameters": 10 * own["parameters"]}
    others = {"better": better, "elsewhere": {**better, "held_out_sha256": "0"}, "broken": {"bits_per_character": 1}}
    for name, found in others.items():
        (outcome.folder.parent / name).mkdir()
        (outcome.folder.parent / name / "score.json").write_text(json.dumps(found))
    (outcome.folder / "samples.txt").write_text("=== step 1\none\n=== step 2\ntwo\n=== step 3\nthree\n")
    page = check(write_report(outcome, held_out))
    assert page.source.count("<svg") == 4 and "<title>better: 1.0000 for" in page.source
    assert "elsewhere" not in page.source and "on the front: run, better" in page.source
    headings = [line for line in ("after step 1", "after step 2", "after step 3", "at the end") if line in page.source]
    assert headings == ["after step 1", "after step 2", "at the end"]


def test_another_text_under_the_same_name_is_not_taken_for_the_training_text(outcome, text):
    held_out = split(text.read_bytes().decode(), 0.9)[1]
    text.write_text("something else " * 300)
    assert "cannot be read again" in check(write_report(outcome, held_out)).source


def test_a_log_cut_short_is_read_as_far_as_it_goes(outcome, text):
    path = outcome.folder / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], "[1]", json.dumps({"step": 1}), lines[-1][:10]]))
    assert check(write_report(outcome, split(text.read_bytes().decode(), 0.9)[1])).source.count("<svg") == 3


def test_an_unfinished_run_is_refused(outcome):
    with pytest.raises(UserError, match="not finished"):
        write_report(replace(outcome, model=None, score=None), "text")


def test_figures_do_not_need_matplotlib():
    import semagram.lab

    for path in Path(semagram.lab.__file__).parent.glob("*.py"):
        assert "import matplotlib" not in path.read_text()
