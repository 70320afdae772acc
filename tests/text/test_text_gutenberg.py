"""Project Gutenberg: numbers, licence, mirror and cache, against a made-up library on loopback."""

from pathlib import Path

import pytest

from semagram.errors import UserError
from semagram.text import Fetching, load_text
from semagram.text.gutenberg import parse_numbers, strip_licence
from text.conftest import Site  # pyright: ignore[reportMissingImports]

QUICK = Fetching(timeout=5, attempts=1, pause=0)
STORY = "THE TALE\n\nIt was a *dark* night -- so dark!\n\n   An indented line.\n\nTHE END"


def book(story: str = STORY, title: str = "THE TALE") -> bytes:
    text = (
        f"\ufeffThe Project Gutenberg eBook of {title}\n\nThis ebook is for the use of anyone anywhere.\n\n"
        f"*** START OF THE PROJECT GUTENBERG EBOOK {title} ***\n\n\n\n{story}\n\n\n"
        f"*** END OF THE PROJECT GUTENBERG EBOOK {title} ***\n\nUpdated editions will replace it.\n"
    )
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ("84", (84,)),
        ("84,43,35", (84, 43, 35)),
        ("10-12", (10, 11, 12)),
        ("84, 10-12 ,11", (84, 10, 11, 12)),
        ("7-7", (7,)),
    ],
)
def test_numbers(given: str, numbers: tuple[int, ...]) -> None:
    assert parse_numbers(given) == numbers


@pytest.mark.parametrize(
    "given", ["", "0", "-3", "84,", "12-10", "x", "8 4", "1-2-3", "1000000", "1-1000", "84.5", "٣"]
)
def test_nonsense_numbers_are_refused(given: str) -> None:
    with pytest.raises(UserError, match=f"gutenberg:{given}"):
        parse_numbers(given)


def test_very_many_books_are_refused() -> None:
    assert len(parse_numbers("1-200")) == 200
    for given in ("1-201", "1-150,200-300,400"):
        with pytest.raises(UserError, match="more than 200 books"):
            parse_numbers(given)


@pytest.mark.parametrize(
    ("header", "footer"),
    [
        ("*** START OF THE PROJECT GUTENBERG EBOOK X ***", "*** END OF THE PROJECT GUTENBERG EBOOK X ***"),
        (
            "*** START OF THIS PROJECT GUTENBERG EBOOK X ***",
            "End of Project Gutenberg's X, by Y\n\n*** END OF THIS PROJECT GUTENBERG EBOOK",
        ),
        ("***START OF THE PROJECT GUTENBERG EBOOK X***\n\n", "***END OF THE PROJECT GUTENBERG EBOOK X***"),
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK A LONG TITLE,\nOR, THE *STARS*\nAND STRIPES ***",
            "*** END OF THE PROJECT GUTENBERG EBOOK A LONG",
        ),
        (
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
            "End of the Project Gutenberg Etext of X",
        ),
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK X ***\nblah\n*END THE SMALL PRINT! FOR*Ver.04*END*",
            "End of this Project Gutenberg Etext",
        ),
        (
            "*** Start of the Project Gutenberg EBook of X ***",
            "*** End of the Project Gutenberg EBook of X ***",
        ),
    ],
)
def test_the_licence_goes_and_the_story_stays(header: str, footer: str) -> None:
    text = f"The Project Gutenberg Etext\nlicence\n{header}\n\n \n{STORY}\n\n\n{footer}\n\nmore licence\n"
    assert strip_licence(text) == STORY + "\n"
    assert strip_licence(text.replace("\n", "\r\n")) == STORY + "\n"
    assert strip_licence(text.replace("\n", "\r")) == STORY + "\n"


def test_a_text_without_marks_stays_and_stripping_twice_changes_nothing() -> None:
    assert strip_licence(STORY) == STORY + "\n"
    assert strip_licence(strip_licence(book().decode())) == strip_licence(book().decode())
    assert strip_licence("   one\n") == "   one\n"
    inside = f"{STORY}\nHe read: the end of Project Gutenberg is near. *** START OF nothing ***"
    assert strip_licence(inside) == inside + "\n"


def test_books_come_from_the_mirror_once_and_in_order(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMAGRAM_MIRROR_GUTENBERG", site.address + "/")
    site.serve("/cache/epub/84/pg84.txt", book("Monster", "F"))
    site.serve("/cache/epub/43/pg43.txt", book("Doctor", "J"))
    for _ in range(2):
        text = load_text(["gutenberg:84,43"], fetching=QUICK)
        assert text.text == "Monster\n\nDoctor\n"
        assert text.names == ("gutenberg:84", "gutenberg:43")
    assert [path for path, _ in site.asked] == ["/cache/epub/84/pg84.txt", "/cache/epub/43/pg43.txt"]
    assert (tmp_path / "cache" / "gutenberg" / "84.txt").read_bytes() == book("Monster", "F")
    monkeypatch.setenv("SEMAGRAM_MIRROR_GUTENBERG", site.address + "/files/{number}/{number}-0.txt")
    site.serve("/files/35/35-0.txt", book("Machine"))
    assert load_text(["gutenberg:35"], fetching=QUICK).text == "Machine\n"


def test_alice_and_austen_are_gutenberg_books(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMAGRAM_MIRROR_GUTENBERG", site.address)
    for number, story in ((11, "Alice"), (1342, "Pride"), (121, "Abbey")):
        site.serve(f"/cache/epub/{number}/pg{number}.txt", book(story))
    assert load_text(["alice"], fetching=QUICK).text == "Alice\n"
    austen = load_text(["austen"], fetching=QUICK)
    assert austen.text == "Pride\n\nAbbey\n" and austen.names == ("austen/1", "austen/2")


def test_books_dropped_by_hand_are_read_as_they_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "pg84.txt").write_bytes(book("By hand"))
    latin = b"Character set encoding: ISO-8859-1\n" + "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\nCafé\n".encode(
        "latin-1"
    )
    cached = tmp_path / "cache" / "gutenberg"
    cached.mkdir(parents=True)
    (cached / "35.txt").write_bytes(latin)
    assert load_text(["gutenberg:84,35"], data_folder=data).text == "By hand\n\nCafé\n"
    (cached / "36.txt").write_bytes("Café".encode("latin-1"))
    with pytest.raises(UserError, match=r"36.txt is not UTF-8 text and its header names no other encoding"):
        load_text(["gutenberg:36"])
    (cached / "37.txt").write_bytes(book(""))
    with pytest.raises(UserError, match=r"book 37 .* holds no text apart from its licence"):
        load_text(["gutenberg:37"])


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"<!DOCTYPE html><p>Are you a robot?", "no line \\*\\*\\* START OF"),
        (book()[:200], "it ends before the line \\*\\*\\* END OF"),
    ],
)
def test_what_is_no_whole_book_is_not_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: bytes, message: str
) -> None:
    monkeypatch.setenv("SEMAGRAM_MIRROR_GUTENBERG", site.address)
    site.serve("/cache/epub/84/pg84.txt", page)
    with pytest.raises(UserError, match=message):
        load_text(["gutenberg:84"], fetching=QUICK)
    left = [path.name for path in (tmp_path / "cache" / "gutenberg").iterdir() if not path.name.endswith(".lock")]
    assert left == []


def test_offline_names_the_place_for_the_file_and_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMAGRAM_MIRROR_GUTENBERG", "http://127.0.0.1:9")
    with pytest.raises(UserError) as raised:
        load_text(["gutenberg:84"], fetching=QUICK)
    message = str(raised.value)
    assert "http://127.0.0.1:9/cache/epub/84/pg84.txt" in message and "\n" not in message
    assert str(tmp_path / "cache" / "gutenberg" / "84.txt") in message and "SEMAGRAM_MIRROR_GUTENBERG" in message
