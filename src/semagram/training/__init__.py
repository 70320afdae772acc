"""One explicit loop: optimisers, batches, checkpoints, records.

``train`` is here; `semagram.training.settings` holds what decides a run. Nothing is imported until it is used, so
that naming a budget costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semagram.training.state import Result
    from semagram.training.tokenised import TokenisedText
    from semagram.training.trainer import SaveEvery, train

__all__ = ["Result", "SaveEvery", "TokenisedText", "train"]

_HOMES = {
    "Result": "state",
    "SaveEvery": "trainer",
    "TokenisedText": "tokenised",
    "train": "trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
