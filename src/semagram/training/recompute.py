"""Activation checkpointing (arXiv 1604.06174): a block's inner values are not kept but computed again for its gradient.

Memory then holds one stream a block instead of some twenty, for a third more arithmetic; losses and gradients are the
same to the bit, dropout included, since the random state is put back. It acts in training only, and on a network as it
stands: no module is wrapped, so no name changes, and ``undo`` leaves it as it was.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from semagram.errors import UserError
from semagram.models.block import Block
from semagram.models.hierarchical_level import LevelBlock
from semagram.models.page import PageBlock
from semagram.models.stack import Stack

BLOCKS = (Block, LevelBlock, PageBlock)
"""What is computed again as one."""


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """The blocks of a network, outermost ones only, each once."""
    found: list[nn.Module] = []
    inside: set[int] = set()
    for module in network.modules():
        if isinstance(module, BLOCKS) and id(module) not in inside:
            found.append(module)
            inside.update(id(part) for part in module.modules())
    return found


def recompute(network: nn.Module) -> list[nn.Module]:
    """Let the blocks of ``network`` compute again; these blocks, for ``undo``. ``UserError`` where there are none."""
    blocks = blocks_of(network)
    reversible = any(isinstance(module, Stack) and module.reversible for module in network.modules())
    if not blocks or reversible:
        why = "has reversible blocks, which keep nothing anyway" if reversible else "has no blocks"
        raise UserError(f"training.recompute acts on blocks, and this {type(network).__name__} {why}.")
    for block in blocks:
        block.forward = _Again(block)  # type: ignore[method-assign]
    return blocks


def undo(blocks: list[nn.Module]) -> None:
    """Take it back."""
    for block in blocks:
        vars(block).pop("forward", None)


class _Again:
    """A block's forward pass, computed again in the backward pass."""

    def __init__(self, block: nn.Module) -> None:
        self._block, self._forward = block, block.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._block.training or not torch.is_grad_enabled():
            return self._forward(*args, **kwargs)
        return checkpoint(self._forward, *args, use_reentrant=False, **kwargs)
