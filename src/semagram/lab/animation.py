"""The page as it is written: frames, a self-contained HTML page, an animated GIF.

A cell's colour tells when it was written (early blue, late red), its strength how sure the model was. The HTML has no
outside file and no library; the GIF needs Pillow (the extra ``gif``).
"""

from __future__ import annotations

import colorsys
import html
import json
from collections.abc import Iterator
from pathlib import Path

from semagram.errors import UserError
from semagram.layouts import Grid, Layout
from semagram.verbs.filled_text import FilledText

LINE = 64
"""Tokens a row where a text without a page is drawn."""
LINE_FEED = "\\n"
"""As ``Tokenizer.token_texts`` writes it."""
_UNWRITTEN = "·"

Frame = list[list[tuple[str, float | None, float]]]
"""Rows of cells: what stands there, when it was written (0 ... 1; None: given), and how sure the model was."""


def places_of(found: FilledText, layout: Layout) -> list[tuple[int, int]]:
    """Row and column of every token: on its page where one page holds the text, else in lines."""
    n = len(found.tokens)
    if isinstance(layout, Grid) and n <= layout.count:
        return [divmod(place, layout.width) for place in layout.places()[:n]]
    width = layout.width if isinstance(layout, Grid) else LINE
    places, row, column = [], 0, 0
    for token in found.tokens:
        places.append((row, column))
        column += 1
        if column == width or (token == LINE_FEED and not isinstance(layout, Grid)):
            row, column = row + 1, 0
    return places


def frames(found: FilledText, layout: Layout, texts: list[str]) -> Iterator[Frame]:
    """The page before the first step and after each; ``texts`` are the vocabulary's."""
    places, f = places_of(found, layout), found.filled
    height, width = (1 + max(at[axis] for at in places) for axis in (0, 1))
    page: Frame = [[(" ", None, 1.0)] * width for _ in range(height)]
    for i, (y, x) in enumerate(places):
        page[y][x] = (shown(found.tokens[i]), None, 1.0) if f.given[i] else (_UNWRITTEN, None, 1.0)
    yield [list(row) for row in page]
    last = max(1, len(f.strokes) - 1)
    for number, stroke in enumerate(f.strokes):
        for place, token, probability in zip(stroke.places, stroke.ids, stroke.probabilities, strict=True):
            y, x = places[place]
            page[y][x] = (_UNWRITTEN, None, 1.0) if token < 0 else (shown(texts[token]), number / last, probability)
        yield [list(row) for row in page]


def shown(token: str) -> str:
    """A token's printable text in one cell."""
    return token.replace(LINE_FEED, "↵").replace("\\t", "⇥")


def colour(moment: float | None, confidence: float) -> tuple[int, int, int]:
    """Of a cell's ground: white if given; else from blue to red in time, paler where the model was less sure."""
    if moment is None:
        return 255, 255, 255
    red, green, blue = colorsys.hsv_to_rgb(0.6 * (1 - moment), 0.15 + 0.5 * confidence, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def to_html(found: FilledText, layout: Layout, texts: list[str], title: str = "a page being filled") -> str:
    """One page with a slider and a button."""
    told = [
        [[[cell, "#{:02x}{:02x}{:02x}".format(*colour(moment, sure)), round(sure, 3)] for cell, moment, sure in row]
         for row in frame]
        for frame in frames(found, layout, texts)
    ]  # fmt: skip
    data = json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return _HTML.replace("TITLE", html.escape(title)).replace("FRAMES", data)


def write_gif(found: FilledText, layout: Layout, texts: list[str], path: Path, milliseconds: int = 120) -> None:
    """An animated GIF; the last frame stays for a while. ``UserError`` without Pillow."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise UserError("an animated GIF needs Pillow: pip install 'semagram[gif]', or use --html.") from None
    font, (cell_width, cell_height) = ImageFont.load_default(), (12, 18)
    pictures = []
    for frame in frames(found, layout, texts):
        picture = Image.new("RGB", (cell_width * len(frame[0]) + 8, cell_height * len(frame) + 8), "white")
        draw = ImageDraw.Draw(picture)
        for y, row in enumerate(frame):
            for x, (cell, moment, sure) in enumerate(row):
                left, top = 4 + x * cell_width, 4 + y * cell_height
                if moment is not None:
                    draw.rectangle((left, top, left + cell_width - 1, top + cell_height - 1), fill=colour(moment, sure))
                drawn = cell if cell.isascii() or font.getmask(cell).getbbox() else "?"
                draw.text((left + 2, top + 2), drawn, fill="black", font=font)
        pictures.append(picture.quantize(64))
    durations = [milliseconds] * (len(pictures) - 1) + [2000]
    pictures[0].save(path, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)


_HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><title>TITLE</title>
<style>body{font:15px/1.5 ui-monospace,monospace;margin:2em}td{width:1.1em;text-align:center;white-space:pre}
table{border-collapse:collapse;margin:1em 0}</style>
<h1>TITLE</h1><button id="play">play</button> <input id="at" type="range" min="0" value="0"> <span id="step"></span>
<table id="page"></table>
<p>Colour: when a cell was written (blue first, red last); strength: how sure the model was.</p>
<script>
const frames = FRAMES, at = document.getElementById("at"), page = document.getElementById("page");
at.max = frames.length - 1;
function draw() {
  page.replaceChildren(...frames[at.value].map(row => {
    const tr = document.createElement("tr");
    tr.append(...row.map(([text, ground, sure]) => {
      const td = document.createElement("td");
      td.textContent = text; td.style.background = ground; td.title = sure; return td;
    })); return tr;
  }));
  document.getElementById("step").textContent = at.value + " / " + at.max;
}
let timer = null;
function play() {
  if (timer) { clearInterval(timer); timer = null; return; }
  if (at.value === at.max) at.value = 0;
  timer = setInterval(() => { at.value = +at.value + 1; draw(); if (at.value === at.max) { play(); } }, 120);
}
at.oninput = draw; document.getElementById("play").onclick = play; draw(); play();
</script></html>
"""
