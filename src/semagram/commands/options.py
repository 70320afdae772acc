"""From the words of the command line to a typed value, and mistakes told in one line.

tyro does the parsing: dataclass fields become options, their docstrings the help. Three things are added here:
``none``, ``true`` and ``false`` may be written in lower case; ``--model.mixer Convolution`` exchanges a part of a
recipe for another member of its union; and tyro's boxed error becomes a single line.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import re
import types
import typing
from dataclasses import is_dataclass
from typing import Any, TypeVar

from semagram.config import from_json, members, to_json
from semagram.errors import UserError, nearest

T = TypeVar("T")
_WORDS = {"none": "None", "true": "True", "false": "False"}


def parse(kind: type[T], arguments: list[str], program: str, default: T | None = None) -> T:
    """A value of dataclass ``kind``; raises ``UserError`` naming the option that is wrong."""
    import tyro

    words = [_WORDS.get(a.lower(), a) for a in arguments]
    config = (tyro.conf.AvoidSubcommands,)

    def attempt() -> T:
        if default is None:
            return tyro.cli(kind, args=words, prog=program, config=config, use_underscores=False)
        return tyro.cli(kind, args=words, prog=program, config=config, use_underscores=False, default=default)

    if {"-h", "--help"} & set(words) or any(w.startswith("--tyro") for w in words):
        return attempt()
    with _captured() as told:
        try:
            return attempt()
        except SystemExit as end:
            if not end.code:
                raise
    raise UserError(f"{_one_line(told.getvalue())} See {program} --help.")


@contextlib.contextmanager
def _captured() -> typing.Iterator[io.StringIO]:
    """stderr into a string, on a terminal so wide that tyro's box never breaks a line."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            yield told
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _one_line(box: str) -> str:
    """What a box of tyro's says, in one line: the message, and the nearest option if it names some."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", box)
    rows = [row.strip("│╭╮╰╯─| \n") for row in text.splitlines()]
    rows = [row for row in rows if row and not set(row) <= set("-─")]
    # The first row is the box's title, the second what went wrong; a list of what is missing goes on below.
    message = rows[1] if len(rows) > 1 else text.strip()
    if message.endswith(":") and len(rows) > 3:
        message = f"{message} {rows[2]}, {rows[3].removesuffix(' (required)')}"
    message = re.sub(r"^Error parsing experiment(?:\.([\w.]+))?: ", "", message).removeprefix("Error parsing ")
    similar = [row.split()[0].rstrip(",") for row in rows if row.startswith("--")]
    hint = f" Did you mean {similar[0]}?" if similar and message.startswith("Unrecognized") else ""
    return f"{message.rstrip('.')}.{hint}"


def exchange_parts(default: T, arguments: list[str]) -> tuple[T, list[str]]:
    """Apply every ``--path.to.part Kind`` to ``default``; returns it and the arguments that are left.

    All exchanges are made together, and with the plain values given beside them, so that parts which only fit each
    other can be exchanged in one command. The plain values stay among the arguments: tyro checks them again.
    """
    data = to_json(default)
    pairs = [(a, b) for a, b in itertools.pairwise(arguments) if a.startswith("--")]
    exchanged = [(a, b) for a, b in pairs if _choices(type(default), a)]
    if not exchanged:
        return default, arguments
    for option, word in exchanged:
        if word.lower() == "none" and _may_be_none(type(default), option):
            _put(data, _path(option), None)
            continue
        names = {c.__name__: c for c in _choices(type(default), option)}
        wanted = next((n for n in names if n.lower() == word.lower()), None)
        if wanted is None:
            raise UserError(f"{option} must be one of {', '.join(names)}, got {word!r}.{nearest(word, names)}")
        _put(data, _path(option), {"kind": wanted})
    for option, word in pairs:
        if (option, word) not in exchanged:
            _put_if_there(data, _path(option), word)
    left = list(arguments)
    for option, word in exchanged:
        at = left.index(option)
        assert left[at + 1] == word
        del left[at : at + 2]
    return from_json(type(default), data, "recipe"), left


def _path(option: str) -> list[str]:
    return option[2:].replace("-", "_").split(".")


def _choices(kind: Any, option: str) -> tuple[type, ...]:
    """The union members at ``--path.to.part``, or nothing when the option is not such a path."""
    if not option.startswith("--"):
        return ()
    candidates: tuple[type, ...] = (kind,)
    for name in _path(option):
        annotations = [typing.get_type_hints(c).get(name) for c in candidates if is_dataclass(c)]
        candidates = tuple(m for a in annotations if a is not None for m in members(a))
    return candidates


def _may_be_none(kind: Any, option: str) -> bool:
    """True where the field at ``--path.to.part`` may also hold no part at all."""
    parent, _, name = option[2:].replace("-", "_").rpartition(".")
    owners = _choices(kind, f"--{parent}") if parent else (kind,)
    annotations = [typing.get_type_hints(owner).get(name) for owner in owners if is_dataclass(owner)]
    return any(types.NoneType in typing.get_args(a) for a in annotations)


def _put(data: dict[str, Any], path: list[str], part: dict[str, Any] | None) -> None:
    for name in path[:-1]:
        data = data[name]
    data[path[-1]] = part


def _put_if_there(data: Any, path: list[str], word: str) -> None:
    """Set a plain value where there is such a field; what is wrong with it is tyro's to say."""
    for name in path[:-1]:
        data = data.get(name) if isinstance(data, dict) else None
    if isinstance(data, dict) and path[-1] in data and not isinstance(data[path[-1]], (dict, list)):
        with contextlib.suppress(ValueError):
            data[path[-1]] = json.loads({"none": "null"}.get(word.lower(), word.lower()))
