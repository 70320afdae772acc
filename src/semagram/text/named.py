"""A named corpus on this machine: where it lies, how it gets here, and whether it is the right text.

The user's data folder comes first, then our cache, then Python itself or the network.
"""

import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from semagram.errors import UserError
from semagram.text.catalogue import CATALOGUE, Books, Download, FromPython, NamedCorpus
from semagram.text.fetch import FETCHING, Fetching, fetch, file_sha256
from semagram.text.files import read_file
from semagram.text.gutenberg import book_address, find_book, load_books
from semagram.text.locks import one_at_a_time
from semagram.text.places import Places

Whereabouts = Literal["path", "cached", "with Python", "to fetch"]


@dataclass(frozen=True)
class CorpusInfo:
    """A line of `semagram corpora`.

    `size` is in bytes; `checked` says what vouches for the text when it is read.

    `where` is `path` (the user's data folder), `cached`, `with Python` or `to fetch`, and `place` the file,
    files or address that this means.
    """

    name: str
    description: str
    size: int
    licence: str
    checked: Literal["SHA-256", "no checksum"]
    where: Whereabouts
    place: str


def corpora(data_folder: str | Path | None = None, cache_folder: str | Path | None = None) -> list[CorpusInfo]:
    """Return every named corpus and where it is; folders as in `load_text`.

    UserError if one named does not exist.
    """
    places = Places.find(data_folder, cache_folder)
    return [_info(corpus, places) for corpus in CATALOGUE]


def read_named(corpus: NamedCorpus, places: Places, fetching: Fetching = FETCHING) -> tuple[str, ...]:
    """Return the text of `corpus`, or its texts where it is several books, fetching what is not here.

    UserError if it cannot be had, or if a file under its name is another text.
    """
    path, _ = _own_file(corpus, places)
    match corpus.origin:
        case Download() as origin:
            path = path or _fetch_text(corpus.name, origin, places, fetching)
            _verify(corpus.name, origin, path)
            return (read_file(path),)
        case _ if path is not None:
            return (read_file(path),)
        case FromPython(build):
            return (build(),)
        case Books(numbers):
            return tuple(load_books(numbers, places, fetching))


def address_of(name: str, origin: Download) -> str:
    """Return where to fetch from: $SEMAGRAM_MIRROR_<NAME>, a whole address, or the usual one."""
    return os.environ.get(mirror_variable(name)) or origin.address


def mirror_variable(name: str) -> str:
    """Return the environment variable that names a corpus's address, e.g. SEMAGRAM_MIRROR_ENWIK8."""
    return "SEMAGRAM_MIRROR_" + name.upper().replace("-", "_")


def _own_file(corpus: NamedCorpus, places: Places) -> tuple[Path | None, Whereabouts]:
    names = (corpus.name, f"{corpus.name}.txt")
    path = places.in_data(*names)
    return (path, "path") if path is not None else (places.in_cache(*names), "cached")


def _info(corpus: NamedCorpus, places: Places) -> CorpusInfo:
    path, where = _own_file(corpus, places)
    checked: Literal["SHA-256", "no checksum"] = "no checksum"
    place = str(path)
    match corpus.origin:
        case Download() as origin:
            checked = "SHA-256"
            if path is None:
                where, place = "to fetch", address_of(corpus.name, origin)
        case FromPython() if path is None:
            where, place = "with Python", "made when asked for"
        case Books(numbers) if path is None:
            found = [find_book(number, places) for number in numbers]
            missing = [number for number, (book, _) in zip(numbers, found, strict=True) if book is None]
            where = "to fetch" if missing else "path" if all(own for _, own in found) else "cached"
            place = ", ".join(map(book_address, missing) if missing else (str(book) for book, _ in found))
        case _:
            pass
    return CorpusInfo(corpus.name, corpus.description, corpus.size, corpus.licence, checked, where, place)


def _fetch_text(name: str, origin: Download, places: Places, fetching: Fetching) -> Path:
    path = places.cache / f"{name}.txt"
    if origin.member is None:
        return _fetch_file(name, origin, path, fetching)
    with one_at_a_time(path):
        if not path.is_file():  # else another process was faster
            archive = _fetch_file(name, origin, path.with_suffix(".zip"), fetching)
            _unpack(origin, origin.member, archive, path)
    return path


def _fetch_file(name: str, origin: Download, path: Path, fetching: Fetching) -> Path:
    variable = mirror_variable(name)
    return fetch(
        address_of(name, origin),
        path,
        size=origin.size,
        sha256=origin.sha256,
        hint=f"{variable} names another address, SEMAGRAM_DATA a folder that holds {name}.txt.",
        fetching=fetching,
    )


def _unpack(origin: Download, member: str, archive: Path, path: Path) -> None:
    """Put the member of the ZIP at `path`, checked and in one step, and remove the ZIP."""
    part = path.with_name(f"{path.name}.part")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source, open(part, "wb") as file:
            left = origin.text_size + 1  # a byte too many tells enough: no archive fills the disk
            while chunk := source.read(min(left, 1 << 20)):
                digest.update(chunk)
                file.write(chunk)
                left -= len(chunk)
        if digest.hexdigest() != origin.text_sha256:
            raise zipfile.BadZipFile("its text has the wrong SHA-256")
        os.replace(part, path)
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error, NotImplementedError) as error:
        archive.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
        raise UserError(f"{archive} is not the archive of {path.stem} and was deleted: {error}.") from None
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"cannot unpack {archive}: {error.strerror or error}.") from None
    archive.unlink(missing_ok=True)


def _verify(name: str, origin: Download, path: Path) -> None:
    try:
        size, sha256 = path.stat().st_size, file_sha256(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from None
    if sha256 != origin.text_sha256:
        raise UserError(
            f"{path} is not {name}: it has {size:,} bytes and SHA-256 {sha256}, expected "
            f"{origin.text_size:,} and {origin.text_sha256}. "
            f"Remove it to fetch {name}, or give its path to use it as it is."
        )
