"""A web site on loopback that answers as badly as a test wishes, and an environment without settings."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """Pages by path; `asked` lists (path, Range header or None) of every request, in order."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.address = ""

    def serve(self, path: str, body: bytes) -> str:
        """A well-behaved file, with Range; returns its address."""
        self.pages[path] = lambda handler: send(handler, body)
        return self.address + path


def send(handler: BaseHTTPRequestHandler, body: bytes, *, cut: int | None = None, ranges: bool = True) -> None:
    """Send `body` from where Range says (if `ranges`); with `cut`, hang up after that many bytes."""
    begin = 0
    wanted = handler.headers.get("Range")
    if wanted and ranges:
        begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        if begin >= len(body):
            handler.send_error(416)
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
    else:
        handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) - begin))
    handler.end_headers()
    handler.wfile.write(body[begin:][:cut])


@pytest.fixture
def site() -> Iterator[Site]:
    """A running Site."""
    made = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers.get("Range")))
            page = made.pages.get(self.path)
            if page is None:
                self.send_error(404)
                return
            with suppress(ConnectionError):  # the client had enough
                page(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data folder, an empty cache, no mirrors and no proxy for loopback."""
    import os

    for name in list(os.environ):
        if name.startswith("SEMAGRAM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SEMAGRAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
