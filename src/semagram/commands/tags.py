"""``semagram tags TEXT --labels pos morphemes``: what labellers say of a text, and how much they know of its future."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from semagram.commands.options import parse
from semagram.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np

    from semagram.text.labels import TextLabeller


@dataclass(frozen=True)
class Tags:
    """Print a text with its tags above, how often each tag occurs, and how often it is known too early."""

    text: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")]
    """Files, folders, globs, - for standard input, or named corpora."""
    labels: tuple[str, ...] = ("pos", "morphemes")
    """Labellers: pos, morphemes, finished:pos, ..., FILE.py:function, or JSON of a configuration. --labels help lists
    them."""
    characters: int = 400
    """Of the text's beginning that are shown with their tags; 0: none."""
    counted: int = 200_000
    """Of the text that are counted and in which the peek rate is measured."""
    prefixes: int = 400
    """Places where the text is cut for the peek rate; 0: it is not measured."""
    seed: int = 0
    """Of those places."""
    width: int = 100
    """Characters of a printed line."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """As JSON: for each labeller names, counts, peek rate and the tags of the characters shown."""


SHORT = {
    "pos": "PartOfSpeech",
    "hanta": "HanTaTags",
    "textblob": "TextBlobTags",
    "nltk": "NltkTags",
    "spacy": "SpacyTags",
}
"""Names that are shorter than the class's."""


def run(arguments: list[str]) -> int:
    """The command."""
    options = parse(Tags, arguments, "semagram tags")
    if options.characters < 0 or options.counted < 1 or options.prefixes < 0 or options.width < 20:
        raise UserError("--characters and --prefixes must be at least 0, --counted 1 and --width 20.")
    from semagram.text import load_text
    from semagram.text.labels import peek_rate

    labellers = {word: labeller_of(word) for word in options.labels}
    if not labellers:
        raise UserError(f"name at least one labeller: {', '.join(known())}.")
    text = load_text(options.text).text[: options.counted]
    if not text:
        raise UserError("the text is empty: there is nothing to label.")
    every = {}
    for word, labeller in labellers.items():
        tags = labeller.label(text)
        peek = peek_rate(labeller, text, prefixes=options.prefixes, seed=options.seed) if options.prefixes else None
        every[word] = (labeller, tags, peek)
    if options.json:
        told = {}
        for word, (labeller, tags, peek) in every.items():
            names = labeller.names()
            told[word] = {
                "labeller": type(labeller).__name__,
                "alignment": labeller.alignment,
                "causal": labeller.causal,
                "names": names,
                "counts": {names[tag]: times for tag, times in sorted(Counter(tags.tolist()).items())},
                "peek_rate": None if peek is None else peek.rate,
                "peek_interval": None if peek is None else peek.interval,
                "peek_rate_of_labelled": None if peek is None else peek.labelled_rate,
                "tags": tags[: options.characters].tolist(),
            }
        print(json.dumps({"characters": len(text), "labels": told}, ensure_ascii=False))
        return 0
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=max(options.width, 60), highlight=False)
    shown = text[: options.characters]
    for line in above(shown, {w: (lab, tags[: len(shown)]) for w, (lab, tags, _) in every.items()}, options.width):
        console.print(Text(line[0], style=line[1]))
    table = Table(
        "labeller", "tags", "used", "tagged", "causal", "peek rate (95 %)", "of tagged", box=None, pad_edge=False
    )
    for word, (labeller, tags, peek) in every.items():
        cells = ("-", "-") if peek is None else (str(peek), f"{100 * peek.labelled_rate:.1f} %")
        causal = f"yes ({labeller.alignment})" if labeller.causal else "no"
        used = len(set(tags.tolist()) - {0})
        table.add_row(
            word, str(labeller.vocabulary_size), str(used), f"{100 * (tags != 0).mean():.1f} %", causal, *cells
        )
    console.print(table)
    for word, (labeller, tags, _) in every.items():
        names = labeller.names()
        counts = ", ".join(f"{names[tag]} {times:,}" for tag, times in Counter(tags.tolist()).most_common(12))
        console.print(Text(f"{word}: {counts}"))
    return 0


def known() -> dict[str, type]:
    """Each labeller under its short name: ``part_of_speech`` and ``pos``."""
    from semagram.config import members
    from semagram.text.labels import Labeller

    kinds = {kind.__name__: kind for kind in members(Labeller)}
    short = {word: kinds[name] for word, name in SHORT.items()}
    return short | {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): kind for name, kind in kinds.items()}


def labeller_of(word: str) -> TextLabeller:
    """The labeller that a word of the command line means: a name, ADAPTER:NAME, FILE.py:function or JSON.

    ``UserError`` naming what there is.
    """
    from semagram.config import from_json
    from semagram.text.labels import Function, Labeller

    if word.lstrip().startswith("{"):
        try:
            data = json.loads(word)
        except json.JSONDecodeError as error:
            raise UserError(f"--labels {word!r} is no JSON: {error}.") from None
        return from_json(Labeller, data, "labels")  # pyright: ignore[reportArgumentType, reportReturnType]
    if ".py:" in word:
        return Function(word)
    kinds = known()
    outer, colon, inner = word.rpartition(":")
    if inner not in kinds or (outer and outer.rpartition(":")[2] not in ("finished", "running", "checksum", "noise")):
        wrong = inner if inner not in kinds else outer
        raise UserError(
            f"there is no labeller {wrong!r}; there are {', '.join(kinds)}, with finished:, running:, checksum: or "
            f"noise: before them, FILE.py:function, and JSON.{nearest(wrong, kinds)}"
        )
    try:
        labeller = kinds[inner]()
    except TypeError:
        raise UserError(f"{inner} needs settings: give it as JSON, or as a recipe's axis.") from None
    for adapter in reversed(outer.split(":") if colon else []):
        labeller = kinds[adapter](of=labeller)
    return labeller


def above(text: str, labels: dict[str, tuple[TextLabeller, np.ndarray]], width: int) -> list[tuple[str, str]]:
    """The text in pieces of at most ``width`` characters, each under one row of names a labeller; (row, style).

    A name stands where its tag begins and is cut off where the next begins; a bar marks a run too short for it.
    """
    margin = max((len(word) for word in labels), default=0) + 1
    rows: list[tuple[str, str]] = []
    start = 0
    while start < len(text):
        newline = text.find("\n", start, start + width - margin)
        end = min(start + width - margin, len(text)) if newline < 0 else newline + 1
        piece = text[start:end]
        if piece.strip():
            for word, (labeller, tags) in labels.items():
                rows.append((f"{word:<{margin}}" + named(labeller.names(), tags[start:end].tolist()), "cyan"))
            rows.append((" " * margin + "".join(c if c.isprintable() else " " for c in piece), "bold"))
            rows.append(("", ""))
        start = end
    return rows


def named(names: Sequence[str], tags: Sequence[int]) -> str:
    """Names over runs of equal tags, so many characters as there are tags."""
    row, begin = "", 0
    for end in range(1, len(tags) + 1):
        if end == len(tags) or tags[end] != tags[begin]:
            name = names[tags[begin]] if tags[begin] else ""
            length = end - begin
            row += (name if len(name) < length else name[: length - 1] + "|" if name else "").ljust(length)
            begin = end
    return row
