"""Which parameter is what: hidden matrices, the head, embeddings, and the rest (gains, biases, mixing weights).

Told by the kind of module that owns a parameter, not by its shape: an attention gain has two axes and is no matrix.
A module with ``matrices()`` says so itself: ``{"inward.weight": [rows, rows, ...]}`` are the rows of the stacked
matrices in one weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torch import Tensor, nn

_MATRIX_MODULES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Role(Enum):
    """What a parameter does."""

    HIDDEN = "hidden"
    """A matrix (or several, stacked) inside the network."""
    HEAD = "head"
    """The matrix that gives logits."""
    KERNEL = "kernel"
    """A convolution's weights."""
    EMBEDDING = "embedding"
    """A row an id."""
    OTHER = "other"
    """Gains, biases, and whatever else is no matrix."""

    @property
    def decayed(self) -> bool:
        """Whether weight decay acts on it."""
        return self in (Role.HIDDEN, Role.HEAD, Role.KERNEL)


@dataclass(frozen=True)
class Part:
    """A parameter, its name, its role, and for HIDDEN the rows of the matrices stacked in it."""

    name: str
    parameter: Tensor
    role: Role
    rows: tuple[int, ...] = ()


def parts_of(network: nn.Module) -> list[Part]:
    """Every parameter that learns, exactly once (a tied one under its first name)."""
    stacked: dict[int, tuple[int, ...]] = {}
    owner: dict[int, nn.Module] = {}
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            owner.setdefault(id(parameter), module)
        matrices = getattr(module, "matrices", None)
        if matrices is not None:
            for name, rows in matrices().items():
                stacked[id(module.get_parameter(name))] = tuple(rows)
    return [
        _part(name, parameter, owner[id(parameter)], stacked.get(id(parameter)))
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    ]


def _part(name: str, parameter: Tensor, owner: nn.Module, rows: tuple[int, ...] | None) -> Part:
    if rows is not None:
        if parameter.dim() != 2 or sum(rows) != parameter.shape[0]:
            raise ValueError(f"matrices() gives {name} the rows {rows}, but its shape is {tuple(parameter.shape)}.")
        return Part(name, parameter, Role.HIDDEN, rows)
    if isinstance(owner, nn.Embedding):
        return Part(name, parameter, Role.EMBEDDING)
    if isinstance(owner, _MATRIX_MODULES) and parameter is owner.weight:
        if not isinstance(owner, nn.Linear):
            return Part(name, parameter, Role.KERNEL)
        if any(word.startswith("head") for word in name.split(".")):
            return Part(name, parameter, Role.HEAD)
        if any(word.startswith("embedding") for word in name.split(".")):
            return Part(name, parameter, Role.EMBEDDING)
        return Part(name, parameter, Role.HIDDEN, (parameter.shape[0],))
    return Part(name, parameter, Role.OTHER)
