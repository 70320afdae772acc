"""Labels by rules of your own: a table of regular expressions.

``Rules((("number", r"\\d+"), ("shout", r"[A-Z]{2,}")))``: every match of an expression gets its name; where two match,
the one that stands first in the table wins; a group in the expression ( ) narrows the label to the first group.
Expressions are matched line by line (a match may reach to the line's end, which is later text, so the labels look
ahead) or over the whole text; ^ and $ stand for the ends of a line. ``Finished`` and ``Running`` take the look-ahead
away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, Tags, TextLabeller


@dataclass(frozen=True)
class Rules(TextLabeller):
    """The name of the first expression that matches here."""

    table: tuple[tuple[str, str], ...] = (
        ("number", r"\d+(?:[.,]\d+)*"),
        ("speech", r"\"[^\"\n]*\""),
        ("capitals", r"\b[A-Z]{2,}\b"),
        ("name", r"\b[A-Z][a-z]+\b"),
    )
    """(name, regular expression), the stronger first."""
    unit: Literal["line", "text"] = "line"
    """What an expression is matched in."""

    def __post_init__(self) -> None:
        if not self.table:
            raise UserError("a table of rules needs at least one (name, expression).")
        for name, expression in self.table:
            if not name or name == NONE:
                raise UserError(f"the rule {expression!r} needs a name other than {NONE!r}.")
            try:
                re.compile(expression)
            except re.error as error:
                raise UserError(f"the rule {name!r} is no regular expression: {error}.") from None

    def names(self) -> tuple[str, ...]:
        """none, then the names in the order of the table; two rules may share one."""
        return tuple(dict.fromkeys((NONE, *(name for name, _ in self.table))))

    def label(self, text: str) -> Tags:
        """(len(text),)"""
        labels = np.zeros(len(text), dtype=np.int64)
        start = 0
        for piece in text.split("\n") if self.unit == "line" else (text,):
            for tag, expression in self._compiled:
                for found in expression.finditer(piece):
                    group = 1 if expression.groups and found.start(1) >= 0 else 0
                    labels[start + found.start(group) : start + found.end(group)] = tag
            start += len(piece) + 1
        return labels

    def context(self, text: str, end: int) -> int:
        """Where the line begins, or the text."""
        return min(text.rfind("\n", 0, end) + 1, end - 1) if self.unit == "line" else 0

    @cached_property
    def _compiled(self) -> list[tuple[int, re.Pattern[str]]]:
        """The weakest first: what is written later wins."""
        names = self.names()
        return [(names.index(name), re.compile(rule, re.MULTILINE)) for name, rule in reversed(self.table)]
