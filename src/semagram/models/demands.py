"""What models ask of the parts and tensors that they are given: refused early, in one line."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.models.embedding import LearnedPositions, SinusoidalPositions
from semagram.models.stack import Blocks

Places = LearnedPositions | SinusoidalPositions
"""Positions that are added to what enters the stack."""


def must_be(visibility: Visibility, blocks: Blocks, who: str) -> None:
    """Raise ``UserError`` unless blocks can keep to the visibility, and need no condition."""
    if visibility not in blocks.visibilities():
        raise UserError(f"{who} is {visibility.name}, and mixer {type(blocks.mixer).__name__} cannot be.")
    if (part := conditioned(blocks)) is not None:
        raise UserError(f"{who} is given no condition, and {part} needs one; use it in a Transformer.")


def refuse_conditioned(config: object) -> None:
    """Raise ``UserError`` when a part of a model that is given no condition needs one."""
    if (part := conditioned(config)) is not None:
        raise UserError(f"a {type(config).__name__} is given no condition, and {part} needs one; use a Transformer.")


def conditioned(config: object) -> str | None:
    """The name of a part of ``config`` that needs a condition, or None."""
    if hasattr(config, "condition_width"):
        return type(config).__name__
    inner = [getattr(config, f.name) for f in fields(config)] if is_dataclass(config) else []
    inner += config if isinstance(config, tuple) else []
    return next((name for part in inner if (name := conditioned(part)) is not None), None)


def checked_keep(keep: Tensor | None, rows: int, count: int) -> Tensor | None:
    """``keep`` as it is; ``UserError`` unless it is bool ``(b, n)`` (True: counts) or None."""
    if keep is not None and (keep.dtype != torch.bool or tuple(keep.shape) != (rows, count)):
        raise UserError(
            f"keep must be bool {(rows, count)}, True where a position counts; got {keep.dtype} {tuple(keep.shape)}."
        )
    return keep


def checked_vectors(vectors: Tensor, features: int) -> Tensor:
    """``vectors`` as they are; ``UserError`` unless they are ``(b, n, features)``."""
    if vectors.dim() != 3 or vectors.shape[2] != features:
        raise UserError(f"vectors must be (b, n, {features}), got {tuple(vectors.shape)}.")
    return vectors


def checked_places(positions: Places | None, geometry: Geometry) -> None:
    """Raise ``UserError`` where learned positions of a line are asked for places on a page."""
    if isinstance(positions, LearnedPositions) and geometry.coords.shape[1] != 1:
        raise UserError(f"learned positions here are those of a line; the canvas has {geometry.coords.shape[1]} axes.")
