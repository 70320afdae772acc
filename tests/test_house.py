"""The house itself: imports go one way, files stay small and say what they are, the front door opens at once.

Read by ``ast``, so that a file is judged whether or not it can be imported here.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "semagram"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES = 300

GROUND = {"errors", "config", "__init__", "__main__"}
TEXT = GROUND | {"text"}
PARTS = GROUND | {"layouts"}
NETWORKS = PARTS | {"mixers", "feedforward"}
MODELS = NETWORKS | {"models"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "config": {"errors"},
    "text": TEXT,
    "layouts": PARTS | {"text"},
    "mixers": NETWORKS,
    "feedforward": NETWORKS,
    "models": MODELS,
    "objectives": MODELS | {"objectives"},
    "predictors": MODELS | {"predictors"},
    "training": MODELS | TEXT | {"objectives", "predictors", "training", "experiment", "verbs"},
    "experiment": MODELS | TEXT | {"objectives", "predictors", "training"},
    "verbs": MODELS | TEXT | {"objectives", "predictors", "verbs"},
}
"""Shelf -> the shelves it may import (its own among them). Shelves that are not named (lab, cli, ...) stand on top."""

ON_TOP = {"ensembles", "lab", "cli", "commands", "recipes", "hub", "trained", "experiment"}
"""Nothing below may import these; ``experiment`` may be imported by training."""


def shelf(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(path: Path) -> set[str]:
    """The shelves that a file imports at run time; imports under TYPE_CHECKING are for readers and do not count."""
    for_readers = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for part in node.body
        for inner in ast.walk(part)
    }
    found = set()
    for node in ast.walk(tree(path)):
        if id(node) in for_readers:
            continue
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name, not relatively"
            names = [node.module or ""]
            if node.module == "semagram":
                names = [f"semagram.{a.name}" for a in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("semagram.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    allowed = MAY_IMPORT.get(shelf(path))
    if allowed is None:
        assert shelf(path) in ON_TOP | GROUND, f"{shelf(path)} is a new shelf: say in MAY_IMPORT what it may import"
        return
    wrong = imports(path) - allowed
    assert not wrong, f"{path.relative_to(SOURCE)} may not import from {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_is_small_says_what_it_is_and_leaves_nothing_undone(path: Path) -> None:
    text = path.read_text("utf-8")
    lines = text.count("\n")
    assert lines <= MOST_LINES, f"{lines} lines: look for the seam"
    if lines > 1:
        assert ast.get_docstring(tree(path)), "the module has no docstring"
    assert "TO" + "DO" not in text and "FIX" + "ME" not in text


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_what_is_public_has_a_docstring(path: Path) -> None:
    bare = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            inside = [node, *(n for n in node.body if isinstance(n, ast.FunctionDef))]
            bare += [n.name for n in inside if not n.name.startswith("_") and not ast.get_docstring(n)]
    bare += [
        n.name
        for n in tree(path).body
        if isinstance(n, ast.FunctionDef) and not n.name.startswith("_") and not ast.get_docstring(n)
    ]
    assert not bare, f"without a docstring: {', '.join(bare)}"


@pytest.mark.parametrize("module", ["semagram", "semagram.cli"])
def test_the_front_door_opens_without_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted(m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in told.stdout and "matplotlib" not in told.stdout, told.stdout
