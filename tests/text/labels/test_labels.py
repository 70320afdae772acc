"""What each labeller says, and what only it promises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.text.labels.cases import HERE, NEEDS, there

from semagram.errors import UserError
from semagram.text.labels import (
    BracketDepth,
    CharacterClass,
    Checksum,
    Document,
    Finished,
    Function,
    HanTaTags,
    Indentation,
    Lemma,
    Lexeme,
    LineStart,
    Marked,
    Morphemes,
    NltkTags,
    Noise,
    PartOfSpeech,
    PeekRate,
    PositionInLine,
    PositionInSentence,
    PositionInWord,
    Rules,
    Running,
    SpacyTags,
    Speaker,
    TextBlobTags,
    TextLabeller,
    WordFrequency,
    peek_rate,
)
from semagram.text.labels import lemma as lemma_file
from semagram.text.labels.affixes import PREFIXES, SUFFIXES
from semagram.text.labels.frequency import common_words
from semagram.text.labels.taggers import _package

PLAY = "ROMEO:\nHe (the [old] man) walks. No!\n\n  JULIET:\nDon't you?\n\nAll: away\n"


def told(labeller: TextLabeller, text: str) -> list[str]:
    """The names of the tags."""
    names = labeller.names()
    return [names[tag] for tag in labeller.label(text)]


def test_character_class() -> None:
    found = told(CharacterClass(), "aA1 \n.,'(-\u8a9e\x00")
    wanted = "lower upper digit space line stop pause quote bracket mark letter none"
    assert found == wanted.split()


def test_positions() -> None:
    assert PositionInWord(3).label("abcd don't!").tolist() == [1, 2, 3, 3, 0, 1, 2, 3, 0, 3, 0]
    assert PositionInSentence().label('A b. "C"\n\nd.').tolist() == [1, 1, 2, 2, 0, 0, 1, 1, 1, 0, 1, 1]
    assert PositionInLine(most=2, step=2).label("abcdef\ng").tolist() == [1, 1, 2, 2, 2, 2, 0, 1]


def test_brackets_close_only_what_they_fit() -> None:
    assert BracketDepth(2).label("a(b[c{d}])]e(").tolist() == [0, 1, 1, 2, 2, 2, 2, 2, 2, 1, 0, 0, 1]


def test_lines() -> None:
    assert Indentation(4, 2).label("  a\n\tb\n\t\t\tc\nd").tolist() == [1, 1, 1, 0, 1, 1, 0, 1, 2, 2, 2, 0, 0]
    first = told(LineStart(), "A b\nc\n\n 1")
    assert first == [*["first upper"] * 3, "none", "lower", "none", "none", "none", "first digit"]
    assert "first upper" not in LineStart(paragraphs=False).names()


def test_a_speaker_speaks_from_the_end_of_the_line_that_names_him() -> None:
    labeller = Speaker.of(PLAY, slots=0)
    assert labeller.speakers == ("ROMEO", "JULIET")
    found = told(labeller, PLAY)
    assert found[5] == "none" and found[6] == "ROMEO" and found[-1] == "JULIET"
    assert Speaker(slots=5).label("KING LEAR:\nx")[-1] > 0
    with pytest.raises(UserError, match="slot"):
        Speaker(slots=0)


def test_documents_and_marks() -> None:
    assert Document("##", 2).label("a##b###c").tolist() == [1, 1, 2, 2, 2, 2, 2, 2]
    found = told(Marked((("[fr]", "French"), ("[en]", "English"))), "x\n[fr]\nla\n [en] \nthe")
    assert found[0] == "none" and found[5] == "none" and found[6] == "French"
    assert found[-4:] == ["English"] * 4 and found[-5] == "French"
    with pytest.raises(UserError, match="single lines"):
        Marked((("a\nb", "c"),))


def test_frequency_classes_hold_one_two_four_words() -> None:
    labeller = WordFrequency.of("a a a a b b b c c d", first=1)
    assert told(labeller, "a B c d e")[::2] == ["first 1", "first 3", "first 3", "first 7", "rare"]
    assert (
        common_words()[0] == "the"
        and len(common_words()) == 2040
        and WordFrequency().names()[-2:] == ("first 2040", "rare")
    )


def test_every_affix_can_be_assigned_and_every_letter_is_in_one_segment() -> None:
    labeller = Morphemes()
    names = labeller.names()
    seen = set()
    for affixes, make in ((PREFIXES, "{}lomb"), (SUFFIXES, "blom{}"), (SUFFIXES, "balek{}"), (PREFIXES, "{}wug")):
        for affix in affixes:
            word = make.format(affix)
            pieces = labeller.segments(word)
            assert "".join(piece for piece, _ in pieces) == word and sum(tag == 0 for _, tag in pieces) == 1
            assert all(names[tag].strip("-") == piece for piece, tag in pieces if tag)
            seen |= {tag for _, tag in pieces}
    missing = [names[tag] for tag in range(len(names)) if tag not in seen]
    assert not missing, missing


def test_morphemes_take_the_longest_affix_at_its_place() -> None:
    def cut(word: str) -> str:
        return "|".join(piece for piece, _ in Morphemes().segments(word))

    assert cut("underestimation") == "under|estim|ation" and cut("carefully") == "care|fully"
    assert cut("string") == "string" and cut("sing") == "sing" and cut("Unkindness") == "Un|kind|ness"
    assert cut("walker's") == "walk|er|'s" and cut("\u0130stanbul") == "\u0130stanbul"
    assert told(Morphemes(), "an undoing")[3:] == ["un-", "un-", "none", "none", "-ing", "-ing", "-ing"]


def test_part_of_speech() -> None:
    wanted = {
        "the": "DET", "The": "DET", "dogs": "NOUN", "quickly": "ADV", "walking": "VERB", "Romeo": "PROPN",
        "isn't": "AUX", "king's": "NOUN", "1984": "NUM", "2nd": "ADJ", "beautiful": "ADJ", "thou": "PRON",
        "unreasonableness": "NOUN", "blorpily": "ADV", "Whispering": "VERB", "and": "CCONJ", "because": "SCONJ",
    }  # fmt: skip
    assert {word: PartOfSpeech().tag(word) for word in wanted} == wanted
    assert PartOfSpeech(coarse=True).tag("isn't") == "VERB" and len(PartOfSpeech(coarse=True).names()) == 10


def test_rules_and_functions() -> None:
    rules = Rules((("quote", '"[^"]*"'), ("digit", r"\d"), ("after", r"= *(\w)")))
    assert told(rules, '"a1" 2 = b') == [*["quote"] * 4, "none", "digit", "none", "none", "none", "after"]
    with pytest.raises(UserError, match="'bad' is no regular expression"):
        Rules((("bad", "("),))
    file = HERE / "by_hand.py"
    function = Function(f"{file}:vowels_so_far", causal_by_promise=True)
    assert function.pinned().label("abe").tolist() == [1, 1, 2]
    for wrong, says in (
        (Function(f"{file}:too_few"), "one a character"),
        (Function(f"{file}:absent"), "no function absent"),
        (Function("absent.py:f"), "no file"),
        (dataclasses.replace(function, sha256="0"), "not the file"),
    ):
        with pytest.raises(UserError, match=says):
            wrong.label("abc")
    with pytest.raises(UserError, match=r"FILE\.py:function"):
        Function("labels.py")


def test_controls_have_as_many_tags_and_mean_nothing() -> None:
    of = PartOfSpeech()
    checksum, noise = Checksum(of), Noise(of, seed=1)
    assert checksum.vocabulary_size == noise.vocabulary_size == of.vocabulary_size
    a, b, space, c, d = checksum.label("to be to be").tolist()[:5]
    assert a == b > 0 == space and c == d and (checksum.label("to be") == checksum.label("to xx"))[:2].all()
    drawn = noise.label("x" * 14_000)
    assert (np.abs(np.bincount(drawn, minlength=15)[1:] - 1000) < 150).all() and (drawn > 0).all()
    assert (drawn != Noise(of, seed=2).label("x" * 14_000)).mean() > 0.9
    assert Checksum(Finished(of)).alignment == "finished" and Checksum(Running(of)).alignment == "running"


def test_the_peek_rate_tells_who_looks_ahead() -> None:
    text = "Nothing in these streets was walking faster than reasonable people. " * 3
    found = peek_rate(PartOfSpeech(), text)
    assert found.asked == len(text) and 0.1 < found.rate < 0.9 and found.labelled_rate > found.rate
    low, high = found.interval
    assert low < found.rate < high
    assert peek_rate(Function(f"{HERE / 'by_hand.py'}:before_a_vowel", causal_by_promise=True), text).rate > 0.2
    assert PeekRate(400, 0, 0, 0).interval[0] == 0.0 and 0.005 < PeekRate(400, 0, 0, 0).interval[1] < 0.015
    with pytest.raises(UserError, match="needs a text"):
        peek_rate(PartOfSpeech(), "")


def test_what_is_out_of_range_is_refused() -> None:
    for make, says in (
        (lambda: BracketDepth(0), "at least 1"),
        (lambda: PositionInWord(0), "at least 1"),
        (lambda: PositionInLine(step=0), "at least 1"),
        (lambda: Indentation(0), "at least 1"),
        (lambda: Document(""), "separator"),
        (lambda: WordFrequency(first=0), "at least 1"),
        (lambda: Morphemes(stem=0), "at least 1"),
        (lambda: Morphemes(prefixes=("Un",)), "lower case"),
        (lambda: Lexeme(slots=0), "slot"),
        (lambda: Lemma("english"), "code"),
        (lambda: Running(CharacterClass()), "causal"),
    ):
        with pytest.raises(UserError, match=says):
            make()


def test_lemmas_by_a_package_that_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"walked": "walk", "cities": "city", "women": "woman", "went": "go"}

    class Played:
        @staticmethod
        def lemmatize(word: str, lang: str) -> str:
            return known.get(word, word)

    monkeypatch.setattr(lemma_file, "simplemma", lambda: Played)
    lemma_file.lemma_of.cache_clear()
    try:
        text = "Walked cities women went walk"
        assert [told(Lemma(), word)[0] for word in text.split()] == ["-ed", "-ies +y", "-men +man", "other", "same"]
        lexeme = Lexeme.of(text, most=1, slots=3)
        assert lexeme.lexemes == ("walk",) and told(lexeme, "WALKED walk")[0] == "walk" == told(lexeme, "walk")[0]
        assert lexeme.label("went")[0] == lexeme.label("go")[0] > 1
    finally:
        lemma_file.lemma_of.cache_clear()


@pytest.mark.parametrize("kind", NEEDS, ids=lambda kind: kind.__name__)
def test_other_peoples_packages(kind: type) -> None:
    """Where the package is installed it labels; where not, the error says what to install."""
    text = "The old dogs walked to London. They were tired."
    if not there(kind):
        with pytest.raises(UserError, match=r"pip install|spacy download"):
            kind().label(text)
        return
    found = dict(zip(text.split(), np.array(told(kind(), text))[[0, 4, 8, 13, 20, 23, 31, 36, 41]], strict=False))
    if kind in (HanTaTags, TextBlobTags, NltkTags, SpacyTags):
        assert (found["The"], found["dogs"], found["walked"], found["They"]) == ("DET", "NOUN", "VERB", "PRON")


def test_a_missing_package_is_named() -> None:
    with pytest.raises(UserError, match="pip install nothing"):
        _package("no_such_module", "nothing")
