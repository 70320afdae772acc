"""What a user may write where a text is wanted, and the documents it stands for.

A path, a folder, a glob, `-`, a named corpus, `gutenberg:NUMBERS` or `hf:NAME`. What exists as a path is that
path; then come the user's data folder, the names we know, and at last the error, with the nearest of all
these.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from semagram.errors import UserError
from semagram.text import files
from semagram.text.catalogue import CATALOGUE, find_named
from semagram.text.fetch import FETCHING, Fetching
from semagram.text.gutenberg import load_books, parse_numbers
from semagram.text.hugging_face import load_hugging_face, parse_hugging_face
from semagram.text.named import read_named
from semagram.text.places import Places
from semagram.text.splits import Split


@dataclass(frozen=True)
class Document:
    """One text with its name and, if it comes with one, its rule for splitting it."""

    name: str
    text: str
    split: Split | None = None


def read_source(source: str, places: Places, encoding: str = "utf-8", fetching: Fetching = FETCHING) -> list[Document]:
    """Return the documents that `source` stands for, at least one. UserError says why there is none."""
    expanded = os.path.expanduser(source)
    if not source.strip():
        raise UserError("a source is empty; give a file, a folder, a glob, - or a named corpus.")
    if source == "-":
        return [Document("-", files.read_stdin(encoding))]
    if os.path.isdir(expanded):
        return _read_files(files.list_folder(Path(expanded)), encoding)
    if os.path.exists(expanded):
        return _read_files([Path(expanded)], encoding)
    kind, colon, rest = source.partition(":")
    if kind == "gutenberg" and colon:
        numbers = parse_numbers(rest)
        books = load_books(numbers, places, fetching)
        return [Document(f"gutenberg:{n}", text) for n, text in zip(numbers, books, strict=True)]
    if kind == "hf" and colon:
        text = load_hugging_face(parse_hugging_face(rest))
        if not text:
            raise UserError(f"{source} holds no text.")
        return [Document(source, text)]
    if any(mark in source for mark in "*?["):
        return _read_files(files.list_glob(source), encoding)
    corpus = find_named(source)
    if corpus is not None:
        texts = read_named(corpus, places, fetching)
        names = [source] if len(texts) == 1 else [f"{source}/{place}" for place in range(1, len(texts) + 1)]
        return [Document(name, text, corpus.split) for name, text in zip(names, texts, strict=True)]
    own = places.in_data(source, f"{source}.txt")
    if own is not None:
        return _read_files([own], encoding)
    raise files.missing(source, also=tuple(corpus.name for corpus in CATALOGUE))


def _read_files(paths: list[Path], encoding: str) -> list[Document]:
    return [Document(str(path), files.read_file(path, encoding)) for path in paths]
