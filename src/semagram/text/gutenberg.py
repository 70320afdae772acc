"""Books of Project Gutenberg by number, without their licence header and footer.

Each book is fetched once, politely (one request at a time, with a pause), kept as it came in the cache and
stripped when read. SEMAGRAM_MIRROR_GUTENBERG names another site: its base address, or an address with
{number} in it.
"""

import os
import re
import time
from pathlib import Path

from semagram.errors import UserError
from semagram.text.fetch import FETCHING, Fetching, fetch
from semagram.text.places import Places

DEFAULT_MIRROR = "https://www.gutenberg.org"
MIRROR_VARIABLE = "SEMAGRAM_MIRROR_GUTENBERG"
LARGEST_NUMBER = 999_999
MOST_BOOKS = 200  # one command must not become a crawler

# "*** START OF THIS PROJECT GUTENBERG EBOOK TITLE ***", with or without spaces, the title over one line or
# several; before 2003 the header ended with the "small print".
_TITLE_AND_STARS = r"(?:[^*]|\*(?!\*\*)){0,400}?\*\*\*[ \t]*"
_START = re.compile(
    r"^[ \t]*\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)" + _TITLE_AND_STARS + "$",
    re.IGNORECASE | re.MULTILINE,
)
_SMALL_PRINT_END = re.compile(r"^\*END[ *]*THE SMALL PRINT!.*$", re.IGNORECASE | re.MULTILINE)
_SMALL_PRINT_REACH = 20_000  # characters from the beginning within which it stands, when it does
_END = re.compile(
    r"^[ \t]*\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)"
    r"|^[ \t]*End of (?:the |this )?Project Gutenberg\b",
    re.IGNORECASE | re.MULTILINE,
)
_DECLARED_ENCODING = re.compile(rb"^Character set encoding:[ \t]*([A-Za-z0-9_-]+)", re.MULTILINE)


def parse_numbers(given: str) -> tuple[int, ...]:
    """Return the book numbers of '84', '84,43,35', '10-12' or a mixture, in that order, each once.

    UserError for anything else, for numbers outside 1..999999 and for more than 200 books.
    """
    numbers: dict[int, None] = {}
    for item in given.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?\s*", item)
        if match is None:
            raise UserError(
                f'"{item.strip()}" in gutenberg:{given} is no book number; allowed are numbers '
                f"1..{LARGEST_NUMBER}, lists and ranges, e.g. gutenberg:84,43 or gutenberg:10-12."
            )
        first = int(match[1])
        last = int(match[2] or match[1])
        if first < 1 or last < first:
            raise UserError(f'"{item.strip()}" in gutenberg:{given} must be a number from 1 on, or a rising range.')
        if last - first >= MOST_BOOKS or len(numbers) >= MOST_BOOKS:
            raise UserError(f"gutenberg:{given} asks for more than {MOST_BOOKS} books; take fewer at once.")
        numbers.update(dict.fromkeys(range(first, last + 1)))
    return tuple(numbers)


def strip_licence(text: str) -> str:
    """Return the book in `text` without licence header and footer and without blank lines around it.

    What is not marked is kept, so a text already stripped stays as it is. Line ends become '\\n'.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start = _START.search(text)
    begin = start.end() if start else 0
    small_print = _SMALL_PRINT_END.search(text, begin, begin + _SMALL_PRINT_REACH)
    begin = small_print.end() if small_print else begin
    end = _END.search(text, begin)
    lines = text[begin : end.start() if end else len(text)].rstrip()
    return re.sub(r"\A(?:[ \t]*\n)+", "", lines) + "\n" if lines.strip() else ""


def find_book(number: int, places: Places) -> tuple[Path | None, bool]:
    """Return where the book lies on this machine, or None, and whether that is the user's data folder."""
    names = (f"gutenberg/{number}.txt", f"pg{number}.txt")
    own = places.in_data(*names)
    return (own, True) if own is not None else (places.in_cache(*names), False)


def load_books(numbers: tuple[int, ...], places: Places, fetching: Fetching = FETCHING) -> list[str]:
    """Return the stripped text of each book, fetching those that are not on this machine.

    UserError if one cannot be fetched, is not readable text or is empty without its licence.
    """
    books: list[str] = []
    fetched = False
    for number in numbers:
        path, _ = find_book(number, places)
        if path is None:
            if fetched:
                time.sleep(fetching.pause)
            path = fetch(
                book_address(number),
                places.cache / "gutenberg" / f"{number}.txt",
                check=_fault,
                hint=f"{MIRROR_VARIABLE} names another mirror.",
                fetching=fetching,
            )
            fetched = True
        books.append(_read_book(number, path))
    return books


def book_address(number: int) -> str:
    """Return the address of a book's UTF-8 text at the mirror of the environment, or the main site."""
    mirror = os.environ.get(MIRROR_VARIABLE) or DEFAULT_MIRROR
    if "{number}" in mirror:
        return mirror.replace("{number}", str(number))
    return f"{mirror.rstrip('/')}/cache/epub/{number}/pg{number}.txt"


def _read_book(number: int, path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from None
    text = strip_licence(_decode(data, path))
    if not text:
        raise UserError(f"book {number} ({path}) holds no text apart from its licence.")
    return text


def _decode(data: bytes, path: Path) -> str:
    declared = _DECLARED_ENCODING.search(data)
    for encoding in ("utf-8-sig", declared[1].decode("ascii") if declared else None):
        try:
            if encoding is not None:
                return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    raise UserError(f"{path} is not UTF-8 text and its header names no other encoding; convert it to UTF-8.")


def _fault(path: Path) -> str | None:
    """What is wrong with a fetched book: sites and proxies answer with web pages, connections end early."""
    text = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    start = _START.search(text)
    if start is None:
        return "it has no line *** START OF THE PROJECT GUTENBERG EBOOK"
    if _END.search(text, start.end()) is None:
        return "it ends before the line *** END OF THE PROJECT GUTENBERG EBOOK"
    return None
