"""U-shaped and patch models: tokens are read finely, pooled into elements, thought about coarsely, and written finely.

    stage(x):  x = before(x);  y = inner(pool(x) at the ends of elements);  x = x + back(norm(y));  x = after(x)

``inner`` is the next stage, the last stage's is the core. Where elements end is the stage's rule, decided by what has
been read (``hourglass_boundaries.py``); ``hourglass_pool.py`` makes elements, ``hourglass_back.py`` returns them.
Some values have names:

| model | value of a stage |
|---|---|
| Hourglass (arXiv 2110.13711) | Stage(Fixed(k), Mean(), Unfold()), stages nested |
| MegaByte (2305.07185) | Stage(Fixed(k), Join(), Repeat(), before=0, window="element") |
| SpaceByte (2404.14408) | Stage(AfterSpaces(), Last(), Repeat(), window=w) |
| entropy patches, as BLT (2412.09871) | Stage(Surprise(), Weigh(), LookBack()) |
| H-Net (2507.07955; attention outside where it has Mamba) | Stage(Routing(), Last(), Smoothed()), stages nested |

Without stages it is the plain ``Transformer``, to the bit. It reads a canvas as a line in its order of writing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.layouts import Layout, Visibility
from semagram.mixers import Attention, TokenShift
from semagram.models.demands import refuse_conditioned
from semagram.models.hourglass_back import Back, Repeat, Smoothed
from semagram.models.hourglass_boundaries import AfterSpaces, Fixed
from semagram.models.hourglass_learnt import Boundaries, Routing, Surprise
from semagram.models.hourglass_network import HourglassNetwork
from semagram.models.hourglass_pool import Mean, Pool
from semagram.models.transformer import Transformer, TransformerNetwork


@dataclass(frozen=True)
class Stage:
    """One resolution: blocks around what is inside."""

    boundaries: Boundaries = field(default_factory=Fixed)
    """Where elements end."""
    pool: Pool = field(default_factory=Mean)
    """How slots become an element."""
    back: Back = field(default_factory=Repeat)
    """How elements come back to slots."""
    width: int = 128
    """Features at this resolution."""
    before: int = 1
    """Blocks before pooling."""
    after: int = 1
    """Blocks after the elements have come back."""
    heads: int = 4
    """Attention heads of these blocks."""
    window: int | Literal["full", "element"] = "full"
    """Slots before its own that one sees; full: all; element: those since the last end (outermost, Fixed only)."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.heads < 1:
            raise UserError(f"stage width and heads must be at least 1, got {self.width} and {self.heads}.")
        if self.before < 0 or self.after < 0:
            raise UserError(f"stage before and after must be at least 0, got {self.before} and {self.after}.")
        if self.width % self.heads != 0 or (self.width // self.heads) % 2 != 0:
            raise UserError(
                f"stage width {self.width} must be divisible by heads {self.heads} into heads of even width."
            )
        if isinstance(self.window, int) and self.window < 1:
            raise UserError(f"stage window must be at least 1, full or element, got {self.window}.")
        if not self.before and not self.after and self.window != "full":
            raise UserError(f"a stage without blocks has no window, got {self.window}.")
        if self.window == "element" and not isinstance(self.boundaries, Fixed):
            kind = type(self.boundaries).__name__
            raise UserError(f"window element needs Fixed boundaries, got {kind}.")
        if isinstance(self.boundaries, Routing) != isinstance(self.back, Smoothed):
            kinds = f"{type(self.boundaries).__name__} and {type(self.back).__name__}"
            raise UserError(f"Routing learns through Smoothed alone, and Smoothed needs its chances; got {kinds}.")


@dataclass(frozen=True)
class Hourglass:
    """Stages around a core."""

    stages: tuple[Stage, ...] = (Stage(),)
    """From the tokens inwards; none: the plain transformer."""
    width: int = 128
    """Features of the core."""
    depth: int = 4
    """Blocks of the core."""
    heads: int = 4
    """Attention heads of the core."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""
    feedforward: Feedforward = field(default_factory=MLP)
    """What is computed at each slot and element."""
    norm: Norm = field(default_factory=RMSNorm)
    """Normalisation before each branch, behind the inner part and before the head."""
    shift: TokenShift | None = field(default_factory=TokenShift)
    """Mix each token's embedding with the one before it; none: do not."""
    logit_cap: float | None = 15.0
    """Soft limit of the logits, cap * tanh(logits / cap); none: no limit."""
    dropout: float = 0.0
    """Share of features zeroed after the embedding and after each branch, in training."""

    def __post_init__(self) -> None:
        refuse_conditioned(self)
        if self.width < 1 or self.heads < 1 or self.depth < 0:
            given = f"{self.width}, {self.heads} and {self.depth}"
            raise UserError(f"model.width and model.heads must be at least 1 and model.depth at least 0, got {given}.")
        if self.width % self.heads != 0 or (self.width // self.heads) % 2 != 0:
            raise UserError(
                f"model.width {self.width} must be divisible by model.heads {self.heads} into heads of even width."
            )
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model.dropout must be from 0 up to, not including, 1; got {self.dropout}.")
        if self.logit_cap is not None and not self.logit_cap > 0:
            raise UserError(f"model.logit_cap must be above 0 or none, got {self.logit_cap}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"model.sharpness must be above 0 or none, got {self.sharpness}.")
        for stage in self.stages[1:]:
            if isinstance(stage.boundaries, (AfterSpaces, Surprise)):
                kind = type(stage.boundaries).__name__
                raise UserError(f"{kind} reads tokens, so it can stand in the outermost stage only.")
            if stage.window == "element":
                raise UserError("window element can stand in the outermost stage only.")

    def visibilities(self) -> frozenset[Visibility]:
        """CAUSAL: elements end at the slot that was read last."""
        return frozenset({Visibility.CAUSAL})

    def plain(self) -> Transformer:
        """The transformer that this is without stages."""
        return Transformer(
            width=self.width,
            depth=self.depth,
            mixer=Attention(heads=self.heads, sharpness=self.sharpness),
            feedforward=self.feedforward,
            norm=self.norm,
            shift=self.shift,
            logit_cap=self.logit_cap,
            dropout=self.dropout,
        )

    def build(
        self, vocabulary_size: int, layout: Layout, visibility: Visibility
    ) -> HourglassNetwork | TransformerNetwork:
        """The network; raises ``UserError`` unless CAUSAL, and for parts that do not fit."""
        if not self.stages:
            return self.plain().build(vocabulary_size, layout, visibility)
        if visibility not in self.visibilities():
            raise UserError(f"an Hourglass network cannot be {visibility.name}, only CAUSAL.")
        return HourglassNetwork(self, vocabulary_size)
