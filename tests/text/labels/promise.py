"""What a labeller promises, as one check: used by the walk over the union and by the faults planted to prove it."""

from __future__ import annotations

import numpy as np

from semagram.text.labels import TextLabeller, peek_rate


def keeps_its_word(labeller: TextLabeller, text: str) -> None:
    """One tag a character, in range; ``last`` is the last; causal means causal, for ``label`` and for the reader."""
    whole = labeller.label(text)
    assert whole.shape == (len(text),) and whole.dtype == np.int64
    assert ((whole >= 0) & (whole < len(labeller.names()))).all()
    for end in range(1, len(text) + 1):
        part = labeller.label(text[:end])
        assert labeller.last(text, end) == part[-1]
        if labeller.causal:
            assert (part == whole[:end]).all(), (text[:end], text)
    if labeller.causal:
        read = labeller.reader().read
        assert [read(char) for char in text] == whole.tolist()
        if text:
            assert peek_rate(labeller, text).peeked == 0
