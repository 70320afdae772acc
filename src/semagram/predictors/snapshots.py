"""Copies of what a network remembers, so that it can be put back: for any network's state, without its help.

A state is an object made of tensors, arrays, plain values, containers and further states. ``Snapshot`` walks it once
and copies every tensor; ``restore`` writes the copies back *in place*, since fast paths hold views of the buffers. What
a state merely points to (modules and their parameters, geometry, functions) is left alone. A copy costs as much memory
as the state and a fraction of the time of a step. Tested on every mixer: what follows a rewind has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from semagram.layouts.geometry import Geometry

Put = Callable[[], None]
"""Puts one thing back."""


class Snapshot:
    """``state`` as it is now."""

    def __init__(self, state: object) -> None:
        self._puts: list[Put] = []
        self._seen: set[int] = set()
        self._walk(state)

    def restore(self) -> None:
        """Put everything back; may be done again and again."""
        for put in self._puts:
            put()

    def _walk(self, thing: Any) -> None:
        if id(thing) in self._seen or not _is_part(thing):
            return
        self._seen.add(id(thing))
        if isinstance(thing, Tensor):
            self._puts.append(_tensor_put(thing, thing.clone()))
        elif isinstance(thing, np.ndarray):
            self._puts.append(_array_put(thing, thing.copy()))
        elif isinstance(thing, list):
            self._puts.append(_list_put(thing, list(thing)))
        elif isinstance(thing, dict):
            self._puts.append(_dict_put(thing, dict(thing)))
        elif hasattr(thing, "__dict__"):
            self._puts.append(_dict_put(vars(thing), dict(vars(thing))))
        for part in parts(thing):
            self._walk(part)


def parts(thing: Any) -> list[Any]:
    """What a container or an object holds."""
    if isinstance(thing, (list, tuple)):
        return list(thing)
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (Tensor, np.ndarray)):
        return []
    return list(vars(thing).values()) if hasattr(thing, "__dict__") else []


def select_rows(state: object, rows: Tensor, batch: int) -> bool:
    """Give row i what row ``rows[i]`` has, in place, in every tensor and array; their first axis is the batch.

    False, and nothing is done, where some tensor has another first axis: then it is not known where its rows are.
    """
    found: list[Any] = []
    seen: set[int] = set()

    def walk(thing: Any) -> None:
        if id(thing) in seen or not _is_part(thing):
            return
        seen.add(id(thing))
        if isinstance(thing, (Tensor, np.ndarray)):
            found.append(thing)
        for part in parts(thing):
            walk(part)

    walk(state)
    if not all(thing.ndim and thing.shape[0] == batch for thing in found):
        return False
    for thing in found:
        if isinstance(thing, Tensor):
            thing.copy_(thing[rows.to(thing.device)])
        else:
            thing[...] = thing[rows.cpu().numpy()]
    return True


def _is_part(thing: Any) -> bool:
    """Whether ``thing`` belongs to a state; parameters, modules, geometry, classes and functions do not."""
    if isinstance(thing, (nn.Parameter, nn.Module, Geometry, type, torch.device, torch.dtype, str, bytes)):
        return False
    return isinstance(thing, (Tensor, np.ndarray, list, tuple, dict)) or (
        hasattr(thing, "__dict__") and not callable(thing)
    )


def _tensor_put(tensor: Tensor, copy: Tensor) -> Put:
    def put() -> None:
        tensor.copy_(copy)

    return put


def _array_put(array: np.ndarray, copy: np.ndarray) -> Put:
    return lambda: np.copyto(array, copy)


def _list_put(items: list[Any], copy: list[Any]) -> Put:
    def put() -> None:
        items[:] = copy

    return put


def _dict_put(items: dict[Any, Any], copy: dict[Any, Any]) -> Put:
    def put() -> None:
        items.clear()
        items.update(copy)

    return put
