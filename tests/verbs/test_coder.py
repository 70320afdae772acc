"""The coder's rounding is exact, keeps everything possible and costs next to nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.verbs.coder import Decoder, Encoder, weights


def rows(count, v, spread, seed=0):
    logits = spread * np.random.default_rng(seed).standard_normal((count, v))
    return (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)


@given(st.integers(2, 300), st.floats(0, 60), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_weights_are_whole_and_sum_to_the_budget(v, spread, seed):
    found = weights(rows(5, v, spread, seed)).astype(np.float64)
    assert (found >= 0).all() and (found == np.floor(found)).all()
    assert (found.sum(1) == 2**24 - v).all()


@given(st.integers(1, 40), st.floats(0, 60), st.lists(st.integers(0, 9), max_size=12), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_what_goes_in_comes_out(v, spread, groups, seed):
    generator = np.random.default_rng(seed)
    steps = [(rows(k, v, spread, seed + i), generator.integers(0, v, k)) for i, k in enumerate(groups)]
    encoder = Encoder(v)
    for log_probs, ids in steps:
        encoder.encode(log_probs, ids)
    decoder = Decoder(v, encoder.bytes() + bytes(seed % 9))
    for log_probs, ids in steps:
        assert (decoder.decode(log_probs) == ids).all()


@pytest.mark.parametrize(("v", "spread"), [(2, 1.0), (65, 2.5), (1000, 2.0)])
def test_the_overhead_is_below_a_twentieth_of_a_percent(v, spread):
    log_probs = rows(4_000_000 // (v + 400), v, spread)
    noise = np.random.default_rng(1).gumbel(size=log_probs.shape)
    ids = (log_probs + noise).argmax(1)
    encoder = Encoder(v)
    encoder.encode(log_probs, ids)
    ideal = -log_probs[np.arange(len(ids)), ids].astype(np.float64).sum() / np.log(2)
    assert ideal - 16 < 8 * len(encoder.bytes()) < ideal * 1.0005 + 24


def test_the_impossible_costs_24_bits_and_the_certain_nothing():
    certain = np.full((1000, 65), -np.inf, dtype=np.float32)
    certain[:, 3] = 0
    encoder = Encoder(65)
    encoder.encode(certain, np.full(1000, 3))
    assert len(encoder.bytes()) <= 4
    encoder.encode(certain, np.full(1000, 9))
    assert 3000 <= len(encoder.bytes()) <= 3008


def test_an_unnormalised_row_is_normalised():
    """A predictor cannot gain by probabilities that sum to more than one."""
    log_probs = rows(200, 9, 2.0)
    a, b = Encoder(9), Encoder(9)
    a.encode(log_probs, np.arange(200) % 9)
    b.encode(log_probs + 5, np.arange(200) % 9)
    assert abs(len(a.bytes()) - len(b.bytes())) <= 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, 800.0])
def test_rows_that_are_no_distribution_are_refused(bad):
    log_probs = rows(3, 5, 1.0)
    log_probs[1, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        Encoder(5).encode(log_probs, np.zeros(3, dtype=int))


def test_foreign_data_are_refused_or_decode_to_ids():
    generator = np.random.default_rng(0)
    for _ in range(300):
        decoder = Decoder(5, generator.bytes(int(generator.integers(0, 20))))
        try:
            assert all((0 <= i < 5) for i in decoder.decode(rows(30, 5, 3.0)))
        except UserError as error:
            assert "cannot have been written with this model" in str(error)


@pytest.mark.parametrize("v", [0, 2**20 + 1])
def test_vocabularies_out_of_range_are_refused(v):
    with pytest.raises(UserError, match=f"got {v}"):
        Encoder(v)
