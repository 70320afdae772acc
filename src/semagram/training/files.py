"""Files that are whole or not there: write beside, flush, rename; append without a buffer that could lie.

A process may be killed between any two instructions and the disk may be full: what stood under the name before
stands there still.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semagram.errors import UserError

TEMPORARY = ".tmp"


class CannotWrite(UserError):
    """The disk is full, or the folder may not be written to."""


def replace_whole(path: Path, write: Callable[[Path], None], failures: tuple[type[Exception], ...] = ()) -> None:
    """Let ``write`` make a temporary file beside ``path``, make sure it is on the disk, and put it in its place.

    Raises ``CannotWrite`` for an ``OSError`` (or one of ``failures``), with the temporary file removed.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        # What the user's umask gives; safetensors by itself lets nobody else read its files.
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)
        _flush_to_disk(temporary)
        os.replace(temporary, path)
        _flush_to_disk(path.parent)
    except (OSError, *failures) as error:
        temporary.unlink(missing_ok=True)
        raise CannotWrite(f"could not write {path}: {_reason(error)}") from error


def write_json(path: Path, data: Any) -> None:
    """Indented JSON, whole or not there."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    replace_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))  # type: ignore[arg-type, return-value]


def _flush_to_disk(path: Path) -> None:
    """``fsync`` of a file, or of a folder where the system has that (so that a rename is kept too)."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"{error}."


class Appended:
    """A file that lines are appended to; ``length`` bytes of it are ours, whatever stood behind them is cut off."""

    def __init__(self, path: Path, length: int) -> None:
        self._path = path
        # Python's own buffer would try a failed write again at exit, and hide how much is in the file.
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115
        found = self._file.seek(0, os.SEEK_END)
        if found < length:
            self._file.close()
            raise UserError(f"{path} has {found} bytes, but the checkpoint was made when it had {length}.")
        self._file.truncate(length)
        self.length = length

    def write(self, text: str) -> None:
        """Append; raises ``CannotWrite``."""
        data = text.encode("utf-8")
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            raise CannotWrite(f"could not write {self._path}: {_reason(error)}") from error
        self.length += len(data)

    def flush_to_disk(self) -> None:
        """Make sure that it is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """No more lines."""
        self._file.close()
