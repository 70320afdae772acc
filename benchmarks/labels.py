"""How fast labellers are, how often they peek, and how far the word-only tagger agrees with others.

    python -m benchmarks.labels TEXT [--rounds 3] [--json] [--silver FILE]

Words a second of ``label`` over the whole text (the best of the rounds, one thread), of the reader on its first 20,000
characters, and the peek rate. TEXT is a file. ``--silver`` adds the agreement of ``PartOfSpeech`` with a JSON file of
sentences [[[word, tag], ...], ...] in the tags of Universal Dependencies, all fourteen and coarse. Gold files (CoNLL-U,
``*.conllu``) are read too: then it is accuracy. Tokens that hold no letter or digit are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semagram.commands.tags import labeller_of
from semagram.errors import UserError
from semagram.text.labels import PartOfSpeech, Speaker, TextLabeller, peek_rate
from semagram.text.labels.universal import COARSE
from semagram.text.labels.words import WORD

NAMES = (
    "character_class", "position_in_word", "position_in_sentence", "position_in_line", "bracket_depth", "indentation",
    "line_start", "document", "word_frequency", "morphemes", "pos", "rules", "lexeme", "lemma",
    "finished:pos", "finished:morphemes", "running:pos", "running:morphemes", "checksum:pos", "noise:pos",
)  # fmt: skip


def row(name: str, labeller: TextLabeller, text: str, words: int, rounds: int) -> dict[str, Any]:
    """What one labeller is measured at."""
    best = min(_seconds(labeller, text) for _ in range(rounds))
    found: dict[str, Any] = {"labeller": name, "tags": labeller.vocabulary_size, "causal": labeller.causal}
    found["words_a_second"] = round(words / best)
    found["reader_characters_a_second"] = None
    if labeller.causal:
        read, start = labeller.reader().read, time.perf_counter()
        for char in text[:20_000]:
            read(char)
        found["reader_characters_a_second"] = round(len(text[:20_000]) / (time.perf_counter() - start))
    peek = peek_rate(labeller, text)
    return {**found, "peek_rate": peek.rate, "peek_interval": peek.interval, "of_tagged": peek.labelled_rate}


def _seconds(labeller: TextLabeller, text: str) -> float:
    start = time.perf_counter()
    labeller.label(text)
    return time.perf_counter() - start


def tagged(path: Path) -> Iterator[tuple[str, str]]:
    """Words and their tags from a JSON or CoNLL-U file."""
    if path.suffix == ".conllu":
        for line in path.read_text("utf-8").splitlines():
            cells = line.split("\t")
            if len(cells) == 10 and cells[0].isdigit():
                yield cells[1], cells[3]
    else:
        yield from ((word, tag) for sentence in json.loads(path.read_text("utf-8")) for word, tag in sentence)


def agreement(path: Path) -> dict[str, Any]:
    """Share of words whose tag is that of the file."""
    labeller, pairs = PartOfSpeech(), [(w, t) for w, t in tagged(path) if re.search(r"[^\W_]", w)]
    said = [(labeller.tag(word), tag) for word, tag in pairs]
    coarse = sum(COARSE.get(a, a) == COARSE.get(b, b) for a, b in said)
    return {
        "file": path.name,
        "words": len(pairs),
        "universal": sum(a == b for a, b in said) / len(pairs),
        "coarse": coarse / len(pairs),
    }


def main() -> None:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--silver", type=Path, nargs="*", default=[])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    text = given.text.read_text("utf-8")
    words = len(WORD.findall(text))
    rows = []
    for name, labeller in [*((n, labeller_of(n)) for n in NAMES), ("speaker", Speaker.of(text))]:
        try:
            rows.append(row(name, labeller, text, words, given.rounds))
        except UserError as error:
            rows.append({"labeller": name, "missing": str(error)})
    agreements = [agreement(path) for path in given.silver]
    if given.json:
        print(json.dumps({"characters": len(text), "words": words, "labellers": rows, "agreement": agreements}))
        return
    for r in rows:
        if "missing" in r:
            print(f"{r['labeller']:22} {r['missing']}")
            continue
        reader = f"{r['reader_characters_a_second'] or 0:>11,}"
        causal = "causal" if r["causal"] else "      "
        speed = f"{r['words_a_second']:>11,} words/s  reader {reader} characters/s"
        print(f"{r['labeller']:22}{r['tags']:5} {causal} {speed}  peek {100 * r['peek_rate']:5.1f} %")
    for a in agreements:
        print(f"{a['file']}: {a['words']:,} words, all tags {a['universal']:.3f}, coarse {a['coarse']:.3f}")


if __name__ == "__main__":
    main()
