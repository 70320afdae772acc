"""The Python blocks of the README and of the documentation run, in order, in an empty folder."""

import re
from pathlib import Path

import pytest

import semagram

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTED_ELSEWHERE = {"text.md", "compress.md"}
TAKES_MINUTES = {"training.md", "compare.md", "hybrid.md"}
"""They train for as long as a user would; what they call is tested at toy size."""


def blocks_of(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks_of(p) and p.name not in TESTED_ELSEWHERE | TAKES_MINUTES], ids=lambda p: p.name
)
def test_the_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(
        "Call me Ishmael. Some years ago - never mind how long precisely - I sailed.\n" * 60
    )
    names: dict[str, object] = {"__name__": "a page"}
    for block in blocks_of(page):
        exec(compile(block, str(page.name), "exec"), names)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_seed_map_imports() -> None:
    """Every ``semagram.x.y`` that the README names is there."""
    import importlib

    for name in set(re.findall(r"`(semagram(?:\.\w+)+)`", (ROOT / "README.md").read_text(encoding="utf-8"))):
        importlib.import_module(name)


def test_every_command_of_the_readme_exists() -> None:
    from semagram.cli import COMMANDS

    for command in re.findall(r"^semagram (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert command in COMMANDS


def test_names_of_the_package() -> None:
    for name in semagram.__all__:
        assert getattr(semagram, name) is not None
    with pytest.raises(AttributeError, match="trane"):
        semagram.trane  # noqa: B018
