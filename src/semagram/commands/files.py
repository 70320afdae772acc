"""Writing a command's result: never over what is there unasked, never half."""

from __future__ import annotations

from pathlib import Path

from semagram.errors import UserError
from semagram.training.files import replace_whole


def refuse_existing(path: Path, force: bool) -> None:
    """Raise ``UserError`` when ``path`` is there and was not to be replaced, or its folder is not there."""
    if path.exists() and not force:
        raise UserError(f"{path} is there already: name another file, or replace it with --force.")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}.")


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` under a temporary name, flush it, and give it its own name."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    replace_whole(path, write)
