"""Makes ``part_of_speech.txt`` and ``common_words.txt`` of the labellers anew, from packages and public texts.

    python -m benchmarks.pos_lexicon LEXICON [TEXT ...]

LEXICON is ``en-lexicon.txt`` of the package textblob (0.20.1): Brill's lexicon. From it: endings (for each up to five
letters long the tag that most words with it have, kept where it differs from what shorter endings say and enough words
bear it out), then the words for which endings and closed classes give another tag than the lexicon does. Words that are
only ever names need not be kept: an unknown word with a capital is one. TEXTs give the most frequent words; without,
``common_words.txt`` stays.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections import Counter, defaultdict
from pathlib import Path

from semagram.text.labels.closed_class import CLOSED
from semagram.text.labels.part_of_speech import LONGEST_ENDING
from semagram.text.labels.tagsets import PENN
from semagram.text.labels.words import WORD

HERE = Path(__file__).parents[1] / "src" / "semagram" / "text" / "labels"
LEAST = 12
"""Words that must bear out an ending."""
CLEAR = 0.6
"""Share of them that must agree."""
NOTICE = """# Words and endings with their most frequent part of speech, made by benchmarks/pos_lexicon.py.
# From the lexicon of Brill's rule based tagger v1.14, trained on the Brown corpus and the Penn Treebank:
# Copyright 1993 by the Massachusetts Institute of Technology and the University of Pennsylvania. MIT license:
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
# documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
# rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
# persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice
# and this permission notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS
# PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
# MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
# HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
# ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def lexicon_of(path: Path) -> dict[str, str]:
    """Word -> tag of Universal Dependencies, of single words that the labeller can meet."""
    found = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(";;;") or " " not in line.strip():
            continue
        word, tag = line.split()[:2]
        universal = PENN.get(tag.split("|")[0])
        if universal is not None and WORD.fullmatch(word) and word.lower() not in CLOSED and word.isascii():
            found[word] = universal
    return found


def endings_of(lexicon: dict[str, str]) -> dict[str, str]:
    """Ending -> tag, the shorter first, each kept only where it says something new."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for word, tag in lexicon.items():
        if word.islower() and word.isalpha():
            for length in range(1, min(len(word) - 1, LONGEST_ENDING) + 1):
                counts[word[-length:]][tag] += 1
    found: dict[str, str] = {}
    for ending in sorted(counts, key=lambda e: (len(e), e)):
        tag, times = counts[ending].most_common(1)[0]
        total = counts[ending].total()
        if total >= LEAST and times >= CLEAR * total and tag != _ending(ending, found):
            found[ending] = tag
    return found


def _ending(word: str, endings: dict[str, str]) -> str:
    return next(
        (endings[word[i:]] for i in range(max(len(word) - LONGEST_ENDING, 0), len(word)) if word[i:] in endings), "NOUN"
    )


def kept(lexicon: dict[str, str], endings: dict[str, str]) -> dict[str, str]:
    """The words that endings get wrong; lower case first, since a capital falls back on it."""

    def guessed(word: str, known: dict[str, str]) -> str:
        if word.lower() in known:
            return known[word.lower()]
        if word[:1].isdigit():
            return "NUM"
        lower = word.lower()
        tag = _ending(lower[1:], endings) if len(lower) > 1 else "NOUN"
        return "PROPN" if tag == "NOUN" and word[:1].isupper() else tag

    known: dict[str, str] = {}
    for word in sorted(lexicon, key=lambda w: (w != w.lower(), w)):
        stem = re.sub("'.*", "", word)
        if stem == word and guessed(word, known) != lexicon[word]:
            known[word] = lexicon[word]
    return known


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("texts", type=Path, nargs="*")
    given = parser.parse_args()
    lexicon = lexicon_of(given.lexicon)
    endings = endings_of(lexicon)
    words = kept(lexicon, endings)
    rows = []
    for tag in sorted(set(lexicon.values())):
        mine = [f"-{e}" for e, t in sorted(endings.items()) if t == tag] + sorted(
            w for w, t in words.items() if t == tag
        )
        rows += [f"{tag} {row}" for row in textwrap.wrap(" ".join(mine), 110, break_on_hyphens=False)]
    (HERE / "part_of_speech.txt").write_text(NOTICE + "\n".join(rows) + "\n", "utf-8")
    print(f"{len(lexicon):,} words, {len(endings):,} endings, {len(words):,} words kept")
    if given.texts:
        counts: Counter[str] = Counter()
        for text in given.texts:
            found = Counter(w.lower() for w in WORD.findall(text.read_text("utf-8", "ignore")) if not w[0].isdigit())
            total = found.total()
            counts.update({word: round(10**9 * times / total) for word, times in found.items()})
        common = sorted(counts, key=lambda w: (-counts[w], w))[:2040]
        (HERE / "common_words.txt").write_text(
            textwrap.fill(" ".join(common), 120, break_on_hyphens=False) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
