"""Every Python block of docs/text.md runs, in order, without a network."""

import re
from pathlib import Path

import pytest

from semagram.text import corpora

PAGE = (Path(__file__).parents[2] / "docs" / "text.md").read_text(encoding="utf-8")


def test_the_page_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/text.md", "exec"), names)
    shown = capsys.readouterr().out
    assert '"bok.txt" is neither a file, a folder nor a named corpus. Did you mean "book.txt"?' in shown


def test_the_page_lists_every_corpus() -> None:
    for info in corpora():
        assert f"| `{info.name}`" in PAGE
