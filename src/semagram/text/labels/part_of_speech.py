"""Part of speech of a word by itself: closed classes, a lexicon, and the word's ending. It looks at no other word.

In this order: a number; a word of a closed class (``closed_class.py``); the lexicon, as written, then in lower case;
what stands before an apostrophe; the longest known ending. A word with a capital that nothing knows is a name. Lexicon
and endings (``part_of_speech.txt``) are made by ``benchmarks/pos_lexicon.py`` from the lexicon of Brill's tagger (1992:
the most frequent tag of each word in the Brown corpus and the Penn Treebank; MIT licence), of which a word is kept only
where the ending alone would be wrong. Since it reads words one at a time, the tag of a *finished* word never looks
ahead: ``Finished(PartOfSpeech())`` is an honest axis. Accuracy: see ``docs/labels.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from semagram.text.labels.closed_class import CLOSED
from semagram.text.labels.contract import NONE, WordLabeller
from semagram.text.labels.universal import COARSE, COARSE_TAGS, TAGS
from semagram.text.labels.words import APOSTROPHES


@dataclass(frozen=True)
class PartOfSpeech(WordLabeller):
    """The tag of Universal Dependencies of each word."""

    coarse: bool = False
    """Merge AUX with VERB, PROPN with NOUN, SCONJ and PART with ADP, DET with PRON: nine tags instead of fourteen."""

    def names(self) -> tuple[str, ...]:
        """none and fourteen or nine tags."""
        return (NONE, *(COARSE_TAGS if self.coarse else TAGS))

    def tag(self, word: str) -> str:
        """The name of the tag of a word."""
        tag = universal(word)
        return COARSE.get(tag, tag) if self.coarse else tag

    def letters(self, word: str) -> Sequence[int]:
        """The same tag on each letter."""
        return [1 + (COARSE_TAGS if self.coarse else TAGS).index(self.tag(word))] * len(word)


def universal(word: str) -> str:
    """The tag of a word, one of ``TAGS``."""
    lexicon, _ = tables()
    word = word.replace(APOSTROPHES[1], "'")
    lower = word.lower()
    if lower in CLOSED:
        return CLOSED[lower]
    if word in lexicon:
        return lexicon[word]
    if lower in lexicon:
        return lexicon[lower]
    stem, apostrophe, clitic = word.rpartition("'")
    if apostrophe and stem:
        return "AUX" if clitic == "t" and stem.endswith("n") else universal(stem)
    if word[:1].isdigit():
        return "NUM" if word.isdigit() else "ADJ" if lower.endswith(("st", "nd", "rd", "th")) else "NUM"
    tag = ending(lower)
    return "PROPN" if tag == "NOUN" and word[:1].isupper() else tag


def ending(word: str) -> str:
    """The tag that the longest known ending of a word in lower case suggests; NOUN when none is known."""
    _, endings = tables()
    for length in range(min(len(word) - 1, LONGEST_ENDING), 0, -1):
        tag = endings.get(word[-length:])
        if tag is not None:
            return tag
    return "NOUN"


LONGEST_ENDING = 5


@cache
def tables() -> tuple[dict[str, str], dict[str, str]]:
    """The lexicon and the endings: a line "TAG word word -ending ..." for some of their words each, # for remarks."""
    lexicon: dict[str, str] = {}
    endings: dict[str, str] = {}
    for line in files("semagram.text.labels").joinpath("part_of_speech.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        tag, *words = line.split(" ")
        for word in words:
            if word.startswith("-"):
                endings[word[1:]] = tag
            else:
                lexicon[word] = tag
    return lexicon, endings
