"""``semagram fill RUN FILE``: write what is missing in a text, and show how the page was written."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from semagram.commands.files import refuse_existing, write_whole
from semagram.commands.options import parse
from semagram.errors import UserError
from semagram.verbs.gaps import PATTERN

if TYPE_CHECKING:
    from semagram.trained import TrainedModel
    from semagram.verbs.filled_text import FilledText


@dataclass(frozen=True)
class Fill:
    """Fill the gaps of a text with a trained model."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the trained model."""
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = "-"
    """Text with gaps; - for standard input."""
    text: str | None = None
    """The text itself, instead of a file."""
    gap: str = PATTERN
    """What a gap looks like, as a regular expression; a gap has as many tokens as its match has characters."""
    length: str | None = None
    """Tokens of every gap: 5, or a range like 3-8 of which the best length is chosen."""
    temperature: float = 0.0
    """0 always takes the likeliest (left to right: by beam search)."""
    candidates: int | None = None
    """Fillings of which the best is kept; none: 1, or 16 from left to right."""
    rewrite: int = 0
    """Rounds in which the most doubtful cells are written again."""
    rewrite_share: float = 0.2
    """Share of the written cells that are doubted in each round."""
    seed: int = 0
    """Of the draws."""
    watch: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show the page as it is written."""
    html: Path | None = None
    """Save the animation as one HTML file."""
    gif: Path | None = None
    """Save the animation as a GIF (needs the extra gif)."""
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace files that are there."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print text, moments and confidences as JSON."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Fill, arguments, "semagram fill")
    for path in (options.html, options.gif):
        if path is not None:
            refuse_existing(path, options.force)
    if options.rewrite == 0 and options.rewrite_share != 0.2:
        raise UserError(f"--rewrite-share {options.rewrite_share} cannot act without --rewrite.")
    from semagram.trained import load
    from semagram.verbs.filled_text import Filling
    from semagram.verbs.filling.filled import Rewriting

    text = _text(options)
    model = load(options.run)
    filling = Filling(
        gap=options.gap,
        length=options.length,
        temperature=options.temperature,
        candidates=options.candidates,
        rewriting=Rewriting(options.rewrite, options.rewrite_share) if options.rewrite else None,
        seed=options.seed,
    )
    found = model.fill(text, filling)
    if options.watch:
        _show(found, model)
    _save(found, model, options)
    print(json.dumps(found.to_json(), ensure_ascii=False) if options.json else found.text)
    return 0


def _text(options: Fill) -> str:
    if options.text is not None:
        if options.file != "-":
            raise UserError(f"give a FILE or --text, not both: got {options.file} and --text.")
        return options.text
    if options.file == "-":
        return sys.stdin.read().removesuffix("\n")
    path = Path(options.file)
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    # The last line's end belongs to the file, not to the page.
    return path.read_text(encoding="utf-8").removesuffix("\n")


def _save(found: FilledText, model: TrainedModel, options: Fill) -> None:
    from semagram.lab.animation import to_html, write_gif

    layout, texts = model.experiment.layout, model.tokenizer.token_texts()
    if options.html is not None:
        write_whole(options.html, to_html(found, layout, texts, f"filled by {options.run}").encode())
    if options.gif is not None:
        write_gif(found, layout, texts, options.gif)


def _show(found: FilledText, model: TrainedModel) -> None:
    """On a terminal frame by frame; elsewhere the last frame alone."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from semagram.lab.animation import colour, frames

    console = Console(file=sys.stderr)

    def drawn(frame: list) -> Text:
        text = Text()
        for row in frame:
            for cell, moment, sure in row:
                style = "" if moment is None else "black on #{:02x}{:02x}{:02x}".format(*colour(moment, sure))
                text.append(cell, style=style)
            text.append("\n")
        return text

    every = [drawn(frame) for frame in frames(found, model.experiment.layout, model.tokenizer.token_texts())]
    if not console.is_terminal:
        console.print(every[-1])
        return
    pause = min(0.12, 6.0 / len(every))
    with Live(console=console, auto_refresh=False) as live:
        for frame in every:
            live.update(frame, refresh=True)
            time.sleep(pause)
