"""The gram trie against tuples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.predictors.gram_trie import GramTrie, distinct


def spelled(trie: GramTrie) -> list[tuple[int, ...]]:
    grams: list[tuple[int, ...]] = [()]
    for code in trie.codes:
        parent, symbol = divmod(int(code), trie.vocabulary_size)
        grams.append((*grams[parent], symbol))
    return grams


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(1, 6))
def test_the_trie_holds_every_gram_once_with_its_suffix(text: list[int], longest: int) -> None:
    trie, places = GramTrie.build(np.array(text), 5, longest)
    grams = spelled(trie)
    expected = {tuple(text[s : s + k]) for k in range(1, longest + 1) for s in range(len(text) - k + 1)}
    assert set(grams[1:]) == expected and len(grams) == len(expected) + 1
    assert (np.diff(trie.codes) > 0).all()
    for node, gram in enumerate(grams):
        assert trie.suffix[node] == (grams.index(gram[1:]) if gram else trie.nothing)
    for k, place in enumerate(places):
        assert [grams[node] for node in place] == [tuple(text[s : s + k]) for s in range(len(text) - k + 1)]
    starts = trie.starts()
    for node, gram in enumerate(grams):
        assert all(grams[child][:-1] == gram for child in range(starts[node], starts[node + 1]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.lists(st.integers(0, 2), max_size=12))
def test_walking_is_advancing_and_knows_every_context(text: list[int], unseen: list[int]) -> None:
    trie, _ = GramTrie.build(np.array(text), 3, 4)
    grams = spelled(trie)
    contexts = trie.empty_contexts(1)
    walked = trie.walk(contexts, np.array([unseen], dtype=np.int64))
    for i in range(len(unseen) + 1):
        assert (walked[:, i] == contexts).all()
        for k in range(4):
            gram = tuple(unseen[i - k : i])
            seen = k <= i and gram in grams
            assert contexts[0, k] == (grams.index(gram) if seen else trie.nothing)
        if i < len(unseen):
            contexts = trie.advance(contexts, np.array([unseen[i]]))


def test_nothing_overflows_with_large_vocabularies_and_long_grams() -> None:
    rng = np.random.default_rng(0)
    text = np.tile(rng.integers(0, 50_000, 500), 2)
    trie, places = GramTrie.build(text, 50_000, 12)
    assert (trie.codes >= 0).all() and (np.diff(trie.codes) > 0).all()
    assert (places[12][:489] == places[12][500:]).all() and np.unique(places[12][:489]).size == 489


def test_both_ways_of_finding_distinct_codes_agree() -> None:
    codes = np.random.default_rng(1).integers(0, 900, 300)
    for got, expected in zip(distinct(codes, 900), distinct(codes, 10**9), strict=True):
        assert (got == expected).all()


def test_bad_texts_are_refused() -> None:
    for ids, v, longest, word in [
        ([], 2, 2, "0"),
        ([2], 2, 2, "2"),
        ([-1], 2, 2, "-1"),
        ([0], 0, 2, "0"),
        ([0], 1, 0, "0"),
    ]:
        with pytest.raises(UserError, match=word):
            GramTrie.build(np.array(ids, dtype=np.int64), v, longest)
    with pytest.raises(UserError, match="float"):
        GramTrie.build(np.array([0.5]), 2, 2)
