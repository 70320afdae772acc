"""From a union of config classes to small, telling variants of each member, without naming any of them.

A *variant* differs from its class's baseline in one field: a flag turned over, another word of a Literal, a
neighbouring number, a number instead of none, another member of a nested union (and that member's variants). A part
that is added to a union is therefore walked at once. What cannot be derived (sizes that must fit each other) is written
in ``legal.py``: baselines small enough for tests, candidates for a field, and what must be refused, with its reason.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import Any, Literal

from laws import legal
from semagram.config import members


@dataclasses.dataclass(frozen=True)
class Change:
    """One field of a baseline changed to ``value``. ``path`` is dotted, from the class whose variant it is."""

    path: str
    value: object
    config: Any


@cache
def baseline(kind: type) -> Any:
    """The smallest telling value of a config class; its defaults where ``legal.BASELINES`` has none."""
    return legal.BASELINES.get(kind, kind)()


@cache
def variants(kind: type) -> tuple[Any, ...]:
    """The baseline, every legal one-field change of it, and the extra variants of ``legal.EXTRA``."""
    found: list[Any] = []
    for config in (baseline(kind), *(change.config for change in changes(kind)), *legal.EXTRA.get(kind, ())):
        if config not in found:
            found.append(config)
    return tuple(found)


def of_union(union: object) -> list[Any]:
    """The variants of every member."""
    return [variant for kind in members(union) for variant in variants(kind)]


@cache
def changes(kind: type) -> tuple[Change, ...]:
    """Every legal one-field change of the baseline of ``kind``, nested fields included."""
    found = []
    for context in (baseline(kind), *legal.CONTEXTS.get(kind, ())):
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if (kind, field.name) in legal.ASKED_ELSEWHERE:
                continue
            for value in candidates(kind, field.name, hints[field.name], getattr(context, field.name)):
                if not legal.refused(kind, field.name, value) and not idle(kind, field.name, context):
                    changed = dataclasses.replace(context, **{field.name: value})
                    found.append(Change(f"{kind.__name__}.{field.name}", value, changed))
    return tuple(found)


def idle(kind: type, name: str, context: object) -> bool:
    """True where a field is known to act only beside certain values of others (``legal.ACTS_WHEN``)."""
    rule = legal.ACTS_WHEN.get((kind, name))
    return rule is not None and not rule(context)


def candidates(kind: type, name: str, annotation: object, now: object) -> list[Any]:
    """Other values for a field of ``annotation`` that is ``now``."""
    listed = legal.CANDIDATES.get((kind, name))
    wide = list(listed) if listed is not None else derived(annotation, now)
    seen: list[Any] = []
    for value in wide:
        if value != now and value not in seen:
            seen.append(value)
    return seen


def derived(annotation: object, now: object) -> list[Any]:
    """Values of an annotation, by its kind: this is what makes a new field be walked."""
    if typing.get_origin(annotation) is typing.Annotated:
        return derived(typing.get_args(annotation)[0], now)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [value for choice in typing.get_args(annotation) for value in derived(choice, now)]
    if typing.get_origin(annotation) is Literal:
        return list(typing.get_args(annotation))
    if annotation is types.NoneType:
        return [None]
    if annotation is bool:
        return [False, True]
    if annotation is int:
        return [now + 1, now * 2] if isinstance(now, int) else [2]
    if annotation is float:
        return [now * 2.0, now * 0.5] if isinstance(now, float) and now else [0.5]
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return list(variants(annotation))
    if typing.get_origin(annotation) is tuple and isinstance(now, tuple):
        # One entry longer, one shorter, the first entry changed.
        longer, shorter = (*now, now[-1] if now else 2), now[:-1]
        return [
            longer,
            shorter,
            *((value, *now[1:]) for value in derived(typing.get_args(annotation)[0], now[0])[:1] if now),
        ]
    raise AssertionError(f"the walk does not know how to vary a field of {annotation}; teach walk.derived.")


def replaced(config: Any, path: str, value: object) -> Any:
    """``config`` with the field at a dotted ``path`` set to ``value``."""
    head, _, rest = path.partition(".")
    inner = replaced(getattr(config, head), rest, value) if rest else value
    return dataclasses.replace(config, **{head: inner})
