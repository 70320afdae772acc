"""The page of the toolbox is true: every name in it exists, every test that it points to as well, no row is missing."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "toolbox.md").read_text("utf-8")
SHELVES = [
    "mixers",
    "feedforward",
    "models",
    "objectives",
    "models.embedding",
    "models.head",
    "models.residual",
    "models.layers",
    "models.joins",
    "models.scales",
    "models.skips",
    "models.reversible",
    "models.depth_attention",
    "models.hyper_connections",
    "models.pooling",
    "models.continuous",
    "models.hourglass_learnt",
    "models.stack",
    "models.transformer",
    "models.decoder",
    "models.encoder",
    "predictors",
    "predictors.contrastive",
    "predictors.any_order",
    "layouts.geometry",
    "layouts.documents",
    "training.optimisers",
    "training.preference",
    "training.truncated",
    "training.qk_clip",
    "verbs.sampling",
    "verbs.beams",
    "verbs.stochastic_beams",
    "verbs.generate",
    "verbs.speculative",
    "verbs.drafts",
    "verbs.constraints",
]
MODULES = [importlib.import_module(f"semagram.{name}") for name in SHELVES]
ROWS = [row for row in re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE) if row.count(" | ") >= 1]
BUILT = [row.split(" | ") for row in ROWS if row.count(" | ") == 3 and not row.startswith(("paper |", "feature |"))]


def found(name: str) -> bool:
    """A class or function of the library, or a field, method or argument of one."""
    first, _, rest = name.partition(".")
    for module in MODULES:
        part = getattr(module, first, None)
        if part is None:
            continue
        names = {f.name for f in fields(part)} if is_dataclass(part) else set()
        arguments = part.__init__.__code__.co_varnames if hasattr(part.__init__, "__code__") else ()
        if not rest or rest in names or hasattr(part, rest) or rest in arguments:
            return True
    return False


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row[0][:50])
def test_a_row_of_the_toolbox(row: list[str]) -> None:
    """What it names is there; a paper has a number; at least one test is named, and exists."""
    feature, ours, papers, tests = row
    named = re.findall(r"`([^`]+)`", ours)
    assert named, feature
    for name in named:
        assert (ROOT / name).exists() if "/" in name else found(name), f"{feature}: {name}"
    for paper in papers.split(", "):
        assert paper == "-" or re.fullmatch(r"\d{4}\.\d{5}", paper), f"{feature}: {paper}"
    there = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", tests)
    assert there, feature
    for path, test in there:
        text = (ROOT / "tests" / path).read_text("utf-8")
        assert not test or f"def {test}(" in text, f"{feature}: {path} has no {test}"


def test_what_is_named_among_the_reasons_is_there() -> None:
    """Configs and fields in the reasons for what is left out."""
    for row in ROWS:
        if row.count(" | ") == 1:
            for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?)`", row):
                assert found(name) or name == "Context" or name == "Weights", name


COUNTS = {
    "W": 14,
    "E": 17,
    "A": 47,
    "P": 15,
    "N": 13,
    "R": 16,
    "F": 9,
    "L": 10,
    "M": 7,
    "O": 18,
    "D": 15,
    "V": 8,
    "Z": 12,
}
"""How many rows the catalogue of features has in each group."""


def test_no_feature_is_passed_over() -> None:
    """Every number is in a row: built, or left out with a reason."""
    told: set[str] = set()
    for row in ROWS:
        first = row.split(" | ")[0]
        for letter, low, high in re.findall(r"\b([A-Z])(\d+) \.\. [A-Z](\d+)", first):
            told |= {f"{letter}{i}" for i in range(int(low), int(high) + 1)}
        told |= set(re.findall(r"\b[A-Z]\d+\b", first))
    for letter, count in COUNTS.items():
        missing = [f"{letter}{i}" for i in range(1, count + 1) if f"{letter}{i}" not in told]
        assert not missing, f"not in docs/toolbox.md: {missing}"


def test_the_seed_has_seventeen_papers() -> None:
    seed = PAGE.split("## The seventeen papers")[1].split("\n## ")[0]
    assert len(re.findall(r"^\| (?!paper|---)", seed, re.MULTILINE)) == 17
