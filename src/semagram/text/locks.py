"""One process at a time: the ranks of a distributed run all want the same corpus, and one of them fetches it.

The others wait, and find it there. The lock is a hidden empty file beside the wanted one; it stays, since
removing a lock that others may be waiting for would let two in.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from semagram.errors import UserError


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the right to make the file `path`; makes its folder. UserError if nothing can be written there.

    Systems without file locks (Windows, some network file systems) do not wait.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path.with_name(f".{path.name}.lock"), "w")  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise UserError(
            f"cannot write in {path.parent}: {error.strerror or error}. "
            f"SEMAGRAM_CACHE names another folder for fetched files."
        ) from None
    with file:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
