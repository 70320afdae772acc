"""Configurations to JSON and back, and their fingerprint.

A configuration is a tree of frozen dataclasses; where a field's annotation is a union of them, the JSON carries
the class's name under ``kind``. The union in the annotation is the whole list of choices: there is no registry.
Reading is strict: an unknown field, a missing kind or a value of another type is refused by name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from functools import cache
from typing import Any, Literal, TypeVar

from semagram.errors import UserError, nearest

if typing.TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")


def to_json(config: object) -> dict[str, Any]:
    """The configuration as plain data; every dataclass carries its class name as ``kind``."""
    return _converter().unstructure(config)


def from_json(kind: type[T], data: object, where: str = "config") -> T:
    """A configuration of class (or union) ``kind`` from plain data; ``UserError`` names the field that is wrong."""
    return _structure(data, kind, where)


def dumps(config: object) -> str:
    """The configuration as indented JSON text."""
    return json.dumps(to_json(config), indent=2, ensure_ascii=False) + "\n"


def fingerprint(config: object) -> str:
    """SHA-256 (hex) of the canonical JSON; equal configurations have equal fingerprints."""
    canonical = json.dumps(to_json(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def members(annotation: object) -> tuple[type, ...]:
    """The dataclasses of a union (or of a single class), in the order of the annotation."""
    choices = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    return tuple(c for c in choices if isinstance(c, type) and dataclasses.is_dataclass(c))


def _is_union(annotation: object) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


@cache
def _converter() -> Converter:
    """cattrs does the walking; the one thing it is told is to write ``kind`` first in every dataclass."""
    from cattrs import Converter

    converter = Converter()

    def with_kind(config: Any) -> dict[str, Any]:
        fields = {f.name: converter.unstructure(getattr(config, f.name)) for f in dataclasses.fields(config)}
        return {"kind": type(config).__name__, **fields}

    converter.register_unstructure_hook_func(lambda c: isinstance(c, type) and dataclasses.is_dataclass(c), with_kind)
    return converter


def _structure(data: object, annotation: Any, where: str) -> Any:
    """Build ``annotation`` from ``data`` with types held to the letter (cattrs would turn 3.7 into 3)."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _structure(data, typing.get_args(annotation)[0], where)
    classes = members(annotation)
    if classes and isinstance(data, dict):
        return _dataclass(data, classes, where)
    if _is_union(annotation):
        return _plain_union(data, annotation, where)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        if data in arguments and not isinstance(data, bool):
            return data
        raise UserError(
            f"{where} must be one of {_listed(arguments)}, got {data!r}.{nearest(str(data), map(str, arguments))}"
        )
    if origin is tuple and isinstance(data, (list, tuple)):
        kinds = [arguments[0]] * len(data) if len(arguments) == 2 and arguments[1] is Ellipsis else list(arguments)
        if len(kinds) != len(data):
            raise UserError(f"{where} must have {len(kinds)} entries, got {len(data)}.")
        return tuple(_structure(d, k, f"{where}.{i}") for i, (d, k) in enumerate(zip(data, kinds, strict=True)))
    if annotation is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if annotation in (int, float, str, bool, types.NoneType) and type(data) is annotation:
        return data
    raise UserError(f"{where} must be {_name(annotation)}, got {data!r}.")


def _dataclass(data: dict[str, Any], classes: tuple[type, ...], where: str) -> Any:
    names = {c.__name__: c for c in classes}
    kind = data.get("kind", classes[0].__name__ if len(classes) == 1 else None)
    if kind not in names:
        raise UserError(f"{where}.kind must be one of {_listed(names)}, got {kind!r}.{nearest(str(kind), names)}")
    chosen = names[kind]
    hints = typing.get_type_hints(chosen, include_extras=True)
    fields = {f.name: f for f in dataclasses.fields(chosen)}
    for key in data:
        if key != "kind" and key not in fields:
            raise UserError(f"{where} ({kind}) has no field {key!r}; it has {_listed(fields)}.{nearest(key, fields)}")
    return chosen(**{k: _structure(v, hints[k], f"{where}.{k}") for k, v in data.items() if k != "kind"})


def _plain_union(data: object, annotation: Any, where: str) -> Any:
    choices = typing.get_args(annotation)
    for choice in sorted(choices, key=lambda c: c is float):
        try:
            return _structure(data, choice, where)
        except UserError:
            continue
    raise UserError(f"{where} must be {' or '.join(_name(c) for c in choices)}, got {data!r}.")


def _name(annotation: object) -> str:
    plain = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        types.NoneType: "none",
    }
    found = plain.get(annotation) if isinstance(annotation, type) else None
    return found or getattr(annotation, "__name__", str(annotation))


def _listed(words: typing.Iterable[object]) -> str:
    return ", ".join(str(w) for w in words)
