"""Depth: which branches stand in a stack, in which order, and which of them share their weights.

| order           | a stack of depth D                                | paper                                          |
|-----------------|---------------------------------------------------|------------------------------------------------|
| Pairs           | (a f)^D                                           | arXiv 1706.03762                               |
| Letters("aaf")  | the letters, D times                              | 2005.13895, 2009.04534                         |
| SandwichOrder(k)| a^k (a f)^(D - k) f^k                             | 1911.03864                                     |
| Macaron         | (f/2 a f/2)^D                                     | 1906.02762; Conformer 2005.08100               |

a is a mixer, f a feedforward. ``alternate`` mixes mixers (windows of two sizes: Gemma 2, 2408.00118; attention among
convolutions: Jamba 2403.19887), ``distinct`` shares blocks (ALBERT 1909.11942; Universal Transformer 1807.03819),
``loops`` runs the whole stack again (2510.25741), ``taper`` gives lower blocks wider feedforwards than upper ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from semagram.errors import UserError
from semagram.feedforward import Feedforward
from semagram.mixers import Mixer
from semagram.models.skips import Skips

if TYPE_CHECKING:
    from semagram.models.stack import Blocks


@dataclass(frozen=True)
class Plan:
    """What one block holds."""

    mixer: Mixer | None
    """None: no mixer slot."""
    feedforward: Feedforward | None
    """None: no feedforward slot."""
    share: float = 1.0
    """What its branches are multiplied by."""


@dataclass(frozen=True)
class Pairs:
    """A mixer and a feedforward, again and again."""

    def letters(self, depth: int) -> str:
        """a and f; A pair stays one block."""
        return "p" * depth


@dataclass(frozen=True)
class Letters:
    """Any pattern of mixers (a) and feedforwards (f), ``depth`` times."""

    pattern: str = "aff"
    """The letters a and f."""

    def __post_init__(self) -> None:
        if not self.pattern or set(self.pattern) - set("af"):
            raise UserError(f"layers.order.pattern must be made of the letters a and f, got {self.pattern!r}.")

    def letters(self, depth: int) -> str:
        """The pattern, repeated."""
        return self.pattern * depth


@dataclass(frozen=True)
class SandwichOrder:
    """More mixers at the bottom and more feedforwards at the top, as many of both as in pairs."""

    outer: int = 1
    """Mixers before the first pair, and feedforwards after the last; at most the depth."""

    def __post_init__(self) -> None:
        if self.outer < 1:
            raise UserError(f"layers.order.outer must be at least 1, got {self.outer}; for 0 use Pairs.")

    def letters(self, depth: int) -> str:
        """``outer`` a, pairs, ``outer`` f; raises ``UserError`` where the depth is too small."""
        if self.outer > depth:
            raise UserError(f"layers.order.outer must be at most model.depth ({depth}), got {self.outer}.")
        return "a" * self.outer + "af" * (depth - self.outer) + "f" * self.outer


@dataclass(frozen=True)
class Macaron:
    """A mixer between two half steps of feedforwards."""

    def letters(self, depth: int) -> str:
        """h is a feedforward of half a step."""
        return "hah" * depth


Order = Pairs | Letters | SandwichOrder | Macaron


@dataclass(frozen=True)
class Layers:
    """The order of a stack's branches and what they share; the default is pairs, each with its own weights."""

    order: Order = field(default_factory=Pairs)
    """Which branches, in which order."""
    alternate: tuple[Mixer, ...] = ()
    """Mixers that take turns with the model's own: the second mixer slot gets the first of them, and so on."""
    distinct: int | None = None
    """Blocks with weights of their own, run in turn until the depth is reached; none: all."""
    loops: int = 1
    """How often the whole stack is run."""
    fewest_loops: int | None = None
    """In training, each row runs a number of loops drawn from this one up to ``loops``; none: all of them."""
    taper: float = 1.0
    """Hidden width of the last feedforward as a share of the first one's; those between lie on a line."""

    skips: Skips | None = None
    """Ways from below to above that leave out the blocks between."""

    def __post_init__(self) -> None:
        if self.distinct is not None and self.distinct < 1:
            raise UserError(f"layers.distinct must be at least 1 or none, got {self.distinct}.")
        if self.loops < 1:
            raise UserError(f"layers.loops must be at least 1, got {self.loops}.")
        if self.fewest_loops is not None and not 1 <= self.fewest_loops < self.loops:
            raise UserError(
                f"layers.fewest_loops must be from 1 to below layers.loops ({self.loops}), got {self.fewest_loops}."
            )
        if not self.taper > 0:
            raise UserError(f"layers.taper must be above 0, got {self.taper}.")

    def mixers(self, own: Mixer) -> tuple[Mixer, ...]:
        """Those that take turns."""
        return (own, *self.alternate)

    def plans(self, blocks: Blocks) -> list[Plan]:
        """The blocks with weights of their own; raises ``UserError`` for what does not fit."""
        letters = self.order.letters(blocks.depth)
        if self.distinct is not None and self.distinct >= max(len(letters), 1):
            raise UserError(f"layers.distinct must be below the {len(letters)} blocks there are, got {self.distinct}.")
        letters = letters[: self.distinct]
        mixers, turn = self.mixers(blocks.mixer), 0
        wide = [i for i, letter in enumerate(letters) if letter != "a"]
        if self.alternate and len(mixers) > sum(letter in "ap" for letter in letters):
            raise UserError(
                f"layers.alternate gives {len(mixers)} mixers to take turns, more than the mixer slots of a stack of "
                f"depth {blocks.depth}."
            )
        plans = []
        for i, letter in enumerate(letters):
            mixer = mixers[turn % len(mixers)] if letter in "ap" else None
            turn += letter in "ap"
            along = wide.index(i) / max(len(wide) - 1, 1) if letter != "a" else 0.0
            feedforward = self._tapered(blocks.feedforward, along) if letter != "a" else None
            plans.append(Plan(mixer, feedforward, 0.5 if letter == "h" else 1.0))
        return plans

    def runs(self, blocks: Blocks) -> list[int]:
        """The number of the block that is run first, second, ... in one loop."""
        length = len(self.order.letters(blocks.depth))
        return [i % (self.distinct or max(length, 1)) for i in range(length)]

    def _tapered(self, feedforward: Feedforward, along: float) -> Feedforward:
        """The feedforward ``along`` the way from first (0) to last (1)."""
        if self.taper == 1.0:
            return feedforward
        share = 1.0 + (self.taper - 1.0) * along
        config: Any = feedforward
        if getattr(config, "hidden", None) is not None:
            return replace(config, hidden=max(1, round(config.hidden * share)))
        if not hasattr(config, "multiple"):
            raise UserError(f"layers.taper needs a feedforward with a multiple; {type(config).__name__} has none.")
        return replace(config, multiple=config.multiple * share)
