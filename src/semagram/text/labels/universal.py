"""The parts of speech that words can have: those of Universal Dependencies but PUNCT, SYM and X."""

from __future__ import annotations

TAGS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "SCONJ", "VERB")
"""Tag i + 1."""
COARSE = {"AUX": "VERB", "PROPN": "NOUN", "SCONJ": "ADP", "PART": "ADP", "DET": "PRON"}
"""What a coarse tagger does not tell apart."""
COARSE_TAGS = tuple(tag for tag in TAGS if tag not in COARSE)


def tag_of(name: str) -> int:
    """The number of a tag; 0 for what is none of ``TAGS``."""
    return 1 + TAGS.index(name) if name in TAGS else 0
