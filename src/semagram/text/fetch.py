"""Fetch one file over HTTP so that it is there whole and right, or not there at all.

Bytes go to NAME.part; only a file of the right size and checksum is renamed to NAME, in one step. A broken
download goes on where it stopped, in this run or a later one, when there is a checksum or a size to judge the
whole by, and otherwise begins again. Processes that want the same file (the ranks of a distributed run) wait
for each other.
"""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from semagram.errors import UserError
from semagram.text.locks import one_at_a_time

_CHUNK = 1 << 16
_WORTH_A_RETRY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Fetching:
    """Manners on the network. `timeout`: seconds to wait for a connection and for each next piece.

    `attempts`: how often to try in all. `pause`: seconds before the second attempt (doubled before each
    further one) and between two books. `progress`: called with (address, bytes so far, bytes in all or None).
    """

    timeout: float = 30.0
    attempts: int = 3
    pause: float = 1.0
    progress: Callable[[str, int, int | None], None] | None = None

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.attempts < 1 or self.pause < 0:
            raise UserError(
                f"timeout must be above 0, attempts at least 1 and pause at least 0; given "
                f"timeout={self.timeout}, attempts={self.attempts}, pause={self.pause}."
            )


FETCHING = Fetching()


class _Broken(Exception):
    """An attempt failed in a way that another one may mend; the message says how."""


def fetch(
    address: str,
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    check: Callable[[Path], str | None] | None = None,
    hint: str = "",
    fetching: Fetching = FETCHING,
) -> Path:
    """Return `path`, after fetching `address` (http or https) to it unless it is there already.

    `size` in bytes, `sha256` in hexadecimal and `check` (which returns what is wrong, or None) judge the
    whole file; one that fails is deleted. UserError, naming the address and where the file may be put by
    hand, when the address cannot be reached, refuses, is too slow or gives the wrong file. `hint` is added to
    it.
    """
    if not address.lower().startswith(("http://", "https://")):
        raise UserError(f'the address "{address}" must begin with http:// or https://.')
    part = path.with_name(path.name + ".part")
    by_hand = f" You can put the file at {path} yourself.{' ' + hint if hint else ''}"
    with one_at_a_time(path):
        if path.is_file():
            return path
        # Without size or checksum nothing could tell whether the ends of two downloads fit.
        resumable = size is not None or sha256 is not None
        try:
            _download(address, part, size, resumable, fetching, by_hand)
            _judge(address, part, size, sha256, check, by_hand)
            os.replace(part, path)
        except OSError as error:  # the network's own errors do not come up to here
            raise UserError(f"cannot write {path}: {error.strerror or error}.") from None
    return path


def _download(address: str, part: Path, size: int | None, resumable: bool, fetching: Fetching, by_hand: str) -> None:
    for attempt in range(1, fetching.attempts + 1):
        if not resumable:
            part.unlink(missing_ok=True)
        try:
            return _attempt(address, part, size, fetching, by_hand)
        except _Broken as broken:
            if attempt == fetching.attempts:
                times = "1 attempt" if attempt == 1 else f"{attempt} attempts"
                raise UserError(f"could not fetch {address} in {times}: {broken}.{by_hand}") from None
        time.sleep(fetching.pause * 2 ** (attempt - 1))


def _attempt(address: str, part: Path, size: int | None, fetching: Fetching, by_hand: str) -> None:
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have > size:
        part.unlink()
        have = 0
    if size is not None and have == size:
        return
    headers = {"User-Agent": "semagram (language-model workbench)", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _open(address, headers, part, fetching, by_hand) as response:
        if response.status != 206:
            have = 0  # the server does not resume: it sends the whole file
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            raise _Broken("the server resumed at the wrong place")
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else size
        with open(part, "ab" if have else "wb") as file:
            # Nobody waits for a server that keeps the line open after the last byte, or never stops sending.
            while (total is None or have < total) and (size is None or have <= size):
                chunk = _read(response, fetching)
                if not chunk:
                    break
                file.write(chunk)
                have += len(chunk)
                if fetching.progress is not None:
                    fetching.progress(address, have, total)
    too_long = size is not None and have > size  # `_judge` will say so
    if total is not None and have < total and not too_long:
        raise _Broken(f"the connection broke after {have:,} of {total:,} bytes")


def _open(
    address: str, headers: dict[str, str], part: Path, fetching: Fetching, by_hand: str
) -> http.client.HTTPResponse:
    request = urllib.request.Request(address, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=fetching.timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # nothing behind what we have: it is another file, or whole and wrong
            part.unlink(missing_ok=True)
            raise _Broken("the server has no more bytes than were fetched before") from None
        if error.code in _WORTH_A_RETRY:
            raise _Broken(f"the server answered {error.code} {error.reason}") from None
        raise UserError(f"{address} answered {error.code} {error.reason}.{by_hand}") from None
    except TimeoutError:
        raise _Broken(f"no answer within {fetching.timeout:g} s") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _Broken(f"no answer within {fetching.timeout:g} s") from None
        if isinstance(error.reason, ConnectionResetError):
            raise _Broken("the connection was reset") from None
        # No such host, refused, no route, a bad certificate: trying again at once would not help.
        reason = error.reason.strerror if isinstance(error.reason, OSError) else None
        raise UserError(f"cannot reach {address} ({reason or error.reason}): no network?{by_hand}") from None
    except http.client.InvalidURL as error:
        raise UserError(f'"{address}" is no address: {error}.{by_hand}') from None
    except (http.client.HTTPException, ConnectionError) as error:
        raise _Broken(f"the connection broke ({type(error).__name__})") from None


def _read(response: http.client.HTTPResponse, fetching: Fetching) -> bytes:
    try:
        return response.read1(_CHUNK)
    except TimeoutError:
        raise _Broken(f"no more bytes within {fetching.timeout:g} s") from None
    except (http.client.HTTPException, OSError) as error:
        raise _Broken(f"the connection broke ({type(error).__name__})") from None


def _judge(
    address: str,
    part: Path,
    size: int | None,
    sha256: str | None,
    check: Callable[[Path], str | None] | None,
    by_hand: str,
) -> None:
    found = part.stat().st_size
    wrong = None
    if size is not None and found > size:
        wrong = f"it has more than the expected {size:,} bytes"
    elif size is not None and found < size:
        wrong = f"it has {found:,} bytes, expected {size:,}"
    elif sha256 is not None and (given := file_sha256(part)) != sha256:
        wrong = f"its SHA-256 is {given}, expected {sha256}"
    elif check is not None:
        wrong = check(part)
    if wrong:
        part.unlink()
        raise UserError(f"{address} gave a wrong file, which was deleted: {wrong}.{by_hand}")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits. OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
