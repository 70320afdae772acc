"""A text read at several resolutions at once: parallel streams of elements that all serve the next token.

    levels_l = norm(compress_l(embedding))                                  (hierarchical_compress.py)
    then, layer after layer:  levels_l = block_l(levels_l);  levels = merge(levels)     (_level.py, _merge.py)
    logits = head(norm(the predicting level, or all of them side by side))

The simple hierarchical transformer (lucidrains, 2023), whose nearest published relative is Hourglass (arXiv
2110.13711); unlike there the streams run side by side. Every element ends at its last token and is seen from there
on, so the network is causal for every stride, also where the predicting level has one. Without levels it is the plain
``Transformer``, to the bit. Tested against the installed package (same weights) and against its own stepping.

It reads a canvas as a line in its order of writing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from semagram.errors import UserError
from semagram.feedforward import MLP, Feedforward, Norm, RMSNorm
from semagram.layouts import Layout, Visibility
from semagram.mixers import Attention, TokenShift
from semagram.models.demands import refuse_conditioned
from semagram.models.hierarchical_compress import Compress, Convolve
from semagram.models.hierarchical_level import Level
from semagram.models.hierarchical_look_up import LookUp
from semagram.models.hierarchical_losses import AuxiliaryLoss
from semagram.models.hierarchical_merge import Concatenate, GatedAdd, Separable
from semagram.models.hierarchical_network import HierarchicalNetwork
from semagram.models.transformer import Transformer, TransformerNetwork

Merge = Concatenate | GatedAdd | LookUp | Separable

_OF_LEVELS = ("predicting", "pooled", "into", "merge", "compress", "shared_attention", "half_shift", "losses")
"""Fields that only levels give a meaning."""


@dataclass(frozen=True)
class Hierarchical:
    """Levels side by side, the tokens themselves usually among them."""

    width: int = 128
    """Features of the embedding; without levels, of the transformer."""
    depth: int = 4
    """Layers; in each, every level has a block, and then they merge."""
    levels: tuple[Level, ...] = (Level(), Level(factor=4, stride=4))
    """The resolutions; none: the plain transformer."""
    predicting: int = 0
    """Number of the level that the head reads (0 is the first)."""
    pooled: bool = False
    """The head reads all levels side by side."""
    into: Literal["predicting", "all"] | tuple[int, ...] = "predicting"
    """Which levels receive from the others after each layer; numbers, or these words."""
    merge: Merge = field(default_factory=Concatenate)
    """How they receive."""
    compress: Compress = field(default_factory=Convolve)
    """How tokens become elements."""
    shared_attention: bool = False
    """In each layer the levels share one attention's weights; their widths, heads and norms must agree."""
    half_shift: bool = True
    """Before every branch half of the features are replaced by those of the element before."""
    sharpness: float | None = 8.0
    """Normalise queries and keys: a score is sharpness times their cosine; none: plain scaled products."""
    feedforward: Feedforward = field(default_factory=MLP)
    """What is computed at each element."""
    norm: Norm = field(default_factory=RMSNorm)
    """Normalisation before each branch and merge."""
    end_norm: Norm | None = None
    """Normalisation of the levels when they are made and before the head; none: as ``norm``."""
    shift: TokenShift | None = field(default_factory=TokenShift)
    """Mix each token's embedding with the one before it; none: do not."""
    logit_cap: float | None = 15.0
    """Soft limit of the logits, cap * tanh(logits / cap); none: no limit."""
    dropout: float = 0.0
    """Share of features zeroed after the embedding and after each branch, in training."""
    losses: tuple[AuxiliaryLoss, ...] = ()
    """What the coarse levels are asked for in training, beside the next token."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 0:
            given = f"{self.width} and {self.depth}"
            raise UserError(f"model.width must be at least 1 and model.depth at least 0, got {given}.")
        if not 0.0 <= self.dropout < 1.0:
            raise UserError(f"model.dropout must be from 0 up to, not including, 1; got {self.dropout}.")
        if self.logit_cap is not None and not self.logit_cap > 0:
            raise UserError(f"model.logit_cap must be above 0 or none, got {self.logit_cap}.")
        if self.sharpness is not None and not self.sharpness > 0:
            raise UserError(f"model.sharpness must be above 0 or none, got {self.sharpness}.")
        refuse_conditioned(self)
        idle = [] if len(self.levels) > 1 else ["pooled", "into", "merge", "shared_attention"]
        idle += [*_OF_LEVELS, "end_norm"] if not self.levels else []
        defaults = {f.name: f.default_factory() if callable(f.default_factory) else f.default for f in fields(self)}  # type: ignore[misc]
        for name in idle:
            if getattr(self, name) != defaults[name]:
                raise UserError(f"model.{name} needs more levels than {len(self.levels)}, got {getattr(self, name)}.")
        if self.levels:
            self._check_levels()

    def _check_levels(self) -> None:
        count = len(self.levels)
        if self.depth < 1:
            raise UserError(f"model.depth must be at least 1 where there are levels, got {self.depth}.")
        if not 0 <= self.predicting < count:
            raise UserError(f"model.predicting must be the number of a level, 0 to {count - 1}, got {self.predicting}.")
        if isinstance(self.into, tuple):
            if not self.into or any(not 0 <= i < count for i in self.into) or len(set(self.into)) < len(self.into):
                raise UserError(f"model.into must be different numbers from 0 to {count - 1}, got {self.into}.")
            if not self.pooled and self.predicting not in self.into:
                raise UserError(
                    f"model.into must hold the predicting level {self.predicting}, or the head hears of no other "
                    f"(unless pooled), got {self.into}."
                )
        if self.pooled and self.predicting:
            raise UserError(f"model.predicting means nothing where the head reads all levels, got {self.predicting}.")
        kinds = {(lv.width, lv.heads, lv.features) for lv in self.levels}
        if self.shared_attention and len(kinds) > 1:
            raise UserError(f"shared_attention needs levels of one width and one kind of heads, got {sorted(kinds)}.")
        if self.shared_attention and any(level.recurrence is not None for level in self.levels):
            raise UserError("shared_attention means nothing to a level with a recurrence.")
        if self.shared_attention and all(level.window == "none" for level in self.levels):
            raise UserError("shared_attention needs a level that has attention; all windows are none.")
        if not self.half_shift and any(level.window == "none" for level in self.levels):
            raise UserError("a level of window none looks back by half_shift alone, got half_shift False.")
        if self.losses and all(level.factor == 1 for level in self.levels):
            raise UserError(f"model.losses are asked of levels with a factor above 1, got {self.losses}.")
        names = [type(loss).__name__ for loss in self.losses]
        if len(set(names)) < len(names):
            raise UserError(f"model.losses must differ, got {', '.join(names)}.")
        if any(level.multiple is not None for level in self.levels) and not hasattr(self.feedforward, "multiple"):
            raise UserError(f"a {type(self.feedforward).__name__} has no multiple that a level could set.")

    def visibilities(self) -> frozenset[Visibility]:
        """CAUSAL: elements end at their last token."""
        return frozenset({Visibility.CAUSAL})

    def receivers(self, layer: int) -> tuple[int, ...]:
        """Levels that receive after a layer; after the last one only those that the head reads."""
        into = (self.predicting,) if self.into == "predicting" else self.into
        into = tuple(range(len(self.levels))) if into == "all" else into
        assert isinstance(into, tuple)
        return into if layer < self.depth - 1 or self.pooled else (self.predicting,)

    def plain(self) -> Transformer:
        """The transformer that this is without levels."""
        return Transformer(
            width=self.width,
            depth=self.depth,
            mixer=Attention(sharpness=self.sharpness),
            feedforward=self.feedforward,
            norm=self.norm,
            shift=self.shift,
            logit_cap=self.logit_cap,
            dropout=self.dropout,
        )

    def build(
        self, vocabulary_size: int, layout: Layout, visibility: Visibility
    ) -> HierarchicalNetwork | TransformerNetwork:
        """The network; raises ``UserError`` unless CAUSAL, and for sizes that do not fit."""
        if not self.levels:
            return self.plain().build(vocabulary_size, layout, visibility)
        if visibility not in self.visibilities():
            raise UserError(f"a Hierarchical network cannot be {visibility.name}, only CAUSAL.")
        return HierarchicalNetwork(self, vocabulary_size, layout.count)
