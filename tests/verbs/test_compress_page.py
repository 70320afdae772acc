"""The code on docs/compress.md runs, from top to bottom."""

import re
from pathlib import Path


def test_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "compress.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert "bits a character" in capsys.readouterr().out
