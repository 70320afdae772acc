"""Fetching: whole and right, or not there at all, whatever the server does."""

import hashlib
import random
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from semagram.errors import UserError
from semagram.text import Fetching, fetch
from text.conftest import Site, send  # pyright: ignore[reportMissingImports]

BODY = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Fetching(timeout=5, attempts=2, pause=0)
ONCE = Fetching(timeout=5, attempts=1, pause=0)


def nothing_there(path: Path) -> bool:
    return not path.exists() and not path.with_name(path.name + ".part").exists()


def test_a_file_arrives_once_and_is_asked_for_once(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    address, path = site.serve("/book", BODY), tmp_path / "deep" / "folder" / "book"
    manners = Fetching(progress=lambda *progress: seen.append(progress))
    assert fetch(address, path, size=len(BODY), sha256=SHA256, fetching=manners) == path
    assert path.read_bytes() == BODY
    assert seen[-1] == (address, len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})
    fetch(address, path, size=len(BODY), sha256=SHA256)
    assert site.asked == [("/book", None)]
    assert not path.with_name("book.part").exists()


def test_a_cut_connection_is_resumed_where_it_broke(site: Site, tmp_path: Path) -> None:
    cuts = iter([100_000, 50_000, None])
    site.pages["/book"] = lambda handler: send(handler, BODY, cut=next(cuts))
    path = fetch(site.address + "/book", tmp_path / "book", size=len(BODY), sha256=SHA256, fetching=Fetching(pause=0))
    assert path.read_bytes() == BODY
    assert [begin for _, begin in site.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_run_resumes_too(site: Site, tmp_path: Path) -> None:
    site.pages["/book"] = lambda handler: send(handler, BODY, cut=120_000)
    path = tmp_path / "book"
    with pytest.raises(UserError, match=r"1 attempt: the connection broke after 120,000 of 300,000 bytes"):
        fetch(site.address + "/book", path, sha256=SHA256, fetching=ONCE)
    assert not path.exists() and path.with_name("book.part").read_bytes() == BODY[:120_000]
    site.serve("/book", BODY)
    assert fetch(site.address + "/book", path, sha256=SHA256, fetching=ONCE).read_bytes() == BODY
    assert site.asked[-1] == ("/book", "bytes=120000-")


def test_what_nothing_can_judge_is_not_resumed(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "book"
    path.with_name("book.part").write_bytes(b"of another day")
    cuts = iter([1000, None])
    site.pages["/book"] = lambda handler: send(handler, BODY, cut=next(cuts))
    assert fetch(site.address + "/book", path, fetching=QUICK).read_bytes() == BODY
    assert [begin for _, begin in site.asked] == [None, None]


def test_a_server_without_range_starts_again(site: Site, tmp_path: Path) -> None:
    cuts = iter([100_000, None])
    site.pages["/book"] = lambda handler: send(handler, BODY, cut=next(cuts), ranges=False)
    path = fetch(site.address + "/book", tmp_path / "book", sha256=SHA256, fetching=QUICK)
    assert path.read_bytes() == BODY
    assert [begin for _, begin in site.asked] == [None, "bytes=100000-"]


def test_a_server_that_resumes_elsewhere_is_not_believed(site: Site, tmp_path: Path) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Range"):
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
            handler.send_header("Content-Length", str(len(BODY)))
            handler.end_headers()
            handler.wfile.write(BODY)
        else:
            send(handler, BODY)

    site.pages["/book"] = elsewhere
    path = tmp_path / "book"
    path.with_name("book.part").write_bytes(BODY[:10])
    assert fetch(site.address + "/book", path, sha256=SHA256, fetching=QUICK).read_bytes() == BODY


def test_a_part_already_whole_or_too_long_is_judged_without_harm(site: Site, tmp_path: Path) -> None:
    address = site.serve("/book", BODY)
    whole, long, unsized = tmp_path / "whole", tmp_path / "long", tmp_path / "unsized"
    whole.with_name("whole.part").write_bytes(BODY)
    long.with_name("long.part").write_bytes(BODY + b"more")
    unsized.with_name("unsized.part").write_bytes(BODY)
    assert fetch(address, whole, size=len(BODY), sha256=SHA256, fetching=ONCE).read_bytes() == BODY
    assert site.asked == []
    assert fetch(address, long, size=len(BODY), sha256=SHA256, fetching=ONCE).read_bytes() == BODY
    assert fetch(address, unsized, sha256=SHA256, fetching=QUICK).read_bytes() == BODY


def test_a_wrong_checksum_is_deleted_and_said(site: Site, tmp_path: Path) -> None:
    address, path = site.serve("/book", BODY[:-1] + b"x"), tmp_path / "book"
    with pytest.raises(
        UserError, match=f"gave a wrong file, which was deleted: its SHA-256 is [0-9a-f]+, expected {SHA256}"
    ):
        fetch(address, path, size=len(BODY), sha256=SHA256, fetching=ONCE)
    assert nothing_there(path)


@pytest.mark.parametrize(
    ("body", "message"),
    [(BODY[:-5], "299,995 bytes, expected 300,000"), (BODY * 2, "more than the expected")],
)
def test_a_wrong_size_is_deleted_and_said(site: Site, tmp_path: Path, body: bytes, message: str) -> None:
    address, path = site.serve("/book", body), tmp_path / "book"
    with pytest.raises(UserError, match=message):
        fetch(address, path, size=len(BODY), fetching=ONCE)
    assert nothing_there(path)


def test_a_file_that_its_check_refuses_is_deleted(site: Site, tmp_path: Path) -> None:
    address, path = site.serve("/book", b"<html>"), tmp_path / "book"
    with pytest.raises(UserError, match="it is a web page"):
        fetch(address, path, check=lambda part: "it is a web page" if part.read_bytes()[:1] == b"<" else None)
    assert nothing_there(path)


def test_a_file_without_announced_length_is_taken_to_its_end(site: Site, tmp_path: Path) -> None:
    def unannounced(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    site.pages["/book"] = unannounced
    assert fetch(site.address + "/book", tmp_path / "book", fetching=ONCE).read_bytes() == BODY
    site.pages["/cut"] = unannounced
    with pytest.raises(UserError, match="after 300,000 of 300,001 bytes"):
        fetch(site.address + "/cut", tmp_path / "cut", size=len(BODY) + 1, fetching=ONCE)


def test_404_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "book"
    with pytest.raises(UserError) as raised:
        fetch(site.address + "/none", path, hint="Ask the library.", fetching=QUICK)
    assert str(raised.value) == (
        f"{site.address}/none answered 404 Not Found. You can put the file at {path} yourself. Ask the library."
    )
    assert len(site.asked) == 1 and nothing_there(path)


def test_a_busy_server_is_asked_again_but_not_for_ever(site: Site, tmp_path: Path) -> None:
    codes = iter([503, 429])

    def busy(handler: BaseHTTPRequestHandler) -> None:
        code = next(codes, None)
        handler.send_error(code) if code else send(handler, BODY)

    site.pages["/book"] = busy
    assert fetch(site.address + "/book", tmp_path / "book", fetching=Fetching(pause=0)).read_bytes() == BODY
    site.pages["/always"] = lambda handler: handler.send_error(500)
    with pytest.raises(UserError, match="in 2 attempts: the server answered 500"):
        fetch(site.address + "/always", tmp_path / "always", fetching=QUICK)
    assert [path for path, _ in site.asked] == ["/book"] * 3 + ["/always"] * 2


@pytest.mark.parametrize("sent", [None, 1000])
def test_a_slow_server_times_out(site: Site, tmp_path: Path, sent: int | None) -> None:
    done = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        if sent is not None:
            send(handler, BODY, cut=sent)
            handler.wfile.flush()
        done.wait(5)

    site.pages["/book"] = slow
    begun = time.monotonic()
    try:
        with pytest.raises(UserError, match=r"in 2 attempts: no (more bytes|answer) within 0.1 s"):
            fetch(site.address + "/book", tmp_path / "book", fetching=Fetching(timeout=0.1, attempts=2, pause=0))
    finally:
        done.set()
    assert time.monotonic() - begun < 3
    assert not (tmp_path / "book").exists()


def test_a_server_that_hangs_up_at_once_is_said(site: Site, tmp_path: Path) -> None:
    site.pages["/book"] = lambda handler: None  # not even a status line
    with pytest.raises(UserError, match="in 2 attempts: the connection broke"):
        fetch(site.address + "/book", tmp_path / "book", fetching=QUICK)


def test_offline_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    with pytest.raises(UserError) as raised:
        fetch("http://127.0.0.1:9/book.txt", path, fetching=Fetching(attempts=5, pause=60))  # waits for nothing
    message = str(raised.value)
    assert message.startswith("cannot reach http://127.0.0.1:9/book.txt (Connection refused): no network?")
    assert f"put the file at {path} yourself" in message and "\n" not in message


@pytest.mark.parametrize(
    ("address", "message"), [("file:///etc/passwd", "must begin with http"), ("http://a b/", "is no address")]
)
def test_other_addresses_are_refused(tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fetch(address, tmp_path / "x")
    assert nothing_there(tmp_path / "x")


def test_a_folder_that_cannot_be_written_is_said(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot write in .*file: .*SEMAGRAM_CACHE names another folder"):
        fetch(site.serve("/book", BODY), tmp_path / "file" / "book")


def test_several_at_once_ask_once(site: Site, tmp_path: Path) -> None:
    def unhurried(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.05)
        send(handler, BODY)

    site.pages["/book"] = unhurried
    path = tmp_path / "book"
    threads = [threading.Thread(target=fetch, args=(site.address + "/book", path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == BODY and len(site.asked) == 1


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"attempts": 0}, {"pause": -1}])
def test_manners_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match="timeout must be above 0"):
        Fetching(**wrong)  # pyright: ignore[reportArgumentType]
