"""Text from the user's own files: a file (plain, .gz, .bz2 or .xz), a folder, a glob, or standard input.

The text is taken as it stands, line ends included; only a byte-order mark is dropped. Whatever is not text is
refused with the place where it stops being text, since a model trained on half-decoded bytes looks like a bad
model.
"""

import bz2
import codecs
import encodings.aliases
import glob
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from semagram.errors import UserError, nearest, nearest_word

_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}
_KNOWN_BEGINNINGS = (
    (b"%PDF", "a PDF file: save it as plain text first"),
    (b"PK\x03\x04", "a ZIP archive (or .docx, .epub): unpack it, or save it as plain text first"),
    (b"\x1f\x8b", "gzip data: name it .gz"),
    (b"BZh", "bzip2 data: name it .bz2"),
    (b"\xfd7zXZ\0", "xz data: name it .xz"),
    (codecs.BOM_UTF32_LE, "UTF-32 text: set the encoding to utf-32"),
    (codecs.BOM_UTF16_LE, "UTF-16 text: set the encoding to utf-16"),
    (codecs.BOM_UTF16_BE, "UTF-16 text: set the encoding to utf-16"),
)


def read_file(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of one file. UserError if it cannot be read, unpacked or decoded, or is empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from None
    unpack = _UNPACK.get(path.suffix.lower())
    if unpack is not None and data:
        try:
            data = unpack(data)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise UserError(f"cannot unpack {path}: {error}.") from None
    return decode_text(data, str(path), encoding)


def read_stdin(encoding: str = "utf-8") -> str:
    """Return all of standard input. UserError if it is empty or not text."""
    return decode_text(sys.stdin.buffer.read(), "standard input", encoding)


def decode_text(data: bytes, name: str, encoding: str = "utf-8") -> str:
    """Return `data` as text. UserError, naming it `name`, if it is empty, binary or in another encoding."""
    try:
        codec = codecs.lookup(encoding).name
        "".encode(encoding)
    except LookupError:
        known = {"latin-1", *(alias.replace("_", "-") for alias in encodings.aliases.aliases)}
        raise UserError(f'"{encoding}" is no text encoding, e.g. utf-8 or latin-1.{nearest(encoding, known)}') from None
    if not data:
        raise UserError(f"{name} is empty.")
    try:
        text = data.decode("utf-8-sig" if codec == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not {encoding} text: byte 0x{data[error.start]:02x} at offset {error.start}. "
            + (_guess(data) or "Set its encoding (older Western files: latin-1 or cp1252), or convert it to UTF-8.")
        ) from None
    if "\0" in text:
        offset = len(text[: text.index("\0")].encode(encoding))
        raise UserError(f"{name} is not text: NUL at offset {offset}. " + (_guess(data) or "It looks binary."))
    if not text:
        raise UserError(f"{name} is empty but for its byte-order mark.")
    return text


def list_folder(folder: Path) -> list[Path]:
    """Return all *.txt below `folder` that are not empty, sorted; hidden files and folders are left out.

    UserError if there are none.
    """
    found = [
        path
        for path in sorted(folder.rglob("*.txt"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and _has_content(path)
    ]
    if not found:
        raise UserError(f"the folder {folder} has no text: no *.txt in it or below it that is not empty.")
    return found


def list_glob(pattern: str) -> list[Path]:
    """Return the files that match `pattern` (*, ?, [...], and ** for any depth), sorted.

    UserError if none do.
    """
    matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
    found = [Path(match) for match in matches if _has_content(Path(match))]
    if not found:
        raise UserError(
            f"no file matches {pattern}." if not matches else f"what matches {pattern} is no file or empty."
        )
    return found


def missing(given: str, also: tuple[str, ...] = ()) -> UserError:
    """Return the error for a path that is not there, with the nearest name in its folder or in `also`."""
    path = Path(given).expanduser()
    if path.parent != Path(".") and not path.parent.is_dir():
        return UserError(f'"{given}" does not exist: there is no folder {path.parent}.')
    try:
        neighbours = {name: str(Path(given).with_name(name)) for name in os.listdir(path.parent)}
    except OSError:
        neighbours = {}
    allowed = {**dict.fromkeys(also), **neighbours}
    word = nearest_word(path.name, allowed)
    suggestion = f' Did you mean "{allowed[word] or word}"?' if word is not None else ""
    return UserError(f'"{given}" is neither a file, a folder nor a named corpus.{suggestion}')


def _has_content(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return True  # reading it will say why it cannot be read


def _guess(data: bytes) -> str:
    return next((f"It looks like {kind}." for beginning, kind in _KNOWN_BEGINNINGS if data.startswith(beginning)), "")
