"""``semagram tags`` and ``semagram distil``, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from semagram.cli import main
from semagram.commands.tags import known, labeller_of, named
from semagram.errors import UserError
from semagram.text.labels import BracketDepth, Checksum, Finished, Morphemes, PartOfSpeech


@pytest.fixture
def book(tmp_path: Path) -> str:
    path = tmp_path / "book.txt"
    path.write_text("The walkers were happily undoing it.\n\nRomeo (a boy) said nothing.\n" * 5)
    return str(path)


def test_tags_stand_above_the_text(book: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tags", book, "--labels", "pos", "morphemes", "finished:pos", "--characters", "60"]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert [line.split(" ")[0] for line in lines[:3]] == ["pos", "morphemes", "finished:pos"]
    place = lines[3].index("walkers")
    assert lines[0][place:].startswith("NOUN") and "The walkers were happily" in lines[3]
    assert "peek rate" in told and "0.0 % (0.0 to" in told and "yes (finished)" in told


def test_tags_as_json_and_with_code_that_was_distilled(
    book: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "labels.py")
    assert main(["distil", "--text", book, "-o", out, "--tags", "3", "--order", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["leaves"] > 1
    assert main(["tags", book, "--labels", "morphemes", f"{out}:label", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["characters"] == 330 and set(told["labels"]) == {"morphemes", f"{out}:label"}
    morphemes = told["labels"]["morphemes"]
    assert morphemes["counts"]["un-"] == 10 and sum(morphemes["counts"].values()) == 330
    assert morphemes["peek_rate"] > 0 and not morphemes["causal"] and len(morphemes["tags"]) == 330
    assert told["labels"][f"{out}:label"]["peek_rate"] == 0.0
    assert main(["distil", "--text", book, "-o", out]) == 2 and "is there already" in capsys.readouterr().err


def test_names_of_labellers() -> None:
    assert labeller_of("pos") == PartOfSpeech() and labeller_of("bracket_depth") == BracketDepth()
    assert labeller_of("checksum:finished:morphemes") == Checksum(Finished(Morphemes()))
    assert labeller_of('{"kind": "BracketDepth", "most": 2}') == BracketDepth(2)
    assert {"finished", "rules", "position_in_word", "hanta"} <= set(known())
    for wrong, says in (
        ("morfemes", "morphemes"),
        ("marked", "needs settings"),
        ("pos:pos", "no labeller"),
        ("{", "no JSON"),
    ):
        with pytest.raises(UserError, match=says):
            labeller_of(wrong)
    assert named(("none", "NOUN", "x"), [1, 1, 1, 0, 2, 2, 1]) == "NO| x |"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tags", "BOOK", "--width", "3"], "--width 20"),
        (["distil", "--text", "BOOK", "-o", "labels.txt"], "must end in .py"),
        (["distil"], "name a RUN"),
    ],
)
def test_mistakes_are_told(words: list[str], says: str, book: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([book if word == "BOOK" else word for word in words]) == 2
    assert says in capsys.readouterr().err
