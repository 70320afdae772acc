"""An axis of tags beside a text, and its protocol: what a model may know of it, and so what its score means.

Let c be the tokens, m a tag for each, made by a labeller f. The letter to be predicted is c_i:

| protocol | the model is shown, before c_i | what its score is |
|---|---|---|
| ``Target`` | c_<i; the tags are further targets, in training only | the text's NLL |
| ``Causal`` | m_j = f(c_<=j) for j < i, made again from what is written | the text's NLL |
| ``Completed`` | the tag of the last finished word, tagged without what follows it | the text's NLL |
| ``Joint`` | tags that it wrote itself, each predicted and paid | the NLL of text and tags together |
| ``Given`` | m_<=i, known before the text is | conditional on the tags |
| ``Oracle`` | m_<i, made from the whole text, letters to come among it | nothing that may stand beside a likelihood |

The last row is what "metadata-enhanced" models do when tags are aligned with letters: the tag of a word stands beside
its first letter. It is here to be measured, must be allowed in so many words, and taints the name of its runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semagram.errors import UserError
from semagram.text.labels import CharacterClass, Finished, Labeller

Role = Literal["input", "target", "both"]


@dataclass(frozen=True)
class Target:
    """The tags of what comes next are asked for beside it, in training; nobody is shown them."""


@dataclass(frozen=True)
class Causal:
    """The tags of what is written already, by a labeller that reads no further."""


@dataclass(frozen=True)
class Completed:
    """The tag of the last finished word, on every letter until the next one is finished."""


@dataclass(frozen=True)
class Joint:
    """Tags are written like letters: one stream of cells, every one predicted and paid."""

    order: Literal["tag first", "text first"] = "tag first"
    """Within a step: plan and then write, or write and then say what it was."""
    every: Literal["step", "word"] = "step"
    """A tag for every token, or once a word, before its first letter."""

    def __post_init__(self) -> None:
        if self.every == "word" and self.order != "tag first":
            raise UserError("a tag once a word stands before it: order must be 'tag first', got 'text first'.")


@dataclass(frozen=True)
class Given:
    """Tags that are known before the text is: its author, its kind, a pattern that is asked for."""


@dataclass(frozen=True)
class Oracle:
    """Tags of the whole text, beside the letters that they know of: a leak, to be measured and never compared."""

    allow_oracle: bool = False
    """Must be True: the score is no likelihood."""

    def __post_init__(self) -> None:
        if not self.allow_oracle:
            raise UserError(
                "an Oracle axis tells the model of letters to come, so its score is no likelihood: "
                "say Oracle(allow_oracle=True), or use Causal, Completed, Joint or Target."
            )


Protocol = Target | Causal | Completed | Joint | Given | Oracle

WEIGHT = 0.25
"""Of the tags' loss beside the text's: 0.8 to 0.2."""


@dataclass(frozen=True)
class Axis:
    """One axis of tags: who makes them, and what may be known of them."""

    name: str = "kind"
    """What it is called in tables and files; a word."""
    labeller: Labeller = field(default_factory=CharacterClass)
    """From a text to a tag a character; a token has the tag of its last character."""
    protocol: Protocol = field(default_factory=Causal)
    """What the model is shown, and what its score means."""
    role: Role | None = None
    """Shown, asked for in training, or both; none: as the protocol has it (Target: target, Joint: both, else input)."""
    delay: int = 0
    """Tags are shown so many tokens later than they are known."""
    weight: float | None = None
    """Of the tags' mean loss beside the text's, where they are asked for in training; none: 0.25."""
    dropout: float = 0.0
    """Share of the canvases that are trained with the whole axis unknown, so that the model serves without it too."""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError(f"an axis's name must be a word of letters, digits and _, got {self.name!r}.")
        kind, allowed = type(self.protocol).__name__, self._allowed_roles()
        if self.role is not None and self.role not in allowed:
            raise UserError(f"axis {self.name}: role must be {' or '.join(allowed)} under {kind}, got {self.role!r}.")
        if isinstance(self.protocol, Causal) and not self.labeller.causal:
            raise UserError(
                f"axis {self.name}: {type(self.labeller).__name__} reads letters to come, so it cannot be Causal: "
                f"use Completed, Joint or Target, or the labeller Finished({type(self.labeller).__name__}())."
            )
        if self.delay < 0 or (
            self.delay and not (self.shown and isinstance(self.protocol, Causal | Completed | Oracle))
        ):
            raise UserError(
                f"axis {self.name}: delay must be 0 under {kind} with role {self.acts_as}, got {self.delay}; "
                f"tags that are shown under Causal, Completed or Oracle may be delayed."
            )
        if self.weight is not None and (not self.asked or not 0.0 < self.weight <= 100.0):
            raise UserError(
                f"axis {self.name}: weight must be above 0 and at most 100, and acts where tags are asked for in "
                f"training (role target or both, not Joint); got {self.weight} with role {self.acts_as} under {kind}."
            )
        if not 0.0 <= self.dropout < 1.0 or (self.dropout and not self.shown):
            raise UserError(
                f"axis {self.name}: dropout must be from 0 up to, not including, 1, and 0 where nothing is shown; "
                f"got {self.dropout} under {kind}."
            )

    def _allowed_roles(self) -> tuple[str, ...]:
        if isinstance(self.protocol, Target):
            return ("target",)
        if isinstance(self.protocol, Joint):
            return ("both",)
        return ("input",) if isinstance(self.protocol, Given) else ("input", "both")

    @property
    def acts_as(self) -> str:
        """The role that it has."""
        return self.role or self._allowed_roles()[0]

    @property
    def shown(self) -> bool:
        """Whether its tags are inputs beside the letters."""
        return self.acts_as in ("input", "both") and not self.written

    @property
    def asked(self) -> bool:
        """Whether its tags are further targets in training."""
        return self.acts_as in ("target", "both") and not self.written

    @property
    def written(self) -> bool:
        """Whether its tags are cells of the canvas."""
        return isinstance(self.protocol, Joint)

    @property
    def told(self) -> bool:
        """Whether somebody must tell its tags who knows the whole text, or what it shall be."""
        return isinstance(self.protocol, Given | Oracle)

    @property
    def reading(self) -> Labeller:
        """The labeller of what is shown: under Completed, of finished words."""
        if isinstance(self.protocol, Completed) and not self.labeller.causal:
            return Finished(self.labeller)  # type: ignore[arg-type]
        return self.labeller

    @property
    def size(self) -> int:
        """Tags that there are."""
        return len(self.labeller.names())

    @property
    def loss_weight(self) -> float:
        """See ``weight``."""
        return WEIGHT if self.weight is None else self.weight


@dataclass(frozen=True)
class Sum:
    """A row for each tag, added to the letter's."""


@dataclass(frozen=True)
class Concat:
    """Rows side by side, and one linear map of them to the width of the letter's."""

    width: int = 16
    """Features of an axis's row."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UserError(f"layout.combine.width must be at least 1, got {self.width}.")


@dataclass(frozen=True)
class Crossed:
    """A trunk for the letters and one for each axis, which look at each other after every layer (see
    ``models/crossed.py``)."""

    heads: int = 4
    """Of the attention between trunks."""

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise UserError(f"layout.combine.heads must be at least 1, got {self.heads}.")


Combine = Sum | Concat | Crossed
