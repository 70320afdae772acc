"""What a sweep goes over: fields of an experiment by their dotted paths, each with its choices or its range.

    training.optimiser.rate=log:1e-4..1e-1      between, evenly in the logarithm
    model.width=32..256                         between; whole numbers where the field holds whole numbers
    model.hidden=0,1,2                          one of these
    training.optimiser=AdamW,Lion               one of these parts, with their own defaults

A field that only some of the parts have (``model.mixer.state`` beside ``model.mixer=Attention,StateSpace``) is asked
for where it is. Everything is tried on the recipe before anything is trained: a path, a type or a value that cannot be
is refused in one line.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from semagram.config import from_json, members, to_json
from semagram.errors import UserError, nearest
from semagram.experiment import Experiment

Plain = str | float | int | bool | None
KEPT = {
    "name": "what a run is called changes nothing",
    "text": "all trials learn one text",
    "seed": "the best of several seeds is luck, not a setting",
    "training.budget": "all trials have one budget",
    "training.held_out": "the slice that trials are judged on is --dev",
    "training.device": "it changes where a run is made, not what it learns",
    "training.threads": "all trials have the same share of the machine",
    "training.compile": "it changes how long a run takes, not what it learns",
}
"""Fields that a sweep leaves alone, and why."""


@dataclass(frozen=True)
class Choice:
    """One of ``values``: plain values, or names of parts."""

    path: str
    values: tuple[Plain, ...]


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, ends included."""

    path: str
    low: float
    high: float
    logarithmic: bool
    whole: bool


Axis = Choice | Range


def axes_of(words: Sequence[str], experiment: Experiment) -> tuple[Axis, ...]:
    """The axes that ``words`` describe, parts before what is in them; ``UserError`` for the first that cannot be."""
    if not words:
        raise UserError("a sweep needs at least one --over PATH=VALUES, like training.optimiser.rate=log:1e-4..1e-1.")
    found: dict[str, Axis] = {}
    for word in sorted(words, key=lambda w: w.partition("=")[0].count(".")):
        path, equals, told = word.partition("=")
        path = path.strip().replace("-", "_")
        if not equals or not told.strip():
            raise UserError(
                f"--over is written PATH=VALUES, like model.width=64,128 or model.width=32..256; got {word!r}."
            )
        if path in found:
            raise UserError(f"--over names {path} twice.")
        for kept, why in KEPT.items():
            if path == kept or path.startswith(f"{kept}."):
                raise UserError(f"--over {path} cannot be: {why}.")
        data = _with_field(to_json(experiment), path, found)
        axis = _axis(path, told.strip(), _annotation(data, path))
        for value in axis.values if isinstance(axis, Choice) else (axis.low, axis.high):
            _try(data, axis, value)
        found[path] = axis
    return tuple(found.values())


def applied(experiment: Experiment, axes: Sequence[Axis], ask: Callable[[Axis], Plain]) -> Experiment:
    """With what ``ask`` says of every axis whose field is there; ``UserError`` where parts do not fit."""
    data = to_json(experiment)
    for axis in axes:
        if _find(data, axis.path):
            _put(data, axis.path, ask(axis))
    return from_json(Experiment, data, "trial")


def _axis(path: str, told: str, annotation: Any) -> Axis:
    logarithmic, body = told.startswith("log:"), told.removeprefix("log:")
    if ".." in body:
        ends = [_number(path, end) for end in body.split("..", 1)]
        kinds = _plain_kinds(annotation)
        if not {int, float} & kinds:
            raise UserError(f"--over {path}={told}: a range is for numbers, and {path} is none; list its values.")
        whole = float not in kinds
        if whole and any(end != int(end) for end in ends):
            raise UserError(f"--over {path}={told}: {path} is a whole number.")
        if not ends[0] < ends[1]:
            raise UserError(f"--over {path}={told}: the range must rise.")
        if logarithmic and not ends[0] > 0:
            raise UserError(f"--over {path}={told}: a logarithmic range must begin above 0.")
        return Range(path, ends[0], ends[1], logarithmic, whole)
    if logarithmic:
        raise UserError(f"--over {path}={told}: log: belongs to a range, like log:1e-4..1e-1.")
    values = tuple(_plain(word.strip()) for word in told.split(","))
    if len(set(map(repr, values))) < len(values):
        raise UserError(f"--over {path}={told}: a value stands there twice.")
    return Choice(path, values)


def _try(data: dict[str, Any], axis: Axis, value: Plain) -> None:
    """Build the recipe with this one value; ``UserError`` naming the axis."""
    tried = json.loads(json.dumps(data))
    value = int(value) if isinstance(axis, Range) and axis.whole and value is not None else value
    try:
        _put(tried, axis.path, value)
        from_json(Experiment, tried, "recipe")
    except UserError as error:
        raise UserError(f"--over {axis.path}: {value} cannot be: {error}") from None


def _with_field(data: dict[str, Any], path: str, found: dict[str, Axis]) -> dict[str, Any]:
    """The recipe, or the recipe with the part of another axis that has such a field."""
    if _find(data, path):
        return data
    for axis in found.values():
        if isinstance(axis, Choice) and path.startswith(f"{axis.path}."):
            for value in axis.values:
                tried = json.loads(json.dumps(data))
                _put(tried, axis.path, value)
                if _find(tried, path):
                    return tried
    parent, _, name = path.rpartition(".")
    while parent and not _find(data, parent):
        parent, _, name = parent.rpartition(".")
    owner = _at(data, parent)
    names = [key for key in owner if key != "kind"] if isinstance(owner, dict) else []
    where = f"{parent} ({owner['kind']})" if parent and isinstance(owner, dict) else parent or "an experiment"
    raise UserError(
        f"--over {path}: {where} has no field {name!r}; it has {', '.join(names) or 'none'}.{nearest(name, names)}"
    )


def _annotation(data: dict[str, Any], path: str) -> Any:
    """What the field at ``path`` may hold."""
    kind, name = Experiment, ""
    here: Any = data
    annotation: Any = Experiment
    for name in path.split("."):
        kind = next(c for c in members(annotation) if c.__name__ == here["kind"])
        annotation = typing.get_type_hints(kind)[name]
        here = here[name]
    return annotation


def _plain_kinds(annotation: Any) -> set[Any]:
    return set(typing.get_args(annotation)) or {annotation}


def _put(data: dict[str, Any], path: str, value: Plain) -> None:
    """Set the field; the name of a part becomes the part with its defaults."""
    owner = _at(data, path.rpartition(".")[0])
    parts = {c.__name__: c for c in members(_annotation(data, path))}
    if isinstance(value, str) and parts:
        if value not in parts:
            raise UserError(f"it must be one of {', '.join(parts)}.{nearest(value, parts)}")
        owner[path.rpartition(".")[2]] = to_json(parts[value]())
    else:
        owner[path.rpartition(".")[2]] = value


def _find(data: Any, path: str) -> bool:
    owner = _at(data, path.rpartition(".")[0])
    return isinstance(owner, dict) and path.rpartition(".")[2] in owner and path.rpartition(".")[2] != "kind"


def _at(data: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _plain(word: str) -> Plain:
    try:
        value = json.loads({"none": "null"}.get(word.lower(), word.lower()))
    except ValueError:
        return word
    return value if isinstance(value, (int, float, bool)) or value is None else word


def _number(path: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise UserError(f"--over {path}: a range is written LOW..HIGH with numbers; got {word!r}.") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise UserError(f"--over {path}: a range has finite ends; got {word!r}.")
    return value
