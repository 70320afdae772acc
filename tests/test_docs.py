"""The Python blocks of the README and of the documentation run, in order, in an empty folder."""

import re
from pathlib import Path

import pytest

import semagram

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TESTED_ELSEWHERE = {"docs/text.md", "docs/compress.md"}
TAKES_MINUTES = {"docs/training.md", "docs/compare.md", "docs/hybrid.md"}
"""They train for as long as a user would; what they call is tested at toy size."""


def named(page: Path) -> str:
    """Of a page, below the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks_of(p) and named(p) not in TESTED_ELSEWHERE | TAKES_MINUTES], ids=named
)
def test_the_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(
        "Call me Ishmael. Some years ago - never mind how long precisely - I sailed.\n" * 60
    )
    names: dict[str, object] = {"__name__": "a page"}
    for block in blocks_of(page):
        exec(compile(block, str(page.name), "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md"], ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_seed_map_imports() -> None:
    """Every ``semagram.x.y`` that the README names is there."""
    import importlib

    for name in set(re.findall(r"`(semagram(?:\.\w+)+)`", (ROOT / "README.md").read_text(encoding="utf-8"))):
        importlib.import_module(name)


def test_every_command_that_a_page_names_exists() -> None:
    """With its options: every word that begins with two dashes is in the command's own help or is a dotted path."""
    from semagram.cli import COMMANDS

    call = re.compile(r"^(?:    )?semagram ([a-z]+(?: .*)?)$", re.MULTILINE)
    found = [(page, line) for page in PAGES for line in call.findall(page.read_text(encoding="utf-8"))]
    assert len(found) > 40
    known = {name: _options(f"commands/{name}") for name in COMMANDS}
    known["train"] |= _options("experiment")
    for page, line in found:
        command, *words = re.sub(r"#.*", "", line).split()
        assert command in COMMANDS, f"{page.name}: semagram {line}"
        for word in words:
            if word.startswith("--") and "." not in word:
                flat = word.split("=")[0].lstrip("-").replace("-", "_")
                assert flat in known[command] | {"help"}, f"{page.name}: semagram {line}"


def _options(module: str) -> set[str]:
    source = (ROOT / "src" / "semagram" / f"{module}.py").read_text(encoding="utf-8")
    return set(re.findall(r"^    (\w+): ", source, re.MULTILINE))


def test_names_of_the_package() -> None:
    for name in semagram.__all__:
        assert getattr(semagram, name) is not None
    with pytest.raises(AttributeError, match="trane"):
        semagram.trane  # noqa: B018
