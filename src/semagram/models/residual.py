"""The residual form: where norms stand, how large a branch is, and how it joins the stream.

    h = join(h, drop(scale(output_norm(branch(norm(read(h)))))))        then, for post-norm, h = after_norm(h)

| norms    | formula                          | known from                                           |
|----------|----------------------------------|------------------------------------------------------|
| before   | h + f(norm(h))                   | pre-norm, arXiv 2002.04745; every modern model       |
| after    | norm(h + f(h))                   | post-norm, 1706.03762; BERT                          |
| sandwich | h + norm(f(norm(h)))             | CogView 2105.13290; Gemma 2                          |
| both     | norm(h + f(norm(h)))             | looped models, 2510.25741                            |
| output   | h + norm(f(h))                   | OLMo 2, 2501.00656                                   |
| none     | h + f(h)                         | with ReZero, 2003.04887                              |

``parallel``: mixer and feedforward read the same stream and are added together (GPT-J, GPT-NeoX, PaLM 2204.02311).
Stochastic depth: 1603.09382. Tested against x-transformers, and each form against its formula.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward import Norm
from semagram.feedforward.conditioned import applied
from semagram.models.joins import Joins, ManyStreams, Plus
from semagram.models.reversible import Reversible
from semagram.models.scales import BranchScale, starts_at_zero


@dataclass(frozen=True)
class Residual:
    """How a branch joins the stream; the default is pre-norm and a sum."""

    norms: Literal["before", "after", "sandwich", "both", "output", "none"] = "before"
    """Where the norms of a branch stand (see the table of ``models/residual.py``)."""
    parallel: Literal["no", "own_norms", "shared_norm"] = "no"
    """Mixer and feedforward side by side, with a norm each or one for both; no: one after the other."""
    scale: BranchScale | None = None
    """What each branch is multiplied by; none: nothing."""
    join: Joins = field(default_factory=Plus)
    """How it is added."""
    drop: float = 0.0
    """Stochastic depth: the chance to leave out the last branch of the stack for a row, in training; less below."""
    start: Literal["silent", "inner", "by_depth"] = "silent"
    """Weights into the stream: silent: 0 (unless scale or norm make up for it); inner: as others; by_depth: smaller."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.drop < 1.0:
            raise UserError(f"residual.drop must be from 0 up to, not including, 1; got {self.drop}.")
        if self.parallel != "no" and self.norms in ("after", "both"):
            raise UserError(
                f"residual.parallel={self.parallel!r} has one sum for two branches, so norms must not stand after "
                f"it: norms may be before, sandwich, output or none, got {self.norms!r}."
            )
        if self.parallel == "shared_norm" and self.norms not in ("before", "sandwich"):
            raise UserError(f"residual.parallel='shared_norm' needs a norm before the branches, got {self.norms!r}.")

        if isinstance(self.join, ManyStreams) and self.norm_after:
            raise UserError(
                f"residual.norms={self.norms!r} normalises one stream, but {type(self.join).__name__} keeps several: "
                f"norms may be before, sandwich, output or none."
            )
        if isinstance(self.join, Reversible) and (self.drop > 0 or self.parallel != "no"):
            raise UserError(
                f"Reversible branches come one by one and give the same twice, so residual.drop must be 0 and "
                f"residual.parallel no; got {self.drop} and {self.parallel!r}."
            )

    @property
    def norm_before(self) -> bool:
        """Whether a branch's input is normalised."""
        return self.norms in ("before", "sandwich", "both")

    @property
    def norm_of_output(self) -> bool:
        """Whether a branch's output is normalised."""
        return self.norms in ("sandwich", "output")

    @property
    def norm_after(self) -> bool:
        """Whether the stream is normalised after each sum."""
        return self.norms in ("after", "both")

    @property
    def silences(self) -> bool:
        """Whether weights into the stream start at 0; where a zero or a norm stands behind them they would never
        wake, or wake with a bang."""
        return self.start == "silent" and not self.norm_of_output and not starts_at_zero(self.scale)


class Way(nn.Module):
    """One branch's way into the stream: everything after the branch itself."""

    def __init__(
        self,
        config: Residual,
        width: int,
        norm: Norm,
        dropout: float,
        share: float,
        index: int,
        total: int,
        joins: bool = True,
    ) -> None:
        """Branch ``index`` of ``total``; ``joins=False``: it only shapes the output, another's way joins it."""
        super().__init__()
        self.output_norm = norm.build(width) if config.norm_of_output else None
        self.scale = None if config.scale is None else config.scale.build(width)
        self.share = share
        self.dropout = nn.Dropout(dropout)
        self.drop = config.drop * (index + 1) / total
        self.join = config.join.build(width, index, norm) if joins else None
        self.after_norm = norm.build(width) if config.norm_after else None

    def shaped(self, y: Tensor, condition: Tensor | None) -> Tensor:
        """The branch's output as it is added, ``(b, n, d)``."""
        if self.output_norm is not None:
            y = applied(self.output_norm, y, condition)
        if self.scale is not None:
            y = applied(self.scale, y, condition)
        if self.share != 1.0:
            y = y * self.share
        y = self.dropout(y)
        if self.training and self.drop > 0.0:
            kept = torch.rand(y.shape[0], *[1] * (y.dim() - 1), device=y.device) >= self.drop
            y = y * (kept.to(y.dtype) / (1.0 - self.drop))
        return y

    def read(self, h: Any) -> tuple[Tensor, Any]:
        """What the branch is shown, and what ``write`` takes."""
        assert self.join is not None
        return self.join.read(h)

    def write(self, carry: Any, y: Tensor, condition: Tensor | None) -> Any:
        """The stream with ``y``, as ``shaped`` made it."""
        assert self.join is not None
        h: Any = self.join.write(carry, y)
        return h if self.after_norm is None else applied(self.after_norm, h, condition)
