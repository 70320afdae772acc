"""When layers of functions grow, and from what; what happens then is in ``growth``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from semagram.errors import UserError

if TYPE_CHECKING:
    from semagram.feedforward.basis import Basis


@dataclass(frozen=True)
class Growth:
    """Stages that layers of functions go through before they are what the model says."""

    at: tuple[float, ...] = (0.3,)
    """Shares of the budget after which each next stage begins; the last leads to the model's own basis."""
    orders: tuple[int, ...] = (1,)
    """Degree in each stage before the last; none: the model's own throughout."""
    segments: tuple[int, ...] = ()
    """Segments in each stage before the last; none: the model's own throughout."""

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.at, self.at[1:], strict=False))
        if not self.at or not rising or not all(0.0 < share < 1.0 for share in self.at):
            raise UserError(f"training.grow.at must rise within 0 and 1, got {self.at}.")
        if not self.orders and not self.segments:
            raise UserError("training.grow needs the orders or the segments of its stages, or it would change nothing.")
        for name in ("orders", "segments"):
            given = getattr(self, name)
            if given and len(given) != len(self.at):
                raise UserError(f"training.grow.{name} needs a number for each of {len(self.at)} stages, got {given}.")

    def stage(self, step: int, total: int | None) -> int:
        """The stage of step ``step``, of ``total``; 0 while the total is not known."""
        return 0 if total is None else sum(step >= share * total for share in self.at)

    def basis(self, final: Basis, stage: int) -> Basis:
        """What a layer whose own basis is ``final`` has in a stage; ``UserError`` for one that has no such size."""
        if stage == len(self.at):
            return final
        settings: dict[str, Any] = {}
        for field, sizes in (("order", self.orders), ("segments", self.segments)):
            if sizes:
                if not hasattr(final, field):
                    raise UserError(f"training.grow: {final} has no {field} to grow.")
                settings[field] = sizes[stage]
        return replace(final, **settings)
