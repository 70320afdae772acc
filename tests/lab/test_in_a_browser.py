"""The pages in a real browser: they load nothing, fit a phone, turn dark, switch without a script, print whole.

Skipped where there is no Playwright or no Chromium.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semagram.lab import recipes
from semagram.lab.compare import compare
from semagram.lab.runs import carry_out

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
WIDTHS = {"phone": 390, "desk": 1100}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def pages(recipe: Any, masked: str, tmp_path: Path) -> list[Path]:
    """Of a run and of a comparison."""
    one = recipe("one")
    carry_out(recipes.find(one).experiment, tmp_path / "runs" / "one", quiet=True)
    compare(one, masked, seeds=2, out=tmp_path / "compared")
    return [tmp_path / "runs" / "one" / "report.html", tmp_path / "compared" / "report.html"]


def brightness(picture: bytes) -> float:
    from PIL import Image

    small = Image.open(io.BytesIO(picture)).convert("L").resize((16, 16))
    return sum(small.tobytes()) / 256


def test_pages_in_a_browser(browser: Any, pages: list[Path], tmp_path: Path) -> None:
    for path in pages:
        shown = {}
        for scheme in ("light", "dark"):
            for name, width in WIDTHS.items():
                context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
                page, asked, said = context.new_page(), [], []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.on("console", lambda message, said=said: said.append(message.text))
                page.goto(path.as_uri())
                assert asked == [path.as_uri()] and said == []
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, name)
                shown[scheme, name] = brightness(page.screenshot())
                if (scheme, name) == ("light", "desk"):
                    _switch_hover_and_print(page)
                context.close()
        assert all(shown["light", name] > 180 and shown["dark", name] < 90 for name in WIDTHS), shown


def _switch_hover_and_print(page: Any) -> None:
    first, second = (page.locator(".switch").first.locator(".pane").nth(n) for n in (0, 1))
    assert first.is_visible() and not second.is_visible()
    page.locator(".switch label").nth(1).click()
    assert second.is_visible() and not first.is_visible()
    page.keyboard.press("ArrowLeft")  # radio buttons: the keyboard works without a script
    assert first.is_visible()
    cell = page.locator(".passage span").nth(3)
    cell.hover()
    said = page.evaluate(
        "getComputedStyle(document.querySelectorAll('.passage span')[3], '::after').getPropertyValue('content')"
    )
    assert "bits" in said and "bits" in str(cell.get_attribute("title"))
    page.emulate_media(media="print")
    assert first.is_visible() and second.is_visible()
    assert page.pdf().startswith(b"%PDF")
