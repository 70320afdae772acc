"""How a law says that it is broken: with its name, so that a planted fault can be traced to what caught it."""

from __future__ import annotations


class Broken(AssertionError):
    """A law does not hold. ``law`` is its short name."""

    def __init__(self, law: str, detail: str) -> None:
        super().__init__(f"{law}: {detail}")
        self.law = law


def require(holds: object, law: str, detail: str) -> None:
    """Raise ``Broken`` unless ``holds``."""
    if not bool(holds):
        raise Broken(law, detail)
