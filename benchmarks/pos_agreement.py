"""How often ``PartOfSpeech`` gives the tag that a tagger trained on UD English-EWT gives, on texts that neither learnt.

    python -m benchmarks.pos_agreement FOLDER LEXICON TEXT [TEXT ...]

FOLDER is ``src/denckring_en_pos`` of the unpacked source of denckring-en-pos 0.6.0 (Apache-2.0, CC BY-SA; an averaged
perceptron that reads the sentence, 0.934 of all tags on the test split of UD English-EWT v2.18 without punctuation);
LEXICON is ``en-lexicon.txt`` of textblob 0.20.1, whose most frequent tags are judged beside ours: they are 0.817 right
on that test split, 0.913 coarse. 60,000 characters of each text, from a third of it on; sentences with apostrophes,
which treebanks cut otherwise, are left out. One JSON line a text.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from semagram.text.labels.part_of_speech import universal
from semagram.text.labels.tagsets import PENN
from semagram.text.labels.universal import COARSE, TAGS
from semagram.text.labels.words import sentences


def tagger_of(folder: Path) -> Any:
    """The perceptron, without the rest of its package."""
    spec = importlib.util.spec_from_file_location("perceptron", folder / "perceptron.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    raw = json.loads(gzip.decompress((folder / "data" / "tagger.json.gz").read_bytes()))
    parts = {name: raw[name] for name in ("weights", "tagdict", "classes")}
    return module.Tagger(**parts, vocabulary=frozenset(raw["vocabulary"]))


def lexicon_of(path: Path) -> dict[str, str]:
    """Word -> tag, as it stands there."""
    rows = [line.split() for line in path.read_text("utf-8").splitlines() if not line.startswith(";;;")]
    return {row[0]: PENN.get(row[1], "X") for row in rows if len(row) > 1}


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    given = parser.parse_args()
    tagger, lexicon = tagger_of(given.folder), lexicon_of(given.lexicon)

    def plain(word: str) -> str:
        unknown = "PROPN" if word[0].isupper() else "NUM" if word[0].isdigit() else "NOUN"
        return lexicon.get(word) or lexicon.get(word.lower()) or unknown

    for path in given.texts:
        text = path.read_text("utf-8", "ignore")
        text = text[len(text) // 3 :][:60_000]
        told = []
        for places in sentences(text):
            words = [text[start:end] for start, end in places]
            if not any("'" in word for word in words):
                told += [
                    (universal(w), plain(w), t.split("|")[0]) for w, t in zip(words, tagger.tag(words), strict=True)
                ]
        told = [row for row in told if row[2] in TAGS]
        shares = {}
        for name, place in (("ours", 0), ("lexicon", 1)):
            shares[name] = sum(row[place] == row[2] for row in told) / len(told)
            same = sum(COARSE.get(row[place], row[place]) == COARSE.get(row[2], row[2]) for row in told)
            shares[f"{name}_coarse"] = same / len(told)
        print(json.dumps({"text": path.name, "words": len(told), **shares}))


if __name__ == "__main__":
    main()
