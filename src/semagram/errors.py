"""Errors that the user can mend: one plain line, never a traceback.

Whatever a person can put right (a file name, a number, a setting) is raised as `UserError`. The command line prints
its message as one line on stderr and ends with exit status 2. Anything else that is raised is a fault of ours.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """The user can fix this; printed as one line, exit status 2."""


def nearest(given: str, allowed: Iterable[str]) -> str:
    """Return ' Did you mean "characters"?' for the allowed word most like `given`, or '' when none is like it.

    Upper and lower case count as equal. The result begins with a space, so that it can be put straight behind a
    sentence.
    """
    by_lower_case = {word.lower(): word for word in allowed}
    found = get_close_matches(given.lower(), by_lower_case, n=1, cutoff=0.6)
    return f' Did you mean "{by_lower_case[found[0]]}"?' if found else ""
