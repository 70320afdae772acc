"""Errors that the user can mend: one plain line, never a traceback.

Whatever a person can put right (a file name, a number, a setting) is raised as `UserError`. The command line
prints its message as one line on stderr and ends with exit status 2. Anything else that is raised is a fault
of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """The user can fix this; printed as one line, exit status 2."""


def nearest_word(given: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed word most like `given`, upper and lower case being equal, or None when none is."""
    by_lower_case = {word.lower(): word for word in allowed}
    found = get_close_matches(given.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else None


def nearest(given: str, allowed: Iterable[str]) -> str:
    """Return ' Did you mean "characters"?' for the allowed word most like `given`, or '' if none is.

    The result begins with a space, so that it can be put straight behind a sentence.
    """
    word = nearest_word(given, allowed)
    return f' Did you mean "{word}"?' if word is not None else ""
