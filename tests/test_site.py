"""The documentation site: every link leads to a page, every page is in the navigation, the reference has every name."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from docs import __main__ as site
from docs import reference

LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.stage(tmp_path_factory.mktemp("build"))


def test_every_link_leads_to_a_page(config: Path) -> None:
    pages = config.parent / "pages"
    found = 0
    for page in pages.rglob("*.md"):
        if page.parent.name in ("api", "examples"):
            continue
        for target in LINK.findall(site.FENCED.sub("", page.read_text(encoding="utf-8"))):
            if "://" not in target:
                found += 1
                assert (page.parent / target).resolve().is_file(), f"{page.relative_to(pages)}: {target}"
                assert pages in (page.parent / target).resolve().parents
    assert found > 80


def test_every_page_is_in_the_navigation(config: Path) -> None:
    def files(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [f for part in (entry.values() if isinstance(entry, dict) else entry) for f in files(part)]

    named = files(tomllib.loads(config.read_text(encoding="utf-8"))["project"]["nav"])
    assert len(named) == len(set(named))
    assert all((config.parent / "pages" / name).is_file() for name in named)
    assert {p.relative_to(site.ROOT / "docs").as_posix() for p in (site.ROOT / "docs").rglob("*.md")} <= set(named)


def test_a_dead_link_is_refused() -> None:
    page = site.ROOT / "docs" / "index.md"
    assert (
        site.turned("[a](../results/README.md) [b](https://x.org/y)", page)
        == "[a](results/index.md) [b](https://x.org/y)"
    )
    assert site.turned("[m](../src/semagram/mixers/attention.py#L1)", page) == "[m](api/mixers.attention.md#L1)"
    assert site.turned("```python\nrows[0](nowhere)\n```\n", page) == "```python\nrows[0](nowhere)\n```\n"
    with pytest.raises(FileNotFoundError, match=r"docs/index\.md links to nowhere\.md"):
        site.turned("[a](nowhere.md)", page)


def test_the_reference_has_every_public_name(config: Path) -> None:
    """Asked of the package itself: what a shelf exports is on the page of the module that defines it."""
    import importlib

    pages = config.parent / "pages" / "api"
    for shelf in ("layouts", "mixers", "feedforward", "models", "objectives", "predictors"):
        package = importlib.import_module(f"semagram.{shelf}")
        for name in package.__all__:
            there = getattr(package, name)
            if isinstance(there, type) and there.__module__.startswith("semagram.") and there.__doc__:
                page = pages / f"{there.__module__.removeprefix('semagram.')}.md"
                assert f"\n## {name}\n" in page.read_text(encoding="utf-8"), name
    attention = (pages / "mixers.attention.md").read_text(encoding="utf-8")
    assert "| `heads` | <code>int</code> |" in attention and "class Attention" in attention
    overview = (pages / "index.md").read_text(encoding="utf-8")
    assert all(f"]({module.page})" in overview for module in reference.modules())


@pytest.mark.skipif(find_spec("zensical") is None, reason="the site needs pip install 'semagram[docs]'")
def test_the_site_is_built_without_a_warning(config: Path) -> None:
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    home = (config.parent / "site" / "index.html").read_text(encoding="utf-8")
    assert "semagram" in home and not re.search(r'(?:src|href)="https?://fonts', home)
