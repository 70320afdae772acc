"""Parallel streams: a line whose every step holds one token of each axis (letter, tag, ...).

Two ways. Without ``tags``, ``axes_count`` streams of one vocabulary stand side by side, and cells are written step by
step. With ``tags`` the text has axes that labellers make (``axes.py``): what the network is shown beside the letters,
is asked for beside them, or writes between them. The canvas is then a plain line of cells, so every network that reads
a line reads it, and whatever the text-only model has to do with (scores, files, audits) stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from semagram.errors import UserError
from semagram.layouts.axes import Axis, Combine, Joint, Sum
from semagram.layouts.sequence import Sequence

if TYPE_CHECKING:
    from semagram.layouts.positions import Positions


@dataclass(frozen=True)
class Streams:
    """``length`` steps of ``axes_count`` tokens each; within a step the axes are written in their order."""

    length: int = 128
    """Steps of the line."""
    axes_count: int | None = None
    """Cells a step; none: 2, or with ``tags`` one and one for each tag that is written at every step."""
    tags: tuple[Axis, ...] = ()
    """Axes of tags beside the text."""
    combine: Combine = field(default_factory=Sum)
    """How tags that are shown meet the letters."""

    def __post_init__(self) -> None:
        if self.length < 1 or self.cells < 1:
            raise UserError(
                f"layout.length and layout.axes_count must be at least 1, got {self.length} and {self.cells}."
            )
        names = [axis.name for axis in self.tags]
        if len(set(names)) < len(names):
            raise UserError(f"axes need names of their own, got {', '.join(names)}.")
        if self.tags and self.axes_count not in (None, self._cells_of_tags()):
            raise UserError(
                f"layout.axes_count follows from the tags and is {self._cells_of_tags()} here, got {self.axes_count}."
            )
        if self.combine != Sum() and not self.shown:
            raise UserError(f"layout.combine acts on tags that are shown, and there are none; got {self.combine}.")
        if self.written and len(self.written) < len(self.tags):
            other = next(axis.name for axis in self.tags if not axis.written)
            raise UserError(f"Joint axes stand by themselves: axis {other} is of another protocol.")
        if len({axis.protocol for axis in self.written}) > 1:
            raise UserError(
                f"Joint axes of one text must agree in order and every; got {[a.protocol for a in self.tags]}."
            )

    def _cells_of_tags(self) -> int:
        return 1 + (len(self.written) if self.every == "step" else 0)

    @property
    def cells(self) -> int:
        """Cells a step."""
        if self.tags:
            return self._cells_of_tags()
        return 2 if self.axes_count is None else self.axes_count

    @property
    def shown(self) -> tuple[Axis, ...]:
        """Axes whose tags are inputs beside the letters."""
        return tuple(axis for axis in self.tags if axis.shown)

    @property
    def asked(self) -> tuple[Axis, ...]:
        """Axes whose tags are further targets in training."""
        return tuple(axis for axis in self.tags if axis.asked)

    @property
    def written(self) -> tuple[Axis, ...]:
        """Axes whose tags are cells of the canvas."""
        return tuple(axis for axis in self.tags if axis.written)

    @property
    def told(self) -> tuple[Axis, ...]:
        """Axes whose tags somebody must tell who knows the text, or what it shall be."""
        return tuple(axis for axis in self.tags if axis.told)

    @property
    def every(self) -> str:
        """How often tags are written: step or word."""
        protocol = self.written[0].protocol if self.written else None
        return protocol.every if isinstance(protocol, Joint) else "step"

    @property
    def count(self) -> int:
        """Cells of a canvas."""
        return self.length * self.cells

    @property
    def axes(self) -> int:
        """Coordinate axes: the step, and the stream within it; with tags the cells of a line."""
        return 1 if self.tags else 2

    def positions(self) -> Positions:
        """Cell ``step * cells + stream`` stands at coordinates (step, stream), written in that order; with tags it
        stands on a line."""
        import torch

        from semagram.layouts.positions import Positions

        if self.tags:
            return Sequence(self.count).positions()
        step, stream = torch.meshgrid(torch.arange(self.length), torch.arange(self.cells), indexing="ij")
        rank = (step * self.cells + stream).reshape(-1)
        coords = torch.stack([step.reshape(-1), stream.reshape(-1)], dim=1)
        return Positions(coords, rank, stream.reshape(-1))


def line_of(layout: Any) -> Any:
    """The canvas that a network reads: of ``Streams`` with tags a plain line, of every other layout itself."""
    return Sequence(layout.count) if isinstance(layout, Streams) and layout.tags else layout


def kind_of_score(layout: object) -> str:
    """What a causal model's score on such a layout is: ``nll``, or conditional on tags that it was told."""
    names = {type(axis.protocol).__name__ for axis in layout.told} if isinstance(layout, Streams) else set()
    return "oracle-conditional" if "Oracle" in names else "given-conditional" if names else "nll"


def protocols_of(layout: object) -> str:
    """The axes of a layout with their protocols, for tables: ``axes: pos (Completed), kind (Causal)``; or nothing."""
    if not (isinstance(layout, Streams) and layout.tags):
        return ""
    return "axes: " + ", ".join(f"{axis.name} ({type(axis.protocol).__name__})" for axis in layout.tags)
