"""Which parameters of a peer were read: one that nobody claims belongs to a setting that we do not have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from semagram.errors import UserError


class Claims:
    """Copies weights and remembers whose they were."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def put(self, ours: Tensor, theirs: Any, value: Tensor | None = None) -> None:
        """``ours`` becomes ``value``, or ``theirs`` as it is."""
        self.claim(theirs)
        with torch.no_grad():
            ours.copy_((theirs if value is None else value).reshape(ours.shape))

    def claim(self, *theirs: Any) -> None:
        """These parameters are accounted for."""
        self.seen |= {id(parameter) for parameter in theirs}

    def check(self, model: nn.Module) -> None:
        """Raise ``UserError`` naming parameters that nobody read."""
        rest = [name for name, parameter in model.named_parameters() if id(parameter) not in self.seen]
        if rest:
            more = f" (and {len(rest) - 3} more)" if len(rest) > 3 else ""
            raise unsupported(f"the setting with the parameters {', '.join(rest[:3])}{more}")


def unsupported(what: str) -> UserError:
    """The refusal."""
    return UserError(f"this x-transformers model cannot be read: {what} has no counterpart here.")


def refuse(module: nn.Module, **plain: Any) -> None:
    """Raise ``UserError`` for the first attribute that differs from its plain value; absent ones are plain."""
    for name, usual in plain.items():
        value = getattr(module, name, usual)
        if value is not usual and not (isinstance(value, (bool, int, float)) and value == usual):
            raise unsupported(f"{type(module).__name__}.{name}={_short(value)}")


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, (bool, int, float, str)) else type(value).__name__


def kind_of(module: Any) -> str:
    """The name of its class; None and identities are nothing."""
    name = "" if module is None else type(module).__name__
    return "" if name == "Identity" else name
