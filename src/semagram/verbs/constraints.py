"""Constraints: which tokens may come next, so that what is written is in a chosen language.

``Allowed`` leaves some ids only. ``Pattern`` holds the new text to a regular expression: its automaton (Thompson 1968,
sets of states; the pattern is parsed by Python's own ``re``) is walked character by character, and a token may
follow when all its characters lead to a state from which a match can still be completed. Where nothing may
follow a complete match, the row ends. Look-around, back references and anchors are refused; the whole of the new text
is matched. Efficient guided generation: arXiv 2307.09702. Tested against ``re.fullmatch`` on enumerated texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from semagram.errors import UserError

_MOST_STATES = 20_000
_parser: Any = re._parser  # type: ignore[attr-defined]
_constants: Any = re._constants  # type: ignore[attr-defined]

Fits = Callable[[str], bool]
"""Whether a character may be read."""


class Constraint(Protocol):
    """What may follow, given what was written; states are values and are never changed in place."""

    def start(self) -> object:
        """Nothing written yet."""
        ...

    def allowed(self, state: Any) -> Tensor:
        """Bool ``(v,)``: the tokens that may come next."""
        ...

    def advance(self, state: Any, token: int) -> object:
        """After one more token."""
        ...

    def complete(self, state: Any) -> bool:
        """True when all is written and nothing may follow."""
        ...


class Allowed:
    """Only some ids, everywhere."""

    def __init__(self, ids: Sequence[int], vocabulary_size: int) -> None:
        """``UserError`` for an empty list and ids out of range."""
        if not ids or not all(0 <= i < vocabulary_size for i in ids):
            raise UserError(f"allowed ids must be some of 0..{vocabulary_size - 1}, got {list(ids)[:8]}.")
        self._mask = torch.zeros(vocabulary_size, dtype=torch.bool)
        self._mask[list(ids)] = True

    def start(self) -> None:
        """There is nothing to remember."""

    def allowed(self, state: None) -> Tensor:
        """The ids."""
        return self._mask

    def advance(self, state: None, token: int) -> None:
        """Nothing changes."""

    def complete(self, state: None) -> bool:
        """Never."""
        return False


class Pattern:
    """A regular expression that the whole new text must match. States are sets of states of its automaton."""

    def __init__(self, pattern: str, token_texts: Sequence[str | None]) -> None:
        """token_texts: the exact text of each of the v tokens; None where a token by itself is no text (part of a
        character), which is then never allowed. ``UserError`` for a pattern that is none, or uses what cannot be."""
        self._pattern, self._texts = pattern, list(token_texts)
        self._empty: list[list[int]] = []
        self._reads: list[tuple[Fits, int] | None] = []
        try:
            tree = _parser.parse(pattern)
        except re.error as error:
            raise UserError(f"the pattern {pattern!r} is no regular expression: {error}.") from None
        if tree.state.flags & ~re.UNICODE:
            raise UserError(f"the pattern {pattern!r} has flags, which a constraint does not know.")
        begin = self._state()
        self._end = self._sequence(tree, begin)
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._masks: dict[frozenset[int], Tensor] = {}
        self._begin = self._closed({begin})

    def start(self) -> frozenset[int]:
        """Before the first character."""
        return self._begin

    def allowed(self, state: frozenset[int]) -> Tensor:
        """Tokens all of whose characters can be read; every state of the automaton leads to its end."""
        if state not in self._masks:
            fits = [bool(text) and bool(self._read(state, text or "")) for text in self._texts]
            self._masks[state] = torch.tensor(fits, dtype=torch.bool)
        return self._masks[state]

    def advance(self, state: frozenset[int], token: int) -> frozenset[int]:
        """After the token's characters."""
        return self._read(state, self._texts[token] or "")

    def complete(self, state: frozenset[int]) -> bool:
        """A match that no token prolongs."""
        return self.matched(state) and not bool(self.allowed(state).any())

    def matched(self, state: frozenset[int]) -> bool:
        """Whether the text so far is a match."""
        return self._end in state

    def _read(self, state: frozenset[int], text: str) -> frozenset[int]:
        for character in text:
            key = (state, character)
            if key not in self._steps:
                reads = [r for s in state if (r := self._reads[s]) is not None]
                self._steps[key] = self._closed({to for fits, to in reads if fits(character)})
            state = self._steps[key]
        return state

    def _closed(self, states: set[int]) -> frozenset[int]:
        """With all states that are reached without reading."""
        found, waiting = set(states), list(states)
        while waiting:
            for to in self._empty[waiting.pop()]:
                if to not in found:
                    found.add(to)
                    waiting.append(to)
        return frozenset(found)

    def _state(self) -> int:
        if len(self._empty) >= _MOST_STATES:
            raise UserError(f"the pattern {self._pattern!r} is too large: it needs more than {_MOST_STATES} states.")
        self._empty.append([])
        self._reads.append(None)
        return len(self._empty) - 1

    def _sequence(self, items: Any, begin: int) -> int:
        """Add the automaton of a sequence that starts at ``begin``; its end."""
        for kind, given in items:
            begin = self._item(kind, given, begin)
        return begin

    def _item(self, kind: Any, given: Any, begin: int) -> int:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):  # lazy or not, the language is the same
            least, most, what = given
            return self._repeated(least, most, what, begin)
        if name == "SUBPATTERN":
            if given[1] or given[2]:
                raise UserError(f"the pattern {self._pattern!r} has flags, which a constraint does not know.")
            return self._sequence(given[3], begin)
        end = self._state()
        if name == "BRANCH":
            for branch in given[1]:
                first = self._state()
                self._empty[begin].append(first)
                self._empty[self._sequence(branch, first)].append(end)
            return end
        self._reads[begin] = (self._fits(name, given), end)
        return end

    def _repeated(self, least: int, most: Any, what: Any, begin: int) -> int:
        for _ in range(least):
            begin = self._sequence(what, begin)
        if most is _constants.MAXREPEAT:
            hub, first, end = self._state(), self._state(), self._state()
            self._empty[begin].append(hub)
            self._empty[hub] += [first, end]
            self._empty[self._sequence(what, first)].append(hub)
            return end
        end = self._state()
        for _ in range(most - least):
            first = self._state()
            self._empty[begin] += [first, end]
            begin = self._sequence(what, first)
        self._empty[begin].append(end)
        return end

    def _fits(self, name: str, given: Any) -> Fits:
        if name == "LITERAL":
            return lambda c: ord(c) == given
        if name == "NOT_LITERAL":
            return lambda c: ord(c) != given
        if name == "ANY":
            return lambda c: c != "\n"
        if name == "IN":
            negated = bool(given) and str(given[0][0]) == "NEGATE"
            parts = [self._part(str(k), g) for k, g in given[negated:]]
            return lambda c: any(part(c) for part in parts) is not negated
        raise UserError(f"the pattern {self._pattern!r} uses {name.lower()}, which a constraint does not know.")

    def _part(self, name: str, given: Any) -> Fits:
        if name == "RANGE":
            return lambda c: given[0] <= ord(c) <= given[1]
        if name == "CATEGORY":
            letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[str(given).rsplit("_", 1)[1]]
            category = re.compile(f"\\{letter.upper() if 'NOT' in str(given) else letter}")
            return lambda c: category.fullmatch(c) is not None
        return self._fits(name, given)
