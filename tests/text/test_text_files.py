"""The user's own files: read exactly, or refused in one line that helps."""

import bz2
import gzip
import io
import lzma
import os
import sys
from pathlib import Path

import pytest

from semagram.errors import UserError
from semagram.text import load_text
from semagram.text.files import decode_text

TEXT = "Naïve café,\r\n  two  spaces\nand 😀.\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def refusal(source: str, encoding: str = "utf-8") -> str:
    with pytest.raises(UserError) as raised:
        load_text([source], encoding=encoding)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_file_is_read_exactly(here: Path) -> None:
    (here / "book.txt").write_bytes(TEXT.encode())
    text = load_text(["book.txt"])
    assert text.text == TEXT and text.names == ("book.txt",)
    assert load_text("book.txt") == text  # one source may be given bare
    assert load_text([str(here / "book.txt")]).sha256 == text.sha256
    assert "".join(text.parts) == TEXT


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_packed_files_are_unpacked(here: Path, ending: str, pack: type[bytes]) -> None:
    path = here / f"book.txt{ending}"
    path.write_bytes(pack(TEXT.encode()))
    assert load_text([path.name]).text == TEXT
    path.write_bytes(pack(TEXT.encode())[:-9])
    assert refusal(path.name).startswith(f"cannot unpack {path.name}")
    path.write_bytes(b"not packed at all")
    assert refusal(path.name).startswith(f"cannot unpack {path.name}")
    path.write_bytes(b"")
    assert refusal(path.name) == f"{path.name} is empty."
    path.write_bytes(pack(b""))
    assert refusal(path.name) == f"{path.name} is empty."


def test_a_folder_is_all_its_text_sorted(here: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/er/c.txt", "notes.md", ".hidden/d.txt", ".e.txt", "empty.txt"):
        (here / "books" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "books" / name).write_text("" if "empty" in name else name)
    text = load_text(["books"])
    assert text.text == "a.txt\nb.txt\ndeep/er/c.txt"
    assert text.names == ("books/a.txt", "books/b.txt", "books/deep/er/c.txt")
    (here / "nothing").mkdir()
    (here / "nothing" / "notes.md").write_text("x")
    assert refusal("nothing") == "the folder nothing has no text: no *.txt in it or below it that is not empty."


def test_a_glob_is_sorted_and_a_real_name_wins_over_it(here: Path) -> None:
    for name in ("b1.txt", "a1.txt", "a2.md", "[x].txt"):
        (here / name).write_text(name)
    (here / "sub").mkdir()
    (here / "sub" / "a3.txt").write_text("a3.txt")
    assert load_text(["?1.txt"]).text == "a1.txt\nb1.txt"
    assert load_text(["**/a*"]).text == "a1.txt\na2.md\na3.txt"
    assert load_text(["[x].txt"]).text == "[x].txt"
    assert refusal("*.doc") == "no file matches *.doc."
    assert refusal("su*") == "what matches su* is no file or empty."


def test_several_sources_are_joined_in_order_and_none_is_read_twice(here: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (here / name).write_text(name)
    assert load_text(["b.txt", "*.txt", str(here / "a.txt")]).text == "b.txt\na.txt"
    (here / "copy.md").write_text("a.txt")
    assert load_text(["a.txt", "b.txt", "copy.md"]).names == ("a.txt", "b.txt")
    assert load_text(["a.txt", "b.txt"], separator="--").text == "a.txt--b.txt"
    with pytest.raises(UserError, match="no source of text is given"):
        load_text([])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    text = load_text(["-", "-"])
    assert text.text == TEXT and text.names == ("-",)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert refusal("-") == "standard input is empty."


def test_the_home_folder_is_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    (here / "x.txt").write_text("home")
    assert load_text(["~/x.txt"]).text == load_text(["~/*.txt"]).text == "home"


def test_encodings(here: Path) -> None:
    (here / "latin.txt").write_bytes("café".encode("latin-1"))
    assert load_text(["latin.txt"], encoding="latin-1").text == "café"
    assert refusal("latin.txt") == (
        "latin.txt is not utf-8 text: byte 0xe9 at offset 3. "
        "Set its encoding (older Western files: latin-1 or cp1252), or convert it to UTF-8."
    )
    assert refusal("latin.txt", "ascii").startswith("latin.txt is not ascii text: byte 0xe9 at offset 3.")
    assert refusal("latin.txt", "latin-l") == (
        '"latin-l" is no text encoding, e.g. utf-8 or latin-1. Did you mean "latin-1"?'
    )
    assert '"hex" is no text encoding' in refusal("latin.txt", "hex")
    (here / "wide.txt").write_bytes("café".encode("utf-16"))
    assert load_text(["wide.txt"], encoding="utf-16").text == "café"
    assert refusal("wide.txt").endswith("It looks like UTF-16 text: set the encoding to utf-16.")
    (here / "mark.txt").write_bytes(b"\xef\xbb\xbfabc")
    assert load_text(["mark.txt"]).text == load_text(["mark.txt"], encoding="UTF8").text == "abc"
    (here / "only.txt").write_bytes(b"\xef\xbb\xbf")
    assert refusal("only.txt") == "only.txt is empty but for its byte-order mark."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x is empty."),
        (b"abc\0def", "x is not text: NUL at offset 3. It looks binary."),
        ("é\0".encode(), "x is not text: NUL at offset 2. It looks binary."),
        (
            b"%PDF-1.7\n\xe2\xe3",
            "x is not utf-8 text: byte 0xe2 at offset 9. It looks like a PDF file: save it as plain text first.",
        ),
        (
            b"PK\x03\x04\x00",
            "x is not text: NUL at offset 4. "
            "It looks like a ZIP archive (or .docx, .epub): unpack it, or save it as plain text first.",
        ),
        (
            gzip.compress(b"a", mtime=0),
            "x is not utf-8 text: byte 0x8b at offset 1. It looks like gzip data: name it .gz.",
        ),
        ("a".encode("utf-16-be"), "x is not text: NUL at offset 0. It looks binary."),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(UserError) as raised:
        decode_text(data, "x")
    assert str(raised.value) == message


def test_missing_files_name_the_nearest(here: Path) -> None:
    (here / "pride.txt").write_text("x")
    (here / "books").mkdir()
    (here / "books" / "emma.txt").write_text("x")
    assert refusal("prid.txt") == '"prid.txt" is neither a file, a folder nor a named corpus. Did you mean "pride.txt"?'
    assert refusal("books/ema.txt").endswith('Did you mean "books/emma.txt"?')
    assert refusal("bokks/emma.txt") == '"bokks/emma.txt" does not exist: there is no folder bokks.'
    assert refusal("tinyshakespear").endswith('Did you mean "tinyshakespeare"?')
    assert refusal("zzzz") == '"zzzz" is neither a file, a folder nor a named corpus.'
    assert refusal("x" * 5000).endswith("nor a named corpus.")
    assert "a source is empty" in refusal(" ")


def test_unreadable_files_are_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "secret.txt").write_text("x")
    if os.geteuid() == 0:  # permissions do not bind root

        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    else:
        (here / "secret.txt").chmod(0)
    assert refusal("secret.txt") == "cannot read secret.txt: Permission denied."
