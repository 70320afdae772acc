"""What every page of ours must be: complete in itself, and with foreign text as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "br", "img", "link", "input", "hr", "circle", "line", "polyline"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; ``open_tags`` is empty when it is well formed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.open_tags: list[str] = []
        self.passages: list[str] = []
        self.titles: list[str] = []
        self._passage = 0
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what could fetch something, and the passages."""
        self.tags.add(tag)
        values = dict(attrs)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "data", "action")]
        self.titles += [values["title"] or ""] if "title" in values else []
        if "passage" in (values.get("class") or "").split():
            self.passages.append("")
            self._passage = len(self.open_tags) + 1
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Tags must close in order."""
        if tag in VOID:
            return
        assert self.open_tags and self.open_tags[-1] == tag, f"</{tag}> closes {self.open_tags[-1:]}"
        self.open_tags.pop()
        if len(self.open_tags) < self._passage:
            self._passage = 0

    def handle_data(self, data: str) -> None:
        """The text of passages."""
        if self._passage:
            self.passages[-1] += data


def check(path: Path) -> Page:
    """Read ``path`` and hold it to the rules."""
    page = Page(path)
    assert page.open_tags == []
    assert page.addresses == []
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form"}
    assert not re.search(r"@import|url\(", page.source)
    assert "default-src 'none'" in page.source
    return page
