"""From what the user names to one text: every source read, joined, and identified by a checksum.

A document that is there twice counts once. Otherwise the copy could fall into the held-out part, and a model
would be praised for remembering it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from semagram.errors import UserError
from semagram.text.catalogue import DEFAULT_CORPUS
from semagram.text.fetch import FETCHING, Fetching
from semagram.text.places import Places
from semagram.text.sources import Document, read_source
from semagram.text.splits import Split


@dataclass(frozen=True)
class Text:
    """A text, the names of the documents in it, the SHA-256 of its UTF-8 form, and how to split it."""

    text: str
    names: tuple[str, ...]
    sha256: str
    split: Split = Split()

    @cached_property
    def parts(self) -> tuple[str, str, str]:
        """(train, validation, test) by this text's own split; joined they are the text."""
        return self.split.cut(self.text)


def load_text(
    sources: Sequence[str] = (DEFAULT_CORPUS,),
    *,
    encoding: str = "utf-8",
    separator: str = "\n",
    data_folder: str | Path | None = None,
    cache_folder: str | Path | None = None,
    fetching: Fetching = FETCHING,
) -> Text:
    """Return the text of all `sources`, in their order, with `separator` between two documents.

    `encoding` is that of the user's files. `data_folder` (else $SEMAGRAM_DATA) is looked into for named
    corpora before `cache_folder` (else $SEMAGRAM_CACHE, else the user's cache), and only then is one fetched.
    UserError, one line, for whatever is missing, unreadable, empty or no text.
    """
    wanted = (sources,) if isinstance(sources, str) else tuple(sources)
    if not wanted:
        raise UserError("no source of text is given; name a file, a folder, a glob, - or a corpus.")
    places = Places.find(data_folder, cache_folder)
    documents: dict[str, Document] = {}
    for source in dict.fromkeys(wanted):  # standard input, for one, can be read only once
        for document in read_source(source, places, encoding, fetching):
            documents.setdefault(document.text, document)
    text = separator.join(document.text for document in documents.values())
    rules = {document.split for document in documents.values()}
    rule = rules.pop() if len(rules) == 1 else None  # texts with different rules are split in the ordinary way
    return Text(
        text=text,
        names=tuple(document.name for document in documents.values()),
        sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
        split=rule or Split(),
    )
