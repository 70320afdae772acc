"""What an audit found, in words for somebody who did not write the model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table

Verdict = Literal["kept", "broken", "not asked"]

_SIGN = {"kept": "ok", "broken": "BROKEN", "not asked": "-"}


class Suspicion(Exception):
    """Raised by a check that does not hold; ``audit`` makes a broken finding of it."""

    def __init__(self, detail: str, *, cell: int | None = None, place: int | None = None, size: float | None = None):
        super().__init__(detail)
        self.cell, self.place, self.size = cell, place, size


class NotAsked(Exception):
    """Raised by a check that cannot be made here; says why."""


@dataclass(frozen=True)
class Finding:
    """One check and how it went."""

    check: str
    """Its short name."""
    verdict: Verdict
    """kept; broken; not asked (``detail`` says why)."""
    detail: str
    """What was asked and seen."""
    cell: int | None = None
    """The cell of the canvas at which it first broke."""
    place: int | None = None
    """The place in the given ids (or, for a text, the character) of that cell."""
    size: float | None = None
    """How large the error is: nats for log-probabilities, bits for code lengths, a share for overlaps."""


@dataclass(frozen=True)
class AuditReport:
    """All findings of one audit."""

    subject: str
    """What was audited."""
    findings: tuple[Finding, ...]
    """In the order in which they were asked."""
    seconds: float
    """How long it took."""

    @property
    def passed(self) -> bool:
        """True when nothing is broken."""
        return not self.broken

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that do not hold."""
        return tuple(f for f in self.findings if f.verdict == "broken")

    def __getitem__(self, check: str) -> Finding:
        """The finding of a check, by name."""
        return next(f for f in self.findings if f.check == check)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        findings = [asdict(f) for f in self.findings]
        return {"subject": self.subject, "passed": self.passed, "seconds": self.seconds, "findings": findings}

    def as_text(self) -> str:
        """Plain text, one finding a line."""
        lines = [f"Audit of {self.subject} ({self.seconds:.1f} s)"]
        lines += [f"  {_SIGN[f.verdict]:>6}  {f.check}: {f.detail}" for f in self.findings]
        return "\n".join([*lines, self.verdict])

    @property
    def verdict(self) -> str:
        """One sentence."""
        asked = sum(f.verdict != "not asked" for f in self.findings)
        if self.passed:
            return f"Nothing suspicious in {asked} checks."
        return f"{len(self.broken)} of {asked} checks are broken: its score cannot be trusted."

    def table(self) -> Table:
        """The same for a terminal (rich)."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"Audit of {self.subject}", caption=self.verdict)
        for heading in ("", "check", "what was seen"):
            table.add_column(heading)
        colour = {"kept": "green", "broken": "bold red", "not asked": "dim"}
        for f in self.findings:
            table.add_row(Text(_SIGN[f.verdict], colour[f.verdict]), f.check, Text(f.detail))
        return table
