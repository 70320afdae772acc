"""What does not fit together in a stack, each refused with what was given and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry
from semagram.mixers import StateSpace, Window
from semagram.mixers.contract import reads_pairs
from semagram.models.joins import ManyStreams
from semagram.models.reversible import Reversible
from semagram.models.skips import UNetSkips

if TYPE_CHECKING:
    from semagram.models.stack import Blocks


def check(blocks: Blocks) -> None:
    """Raise ``UserError`` for sizes that are none, and for parts of which one makes the other impossible."""
    if blocks.width < 1 or blocks.depth < 0:
        raise UserError(
            f"model.width must be at least 1 and model.depth at least 0, got {blocks.width} and {blocks.depth}."
        )
    if not 0.0 <= blocks.dropout < 1.0:
        raise UserError(f"model.dropout must be from 0 up to, not including, 1; got {blocks.dropout}.")

    blocks.layers.plans(blocks)  # refuses what does not fit
    runs = len(blocks.layers.runs(blocks)) * blocks.layers.loops
    blind = [m for m in blocks.layers.mixers(blocks.mixer) if not sees_far(m)]
    if blocks.registers > 0 and blind:
        raise UserError(
            f"embedding.registers={blocks.registers} needs mixers that can look at any slot (attention), but "
            f"{blind[0]} sees neighbours only."
        )
    join = blocks.residual.join
    if isinstance(join, ManyStreams) and blocks.layers.fewest_loops is not None:
        raise UserError(
            f"layers.fewest_loops={blocks.layers.fewest_loops} chooses between two vectors a position, but "
            f"{type(join).__name__} keeps several."
        )
    if isinstance(join, ManyStreams) and isinstance(blocks.layers.skips, UNetSkips):
        raise UserError(f"UNetSkips join one stream, but {type(join).__name__} keeps several; use another join.")
    if isinstance(blocks.layers.skips, UNetSkips) and runs < 2:
        raise UserError(f"UNetSkips need at least 2 blocks, got {runs}.")
    inside = [p for p in (*blocks.layers.mixers(blocks.mixer), blocks.feedforward) if getattr(p, "dropout", 0.0) > 0]
    if isinstance(join, Reversible) and inside:
        raise UserError(
            f"Reversible branches are run again backwards, so nothing in them may be drawn: dropout must be 0, got "
            f"{inside[0]}."
        )
    if isinstance(join, Reversible) and (blocks.dropout > 0 or blocks.layers.skips is not None):
        raise UserError(
            f"Reversible branches must be undone from the stream alone: model.dropout must be 0 and layers.skips "
            f"none, got {blocks.dropout} and {blocks.layers.skips}."
        )


def sees_far(mixer: object) -> bool:
    """Whether a slot can look at registers however far it stands from them: attention without a window. A recurrence
    would pass them on to the next slot, so that padding before a text would matter."""
    looks = hasattr(mixer, "heads") and not isinstance(mixer, StateSpace)
    return looks and not isinstance(getattr(mixer, "reach", None), Window)


def deaf_mixer(blocks: Blocks) -> str | None:
    """The name of a mixer that does not heed what the caller says of pairs, if there is one."""
    mixers = blocks.layers.mixers(blocks.mixer)
    return next((type(mixer).__name__ for mixer in mixers if not reads_pairs(mixer)), None)


def check_rules(geometry: Geometry, deaf: str | None) -> None:
    """Raise ``UserError`` where something is said of pairs and a mixer would pass it over."""
    if deaf is not None and geometry.rules:
        raise UserError(f"pairs or a prefix are given, which mixer {deaf} does not heed; use attention.")
