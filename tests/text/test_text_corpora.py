"""Named corpora: found in the right order, checked, listed; texts from Python and the hub."""

import hashlib
import io
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from semagram.errors import UserError
from semagram.text import DEFAULT_CORPUS, Fetching, Split, corpora, load_text
from semagram.text.catalogue import CATALOGUE, Download, NamedCorpus, find_named
from semagram.text.hugging_face import HuggingFaceText, parse_hugging_face
from semagram.text.named import read_named
from semagram.text.places import Places
from semagram.text.python_texts import library_code, library_docstrings
from text.conftest import Site  # pyright: ignore[reportMissingImports]

QUICK = Fetching(timeout=5, attempts=1, pause=0)
BODY = b"to be or not to be\n" * 50


def made_up(address: str, body: bytes = BODY, member: str | None = None, packed: bytes = BODY) -> NamedCorpus:
    origin = Download(
        address,
        len(packed),
        hashlib.sha256(packed).hexdigest(),
        len(body),
        hashlib.sha256(body).hexdigest(),
        member,
    )
    return NamedCorpus("made-up", "for this test", origin, len(body), "none")


def packed(body: bytes, member: str = "inside") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, body)
    return buffer.getvalue()


# --- what ships with Python


def test_the_default_is_always_there() -> None:
    text = load_text()
    assert text.names == (DEFAULT_CORPUS,) == ("pydocs",)
    assert len(text.text) > 300_000 and 'The "for" statement' in text.text
    assert text == load_text(["pydocs"]) and text.sha256 == hashlib.sha256(text.text.encode()).hexdigest()


def test_docstrings_and_code_of_a_library(tmp_path: Path) -> None:
    (tmp_path / "b.py").write_text(
        '"""Module b."""\nif 1:\n    def f():\n        """In f,\n\n        é."""\n'
        '        def g():\n            "In g."\n'
    )
    (tmp_path / "a.py").write_text(
        'class C:\n    """Class C."""\n    async def m(self):\n        """Method m."""\n'
        '\ntry:\n    pass\nexcept ValueError:\n    def h(): "In h."\n'
    )
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "odd.py").write_text('"""NUL \\0."""\ndef f(): "Half \\ud800."\n')
    (tmp_path / "_sysconfigdata_x.py").write_text('"""Of this machine."""')
    for folder in ("test", "pkg/tests", "site-packages"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "t.py").write_text('"""A test."""')
    (tmp_path / "pkg" / "latin.py").write_bytes(b'# coding: latin-1\n"""Caf\xe9."""\n')
    assert library_docstrings(tmp_path) == (
        "Class C.\n\nMethod m.\n\nIn h.\n\nModule b.\n\nIn f,\n\né.\n\nIn g.\n\nCafé.\n"
    )
    code = library_code(tmp_path)
    assert code.startswith("class C:") and "Café" in code and "def (" in code
    assert "A test" not in code and "Of this machine" not in code
    for make in (library_docstrings, library_code):
        with pytest.raises(UserError, match="comes without its sources"):
            make(tmp_path / "none")


def test_the_library_of_this_python_is_code() -> None:
    text = load_text(["stdlib-code"]).text
    assert len(text) > 5_000_000 and "class OrderedDict" in text and "class TestCase(unittest" not in text


# --- where a name is looked for


def test_an_existing_path_comes_first_then_data_then_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = [
        tmp_path / "cache" / "alice.txt",
        tmp_path / "data" / "alice.txt",
        tmp_path / "given" / "alice",
        tmp_path / "alice",
    ]
    for number, path in enumerate(places):
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(number))
        if number == 1:
            monkeypatch.setenv("SEMAGRAM_DATA", str(path.parent))
        given = tmp_path / "given" if number >= 2 else None
        assert load_text(["alice"], data_folder=given).text == str(number)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "pydocs.txt").write_text("pinned")
    assert load_text(data_folder=tmp_path / "other").text == "pinned"


def test_any_text_in_the_data_folder_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "moby.txt").write_text("Call me")
    assert load_text(["moby"], data_folder=tmp_path).text == "Call me"


def test_a_data_folder_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"the folder .*none \(given by data_folder\) does not exist"):
        load_text(data_folder=tmp_path / "none")
    monkeypatch.setenv("SEMAGRAM_DATA", str(tmp_path / "none"))
    with pytest.raises(UserError, match="given by SEMAGRAM_DATA"):
        corpora()


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SEMAGRAM_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert Places.find().cache == Path.home() / ".cache" / "semagram"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Places.find().cache == tmp_path / "semagram"
    monkeypatch.setenv("SEMAGRAM_CACHE", "~/c")
    assert Places.find().cache == Path.home() / "c"
    assert Places.find(cache_folder=tmp_path).cache == tmp_path


# --- downloads


def test_a_file_is_fetched_to_the_cache_and_checked(site: Site, tmp_path: Path) -> None:
    places = Places(None, tmp_path)
    corpus = made_up(site.serve("/x", BODY))
    assert read_named(corpus, places, QUICK) == (BODY.decode(),)
    assert read_named(corpus, places, QUICK) == (BODY.decode(),)
    assert len(site.asked) == 1
    (tmp_path / "made-up.txt").write_bytes(BODY + b"changed")
    with pytest.raises(UserError, match=r"made-up.txt is not made-up: it has 957 bytes and SHA-256"):
        read_named(corpus, places, QUICK)


def test_the_text_in_a_zip_is_unpacked_checked_and_kept_alone(site: Site, tmp_path: Path) -> None:
    archive = packed(BODY)
    corpus = made_up(site.serve("/x.zip", archive), member="inside", packed=archive)
    assert read_named(corpus, Places(None, tmp_path), QUICK) == (BODY.decode(),)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == ["made-up.txt"]
    assert read_named(corpus, Places(None, tmp_path), QUICK) == (BODY.decode(),) and len(site.asked) == 1


def test_a_zip_put_there_by_hand_is_used(tmp_path: Path) -> None:
    archive = packed(BODY)
    (tmp_path / "made-up.zip").write_bytes(archive)
    corpus = made_up("http://127.0.0.1:9/", member="inside", packed=archive)
    assert read_named(corpus, Places(None, tmp_path), QUICK) == (BODY.decode(),)


@pytest.mark.parametrize(
    "archive",
    [packed(BODY[:-1] + b"x"), packed(BODY * 1000), packed(BODY, "other"), packed(BODY)[:-30], b"no zip"],
)
def test_a_wrong_zip_leaves_nothing(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "made-up.zip").write_bytes(archive)
    with pytest.raises(UserError, match=r"made-up\.zip is not the archive of made-up and was deleted"):
        read_named(made_up("http://127.0.0.1:9/", member="inside"), Places(None, tmp_path), QUICK)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_mirror_stands_in_for_the_address(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMAGRAM_MIRROR_TINYSHAKESPEARE", site.serve("/wrong", b"x" * 1_115_394))
    with pytest.raises(UserError, match="/wrong gave a wrong file, which was deleted: its SHA-256 is"):
        load_text(["tinyshakespeare"], fetching=QUICK)
    assert site.asked == [("/wrong", None)]
    monkeypatch.setenv("SEMAGRAM_MIRROR_ENWIK8", "http://127.0.0.1:9/enwik8.zip")
    with pytest.raises(UserError) as raised:
        load_text(["enwik8"], fetching=QUICK)
    for part in (
        "http://127.0.0.1:9/enwik8.zip",
        "enwik8.zip yourself",
        "SEMAGRAM_MIRROR_ENWIK8",
        "SEMAGRAM_DATA",
    ):
        assert part in str(raised.value)


def test_the_wrong_text_under_a_known_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tinyshakespeare.txt").write_text("To be")
    with pytest.raises(UserError, match="is not tinyshakespeare: it has 5 bytes"):
        load_text(["tinyshakespeare"], data_folder=tmp_path)
    assert load_text([str(tmp_path / "tinyshakespeare.txt")]).text == "To be"  # as a path it is the user's own


# --- the catalogue


def test_the_list_says_where_each_is(tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    (cache / "gutenberg").mkdir(parents=True)
    data.mkdir()
    (data / "tinyshakespeare.txt").write_text("x")
    (cache / "text8.txt").write_text("x")
    (cache / "gutenberg" / "11.txt").write_text("x")
    (cache / "gutenberg" / "121.txt").write_text("x")
    listed = {info.name: info for info in corpora(data, cache)}
    assert list(listed) == [corpus.name for corpus in CATALOGUE]
    assert {name: info.where for name, info in listed.items()} == {
        "pydocs": "with Python",
        "stdlib-docs": "with Python",
        "stdlib-code": "with Python",
        "tinyshakespeare": "path",
        "enwik8": "to fetch",
        "text8": "cached",
        "austen": "to fetch",
        "alice": "cached",
    }
    assert listed["tinyshakespeare"].place == str(data / "tinyshakespeare.txt")
    assert listed["austen"].place == "https://www.gutenberg.org/cache/epub/1342/pg1342.txt"
    assert {name for name, info in listed.items() if info.checked == "SHA-256"} == {
        "tinyshakespeare",
        "enwik8",
        "text8",
    }
    assert all(info.size > 100_000 and info.licence and info.description for info in listed.values())


def test_the_split_of_a_corpus_comes_with_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enwik8 = find_named("enwik8")
    assert enwik8 is not None and enwik8.split == Split(0.90, 0.05, 0.05, in_bytes=True)
    assert [len(part) for part in enwik8.split.cut("x" * 100_000)] == [90_000, 5_000, 5_000]
    monkeypatch.setattr("semagram.text.sources.find_named", lambda name: enwik8 if name == "enwik8" else None)
    monkeypatch.setattr("semagram.text.sources.read_named", lambda *_: ("x" * 1000,))
    (tmp_path / "own.txt").write_text("own")
    assert [len(part) for part in load_text(["enwik8"]).parts] == [900, 50, 50]
    assert load_text(["enwik8", str(tmp_path / "own.txt")]).split == Split()


# --- the Hugging Face hub


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("roneneldan/TinyStories", HuggingFaceText("roneneldan/TinyStories")),
        ("imdb:test", HuggingFaceText("imdb", split="test")),
        ("a/b:train[:1%]:story", HuggingFaceText("a/b", split="train[:1%]", column="story")),
        ("a/b/c-v1:validation", HuggingFaceText("a/b", configuration="c-v1", split="validation")),
    ],
)
def test_hub_names(given: str, wanted: HuggingFaceText) -> None:
    assert parse_hugging_face(given) == wanted


@pytest.mark.parametrize("given", ["", ":train", "a:", "a:b:c:d", "a/b/c/d", "a//b"])
def test_hub_names_that_are_none(given: str) -> None:
    with pytest.raises(UserError, match="must be"):
        load_text([f"hf:{given}"])


def test_without_the_package_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="hf: sources need the package datasets; install it with: pip install datasets"):
        load_text(["hf:a/b"])


class FakeRows(dict[str, list[str]]):
    """As much of a `datasets.Dataset` as is used: columns by name, and their types."""

    @property
    def features(self) -> dict[str, types.SimpleNamespace]:
        return {name: types.SimpleNamespace(dtype="int64" if name == "n" else "string") for name in self}


def test_columns_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "two": FakeRows(text=["a", "", "b"], title=["t"], n=["1"]),
        "one": FakeRows(story=["s"], n=["1"]),
        "odd": FakeRows(p=["x"], q=["y"]),
        "none": FakeRows(text=[]),
    }

    def load_dataset(name: str, configuration: str | None, split: str) -> FakeRows:
        if name not in rows:
            raise FileNotFoundError("no such\n   data set")
        assert configuration is None and split == "train"
        return rows[name]

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    assert load_text(["hf:two"]).text == "a\nb" and load_text(["hf:two"]).names == ("hf:two",)
    assert load_text(["hf:two:train:title"]).text == "t"
    assert load_text(["hf:one"]).text == "s"
    with pytest.raises(UserError, match="string columns p, q; name one: hf:odd:train:COLUMN"):
        load_text(["hf:odd"])
    with pytest.raises(UserError, match=r'no column "titel" of strings; it has: text, title\. Did you mean "title"\?'):
        load_text(["hf:two:train:titel"])
    with pytest.raises(UserError, match=r"cannot load hf:three \(train\): no such data set"):
        load_text(["hf:three"])
    with pytest.raises(UserError, match="hf:none holds no text"):
        load_text(["hf:none"])


# --- the shelf as a whole


def test_the_shelf_imports_nothing_heavy() -> None:
    heavy = ("torch", "tokenizers", "datasets")
    program = f"import sys, semagram.text; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert result.stdout.decode().strip() == "[]"
